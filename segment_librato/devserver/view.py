"""What the command line shows of a request: a line for it, and one for each message below it.

Owns the words and columns. Must not know sockets, or where lines are written.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, TypeAlias

from segment_librato.devserver.librato.api import is_librato_route
from segment_librato.devserver.librato.rules import find_excess
from segment_librato.devserver.librato.samples import Sample
from segment_librato.devserver.terminal import shorten
from segment_librato.foreign.printable import printable
from segment_librato.librato import explain, map_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segment_librato.devserver.http.exchange import JsonObject, Request
    from segment_librato.devserver.interfaces import Accepted
    from segment_librato.devserver.server import LocalSegment

__all__ = ["describe_request", "summarize"]

Payloads: TypeAlias = "tuple[JsonObject, ...]"

INDENT = " " * 10
MAX_SHOWN = 10
MAX_EVENT_WIDTH = 32
MAX_USER_WIDTH = 24
SUCCESS = range(200, 300)


def describe_request(request: Request, accepted: Accepted, *, verbose: bool) -> list[str]:
    """Return the lines for a request; whatever it holds cannot confuse a terminal.

    Args:
        request: the request.
        accepted: what was accepted of it.
        verbose: show everything it holds, and each payload as indented JSON.
    """
    payloads = request.measurements or request.messages
    shown = payloads if verbose else payloads[:MAX_SHOWN]
    describe = _describe_measurements if request.measurements else _describe_messages
    lines = [_describe_outline(request)]
    for payload, row in zip(shown, describe(request, shown, accepted), strict=True):
        lines.append(f"{INDENT}{row}")
        if verbose:
            lines += _describe_payload(payload)
    if hidden := len(payloads) - len(shown):
        lines.append(f"{INDENT}... and {hidden:,} more")
    if excess := find_excess(len(request.measurements)):
        lines.append(f"{INDENT}{excess}")
    return lines


def summarize(server: LocalSegment) -> str:
    """Return a line about all that the server has received."""
    requests = _count(len(server.requests), "request")
    messages = _count(len(server.messages), "message")
    gauges = _count(len(server.measurements), "gauge")
    if direct := len(server.librato.samples):
        gauges = f"{gauges}, {_count(direct, 'measurement')} for Librato"
    duplicates = _count(server.duplicates, "duplicate")
    return f"{requests}, {messages}, {gauges}; {duplicates}, {len(server.dropped):,} dropped."


def _describe_outline(request: Request) -> str:
    route = f"{request.method} {ascii(request.path)[1:-1]}"
    if is_librato_route(request.path):
        content = _count(len(request.measurements), "measurement")
    else:
        content = _count(request.batch_size, "message")
    size = f"{request.raw_size / 1024:.1f} KB"
    status = request.status or "connection closed"
    line = f"{time.strftime('%H:%M:%S')}  {route:<21} {content:>16} {size:>10}  {status}"
    return f"{line}  {printable(request.rejection)}" if request.rejection else line


def _describe_messages(request: Request, shown: Payloads, accepted: Accepted) -> list[str]:
    """Return type, event, user and gauge of each message, in columns."""
    kept = {id(message) for message in accepted}
    rows = [_describe_message(message) for message in shown]
    type_width, event_width, user_width = (
        max((len(row[column]) for row in rows), default=0) for column in range(3)
    )
    lost = "not kept: a duplicate, or dropped" if request.status in SUCCESS else "not accepted"
    return [
        f"{kind:<{type_width}}  {event:<{event_width}}  {user:<{user_width}}  "
        f"{_describe_gauge(message) if id(message) in kept else lost}"
        for (kind, event, user), message in zip(rows, shown, strict=True)
    ]


def _describe_message(message: JsonObject) -> tuple[str, str, str]:
    """Return type, event and user; the event of a page is its name, that of a group its id."""
    named = next((message[key] for key in ("event", "name", "groupId") if message.get(key)), "-")
    user = message.get("userId") or message.get("anonymousId") or "-"
    event = shorten(printable(str(named)), MAX_EVENT_WIDTH)
    return message["type"], event, shorten(printable(str(user)), MAX_USER_WIDTH)


def _describe_gauge(message: JsonObject) -> str:
    measurement = map_message(message)
    if measurement is None:
        return "no gauge"
    return f"{measurement.name} = {measurement.value}  from {measurement.source}"


def _describe_measurements(_: Request, shown: Payloads, accepted: Accepted) -> list[str]:
    """Return the gauge that each measurement for Librato sets; all are accepted, or none."""
    if not accepted:
        return [f"{printable(str(one.get('name')))}  not accepted" for one in shown]
    samples = (sample for sample in accepted if isinstance(sample, Sample))
    return [_describe_sample(sample) for _, sample in zip(shown, samples, strict=False)]


def _describe_sample(sample: Sample) -> str:
    count = f" in {sample.count:,} values" if sample.count > 1 else ""
    return f"{sample.name} = {sample.sum}{count}  from {sample.source or 'unassigned'}"


def _describe_payload(payload: JsonObject) -> Sequence[str]:
    """Return the payload as indented JSON, and of a message why it sets its gauge, or none."""
    text = json.dumps(payload, indent=2, ensure_ascii=False)
    lines = text.split("\n")
    if "type" in payload:
        lines.append(explain(payload))
    return [f"{INDENT}  {printable(line)}" for line in lines]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
