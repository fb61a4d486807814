"""From a message to what a list shows of it, and from a sample to what a chart needs.

Pure: whatever a message holds, also what no API accepts, becomes text that SQLite and JSON take.
Owns the entries of the journal. Must not know why a message was accepted or not.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from segment_librato.foreign.narrowing import is_dict
from segment_librato.librato import map_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segment_librato.devserver.http.exchange import JsonObject
    from segment_librato.devserver.librato.samples import Sample

__all__ = [
    "ACCEPTED",
    "DROPPED",
    "DUPLICATED",
    "REJECTED",
    "VERDICTS",
    "Event",
    "Measured",
    "brief",
    "compact",
    "outline",
    "outline_sample",
]

ACCEPTED, REJECTED, DROPPED, DUPLICATED = VERDICTS = (
    "accepted",
    "rejected",
    "dropped",
    "duplicate",
)
TOO_DEEP = '{"nested":"too deeply to be shown"}'
MAX_VALUES = 2**53  # SQLite has 64 bits
MAX_SHOWN = 1000  # characters of a text: a list shows no more


class Event(NamedTuple):
    """An event as the journal keeps it.

    Attributes:
        at: seconds since the epoch.
        type: the type; of a message that was rejected, whatever stands there.
        event: the event, the name of a page or screen, or the groupId.
        user: the userId, else the anonymousId.
        source: the source of the gauge, else that of context.Librato.
        verdict: "accepted", "rejected", "dropped" or "duplicate".
        reason: why it was not accepted, in the words of the API.
        size: bytes of the message as compact JSON.
        gauge: name, value and source as JSON; None if it sets none, as it was not accepted or does
            not map to any.
        message: the message as compact JSON.
    """

    at: float
    type: str
    event: str
    user: str
    source: str
    verdict: str
    reason: str
    size: int
    gauge: str | None
    message: str


class Measured(NamedTuple):
    """A measurement as the journal keeps it.

    Attributes:
        name: the gauge.
        source: the source; empty if there is none.
        at: the time of measurement, in seconds since the epoch.
        values: the number of values.
        sum: their sum.
        is_direct: whether it was delivered to Librato directly.
    """

    name: str
    source: str
    at: float
    values: int
    sum: float
    is_direct: bool


def outline(
    message: JsonObject, at: float, verdict: str, reason: str
) -> tuple[Event, Measured | None]:
    """Return the entry for a message, and the measurement that it has made."""
    text = compact(message)
    gauge = map_message(message)
    kind = message.get("type")
    named = {"page": "name", "screen": "name", "group": "groupId"}
    key = named.get(kind, "event") if isinstance(kind, str) else "event"
    event = Event(
        at=at,
        type=_show(kind),
        event=_show(message.get(key)),
        user=_show(message.get("userId") or message.get("anonymousId")),
        source=gauge.source if gauge else _source_of(message),
        verdict=verdict,
        reason=reason,
        size=len(text.encode()),
        gauge=None,
        message=text,
    )
    if gauge is None or verdict != ACCEPTED:
        return event, None
    shown = compact({"name": gauge.name, "value": gauge.value, "source": gauge.source})
    time = at if gauge.measure_time is None else gauge.measure_time
    measured = Measured(gauge.name, gauge.source, time, 1, float(gauge.value), is_direct=False)
    return event._replace(gauge=shown), measured


def outline_sample(sample: Sample) -> Measured:
    """Return the entry for a sample that was delivered directly."""
    return Measured(
        name=sample.name,
        source=sample.source,
        at=sample.measure_time,
        values=min(sample.count, MAX_VALUES),
        sum=float(sample.sum),
        is_direct=True,
    )


def compact(value: object) -> str:
    """Return a value as compact JSON that is valid UTF-8: lone surrogates become escapes."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return TOO_DEEP
    return text if _plain(text) == text else json.dumps(value, separators=(",", ":"))


def brief(text: str) -> str:
    """Return the beginning of a text, in valid UTF-8: as much as a list shows."""
    return _plain(text[:MAX_SHOWN])[:MAX_SHOWN]


def _plain(text: str) -> str:
    """Return a text that is valid UTF-8: lone surrogates become backslashed."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _show(value: object) -> str:
    if value is None:
        return ""
    return brief(value if isinstance(value, str) else compact(value))


def _source_of(message: Mapping[str, Any]) -> str:
    context = message.get("context")
    setting = context.get("Librato") if is_dict(context) else None
    source = setting.get("source") if is_dict(setting) else None
    return _show(source)
