"""What happens in the demo: the web servers track while the API fails, recovers and rejects.

Owns the order and the pace. Must not know what is printed beyond the name of each turn of events.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from segment_librato import Client, LibratoConfig
from segment_librato.devserver.demo.plan import (
    EVENT,
    FAULTS,
    POISONED_EVENT,
    SECONDS,
    WEB_SERVERS,
    event_of,
    list_items,
)

if TYPE_CHECKING:
    from segment_librato.config.client import OnError
    from segment_librato.devserver.demo.story import Story
    from segment_librato.devserver.http.exchange import Request
    from segment_librato.devserver.server import LocalSegment

__all__ = ["make_client", "play"]

TICK = 0.05  # seconds here for a second of the web servers
OUTAGE_AT = 20
RECOVERY_AT = 40
POISON_AT = 47
RECOVERY_TIMEOUT = 5


def make_client(server: LocalSegment, on_error: OnError, *, directly: bool) -> Client:
    """Make the client: of Segment, or only of a Librato account if `directly`."""
    # Without attributes the server aggregates nothing: each value stays a point of its own.
    account = LibratoConfig("ada@example.com", "demo", server.host, attributes={})
    return Client(
        None if directly else "demo",
        host=server.host,
        gauges=account if directly else None,
        on_error=on_error,
        shutdown_timeout=2,
    )


def play(server: LocalSegment, client: Client, story: Story) -> bool:
    """Track everything while the API fails, recovers and meets the poisoned event.

    Returns whether the client got through after the outage; if not, no more is tracked.
    """
    began = int(time.time()) - SECONDS
    _track(client, began, range(OUTAGE_AT))
    story.tell_outage()
    for status, headers in FAULTS:
        server.respond(status, headers=headers)
    _track(client, began, range(OUTAGE_AT, RECOVERY_AT))
    story.tell_waiting(client.stats.gauges or client.stats)
    if not server.wait_until(lambda: _has_recovered(server), RECOVERY_TIMEOUT):
        return False
    server.respond(400, body=_REJECTION, when=_holds_poison, times=None)
    _track(client, began, range(RECOVERY_AT, SECONDS))
    return True


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


# Has what an error of either API has: Segment's code and message, Librato's field to blame.
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
