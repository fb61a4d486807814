"""What happens in the demo: what the web servers track, and when the API fails.

Owns the events and the faults; both are the same in every run. Must not know what is printed.
"""

from __future__ import annotations

import json
import time
from math import cos, exp, pi
from typing import TYPE_CHECKING, NamedTuple

from segment_librato import Client, LibratoConfig

if TYPE_CHECKING:
    from segment_librato.config.client import OnError
    from segment_librato.devserver.demo.story import Story
    from segment_librato.devserver.http.exchange import JsonObject, Request
    from segment_librato.devserver.server import LocalSegment

__all__ = [
    "EVENT",
    "FAULTS",
    "MAX_VALUE",
    "POISONED_EVENT",
    "SECONDS",
    "WEB_SERVERS",
    "event_of",
    "list_items",
    "make_client",
    "play",
]

EVENT = "segment.librato"
POISONED_EVENT = "poisoned.event"
MAX_VALUE = 100
SECONDS = 60  # of the web servers' time, each of which takes TICK seconds here
TICK = 0.05
OUTAGE_BEGINS_AT = 20
RECOVERY_AT = 40
POISON_AT = 47
RECOVERY_TIMEOUT = 8
# The API drops a connection, answers 503, answers 503 once more and asks for a second, is back.
FAULTS: tuple[tuple[int | None, dict[str, str]], ...] = (
    (None, {}),
    (503, {}),
    (503, {"Retry-After": "1"}),
)


class WebServer(NamedTuple):
    """A web server of the example in Librato's documentation, with a shape for its gauge.

    Attributes:
        user_id: whom its events belong to.
        source: its name, the source of the gauge.
        shape: what the values look like.
        values: one for each second, from 0 to `MAX_VALUE`.
    """

    user_id: int
    source: str
    shape: str
    values: tuple[int, ...]


def _daily_curve(second: int) -> float:
    return 50 - 45 * cos(2 * pi * second / SECONDS)


def _ramp(second: int) -> float:
    return 5 + 90 * second / (SECONDS - 1)


def _spike(second: int) -> float:
    return 10 if second < SECONDS // 3 else 10 + 88 * exp((SECONDS // 3 - second) / 9)


def _sawtooth(second: int) -> float:
    return 8 + 6 * (second % 15)


_SHAPES = (
    (123, "web-server-10", "daily curve", _daily_curve),
    (234, "web-server-11", "ramp", _ramp),
    (345, "web-server-12", "spike", _spike),
    (456, "web-server-13", "sawtooth", _sawtooth),
)
WEB_SERVERS = tuple(
    WebServer(user_id, source, shape, tuple(round(at(second)) for second in range(SECONDS)))
    for user_id, source, shape, at in _SHAPES
)


def make_client(server: LocalSegment, on_error: OnError, *, directly: bool) -> Client:
    """Make the client: of Segment, or of nothing but a Librato account if `directly`."""
    # Without attributes the server aggregates nothing: each value stays a point of its own.
    account = LibratoConfig("ada@example.com", "demo", server.host, attributes={})
    return Client(
        None if directly else "demo",
        host=server.host,
        gauges=account if directly else None,
        on_error=on_error,
        shutdown_timeout=2,
    )


def play(server: LocalSegment, client: Client, story: Story) -> None:
    """Track everything while the API fails, recovers and meets the poisoned event."""
    began = int(time.time()) - SECONDS
    _track(client, began, range(OUTAGE_BEGINS_AT))
    story.tell_outage()
    for status, headers in FAULTS:
        server.respond(status, headers=headers)
    _track(client, began, range(OUTAGE_BEGINS_AT, RECOVERY_AT))
    story.tell_waiting(client.stats.gauges or client.stats)
    if not server.wait_until(lambda: _has_recovered(server), RECOVERY_TIMEOUT):
        return
    server.respond(400, body=_REJECTION, when=_holds_poison, times=None)
    _track(client, began, range(RECOVERY_AT, SECONDS))


def event_of(item: JsonObject) -> str:
    """Return the event of a message, or the name of a measurement."""
    return str(item.get("event") or item.get("name"))


def list_items(request: Request) -> tuple[JsonObject, ...]:
    """Return what a request holds: messages, or measurements for Librato."""
    return request.messages or request.measurements


def _track(client: Client, began: int, seconds: range) -> None:
    """Track what the web servers measured, at their pace."""
    for second in seconds:
        for web_server in WEB_SERVERS:
            client.track(
                web_server.user_id,
                EVENT,
                {"value": web_server.values[second]},
                context={"Librato": {"source": web_server.source}},
                timestamp=began + second,
            )
        if second == POISON_AT:
            client.track(WEB_SERVERS[-1].user_id, POISONED_EVENT, timestamp=began + second)
        time.sleep(TICK)


# Valid for either API: what Segment's error says, and the field that Librato's blames.
_REJECTION = json.dumps(
    {
        "code": "invalid_request",
        "message": "an event is invalid",
        "errors": {"params": {"name": ["is invalid"]}},
    }
).encode()


def _holds_poison(request: Request) -> bool:
    return any(event_of(item) == POISONED_EVENT for item in list_items(request))


def _has_recovered(server: LocalSegment) -> bool:
    """Return whether a request succeeded after all faults."""
    statuses = [request.status for request in server.requests]
    failures = [at for at, status in enumerate(statuses) if status in {None, 503}]
    return len(failures) >= len(FAULTS) and failures[-1] < len(statuses) - 1
