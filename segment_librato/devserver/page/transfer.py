"""Events as JSON lines: out as they were received, and in again.

Owns the form of a line. Must not know where lines come from or go to.
"""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple

from segment_librato.devserver.http.body import MAX_BODY_BYTES
from segment_librato.devserver.page.outlines import (
    ACCEPTED,
    DROPPED,
    REJECTED,
    VERDICTS,
    Event,
    Measured,
    brief,
    outline,
)
from segment_librato.devserver.page.recording import read_leniently
from segment_librato.devserver.segment.rules import find_drop_reasons, find_problem
from segment_librato.devserver.segment.words import in_api_words
from segment_librato.foreign.narrowing import is_dict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from segment_librato.devserver.http.exchange import JsonObject

__all__ = ["Batch", "read_lines", "write_line"]

READ_AT_ONCE = 1000


class Batch(NamedTuple):
    """What some lines make.

    Attributes:
        events: the events.
        measurements: what they measure.
        skipped: the numbers of the lines that are no events, from 1.
    """

    events: list[Event]
    measurements: list[Measured]
    skipped: list[int]


def write_line(row: JsonObject) -> bytes:
    """Return a line for an event; its payload is JSON already."""
    head = {
        "receivedAt": _write_time(row["at"]),
        "verdict": row["verdict"],
        "reason": row["reason"],
    }
    return b'%b,"message":%b}\n' % (json.dumps(head)[:-1].encode(), row["message"].encode())


def read_lines(lines: Iterable[bytes]) -> Iterator[Batch]:
    """Yield what lines make: lines as they are written, or messages, which are judged.

    Some at a time, so that other work has its turn.
    """
    batch = Batch([], [], [])
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found = _read(line) if len(line) <= MAX_BODY_BYTES else None
        if found is None:
            batch.skipped.append(number)
        else:
            event, measured = found
            batch.events.append(event)
            if measured:
                batch.measurements.append(measured)
        if len(batch.events) + len(batch.skipped) >= READ_AT_ONCE:
            yield batch
            batch = Batch([], [], [])
    yield batch


def _read(line: bytes) -> tuple[Event, Measured | None] | None:
    """Return what a line makes; None if it is no event."""
    try:
        content = read_leniently(line.decode("utf-8-sig"))
        if not is_dict(content):
            return None
        if "type" in content:
            return outline(content, time.time(), *_judge(content, len(line)))
        message = content.get("message")
        verdict, reason = content.get("verdict"), content.get("reason", "")
        if not is_dict(message) or verdict not in VERDICTS or not isinstance(reason, str):
            return None
        return outline(message, _read_time(content.get("receivedAt")), verdict, brief(reason))
    except (ValueError, OverflowError, RecursionError):
        return None


def _judge(message: JsonObject, size: int) -> tuple[str, str]:
    """Return the verdict on a message, and the reason."""
    if problem := find_problem(message):
        return REJECTED, in_api_words(problem)
    (reason,) = find_drop_reasons([message], size)
    return (DROPPED, in_api_words(reason)) if reason else (ACCEPTED, "")


def _read_time(text: object) -> float:
    moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    at = moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp()
    _write_time(at)  # raises if an export could not
    return at


def _write_time(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="microseconds")
