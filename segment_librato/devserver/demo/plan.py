"""What the demo tracks, and how the API fails: the same in every run.

Owns the events and the faults. Must not know a client, a server or what is told.
"""

from __future__ import annotations

from math import cos, exp, pi
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from segment_librato.devserver.http.exchange import JsonObject, Request

__all__ = [
    "EVENT",
    "FAULTS",
    "MAX_VALUE",
    "POISONED_EVENT",
    "SECONDS",
    "WEB_SERVERS",
    "event_of",
    "list_items",
]

EVENT = "segment.librato"
POISONED_EVENT = "poisoned.event"
MAX_VALUE = 100
SECONDS = 60  # in the time of the web servers
# The API drops a connection, is unavailable twice, the second time for a second, and comes back.
FAULTS: tuple[tuple[int | None, dict[str, str]], ...] = (
    (None, {}),
    (503, {}),
    (503, {"Retry-After": "1"}),
)


class WebServer(NamedTuple):
    """A web server of the example in Librato's documentation, with a shape for its gauge.

    Attributes:
        user_id: the user that its events belong to.
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


def event_of(item: JsonObject) -> str:
    """Return the event of a message, or the name of a measurement."""
    return str(item.get("event") or item.get("name"))


def list_items(request: Request) -> tuple[JsonObject, ...]:
    """Return what a request holds: messages, or measurements for Librato."""
    return request.messages or request.measurements
