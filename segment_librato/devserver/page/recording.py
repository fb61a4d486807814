"""From a decision of the server to the entries of the journal: the request, its events and gauges.

Pure but for the clock. Owns what is read of a request that was rejected. Must
not know how entries are kept.
"""

from __future__ import annotations

import json
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from segment_librato.devserver.http.body import decompress
from segment_librato.devserver.http.exchange import InvalidRequestError
from segment_librato.devserver.librato.api import is_librato_route
from segment_librato.devserver.librato.samples import Sample
from segment_librato.devserver.page.outlines import (
    ACCEPTED,
    DROPPED,
    DUPLICATED,
    REJECTED,
    Event,
    Measured,
    brief,
    outline,
    outline_sample,
)
from segment_librato.devserver.segment.api import SegmentVerdict
from segment_librato.devserver.segment.rules import MAX_BATCH_MESSAGES, MESSAGE_TYPES, find_problem
from segment_librato.devserver.segment.words import DUPLICATE, in_api_words
from segment_librato.foreign.narrowing import is_dict, is_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.devserver.http.exchange import JsonObject, Request
    from segment_librato.devserver.interfaces import Decision

__all__ = ["Entries", "RequestEntry", "describe_display", "read_leniently", "record"]

MAX_RETRY = 2**31
RETRY_DIGITS = 10


class RequestEntry(NamedTuple):
    """A request as the journal keeps it; its duration comes later.

    Attributes:
        at: seconds since the epoch.
        method: the method.
        path: the path.
        status: the status; None if the connection was cut.
        rejection: why the API rejected it.
        messages: the number of messages; of a rejected request, those that could be read.
        measurements: the number of measurements for Librato.
        bytes: bytes of the body as sent.
        size: bytes of the body after decompression.
        gzip: whether it was compressed.
        retry: the header X-Retry-Count.
        scripted: whether a fault determined the response.
    """

    at: float
    method: str
    path: str
    status: int | None
    rejection: str
    messages: int
    measurements: int
    bytes: int
    size: int
    gzip: bool
    retry: int
    scripted: bool


class Entries(NamedTuple):
    """What a decision makes."""

    request: RequestEntry
    events: list[Event]
    measurements: list[Measured]


def record(decision: Decision) -> Entries:
    """Return the entries for a decision.

    The messages of a request that a fault answered are no events: the client keeps them, and
    they become events when it delivers them. Of a batch with more messages than the API takes, the
    first ones become events.
    """
    at = round(time.time(), 6)  # as an export has it
    judged = list(islice(_judge(decision), MAX_BATCH_MESSAGES))
    made = [outline(message, at, verdict, reason) for message, verdict, reason in judged]
    measurements = [measured for _, measured in made if measured]
    measurements += [
        outline_sample(sample) for sample in decision.accepted if isinstance(sample, Sample)
    ]
    request = decision.request
    entry = RequestEntry(
        at=at,
        method=request.method,
        path=brief(request.path),
        status=request.status,
        rejection=brief(request.rejection),
        messages=len(request.messages) or len(judged),
        measurements=len(request.measurements),
        bytes=request.raw_size,
        size=request.size,
        gzip=request.headers.get("Content-Encoding", "").strip().lower() == "gzip",
        retry=_read_retry(request),
        scripted=decision.is_scripted,
    )
    return Entries(entry, [event for event, _ in made], measurements)


def describe_display(metric: JsonObject) -> JsonObject:
    """Return the display options of a metric of the Librato API."""
    attributes = metric["attributes"]
    return {
        "period": metric["period"],
        "summarize": attributes.get("summarize_function"),
        "aggregate": attributes.get("aggregate"),
        "display_name": metric["display_name"] and brief(metric["display_name"]),
    }


def _read_retry(request: Request) -> int:
    text = request.headers.get("X-Retry-Count", "")
    is_number = text.isascii() and text.isdecimal()
    return min(int(text[:RETRY_DIGITS]), MAX_RETRY) if is_number else 0


def _judge(decision: Decision) -> Iterator[tuple[JsonObject, str, str]]:
    """Yield each message with its verdict and the reason."""
    request, verdict = decision.request, decision.verdict
    if request.rejection and not is_librato_route(request.path):
        for message in _salvage(request, decision.body):
            problem = find_problem(message)
            of_request = f"as its request was: {request.rejection}"
            reason = in_api_words(problem) if problem else of_request
            yield message, REJECTED, brief(reason)
    elif isinstance(verdict, SegmentVerdict) and decision.accepts:
        accepted = {id(message) for message in decision.accepted}
        dropped = {id(one.message): one.reason for one in verdict.dropped}
        for message in request.messages:
            if id(message) in accepted:
                yield message, ACCEPTED, ""
            elif id(message) in dropped:
                yield message, DROPPED, in_api_words(dropped[id(message)])
            else:
                yield message, DUPLICATED, DUPLICATE


def _salvage(request: Request, body: bytes) -> list[JsonObject]:
    """Return the messages of a rejected request, as far as they can be read."""
    try:
        body = decompress(body, request.headers.get("Content-Encoding", ""))
        envelope = read_leniently(body.decode("utf-8", "replace"))
    except (InvalidRequestError, ValueError, RecursionError):
        return []
    if not is_dict(envelope):
        return []
    kind = request.path.removeprefix("/v1/")
    if kind in MESSAGE_TYPES:
        message = {name: value for name, value in envelope.items() if name != "writeKey"}
        return [{**message, "type": kind}]
    batch = envelope.get("batch")
    items = batch if is_list(batch) else []
    return [item for item in items if is_dict(item)]


def read_leniently(text: str) -> Any:  # noqa: ANN401  any JSON value
    """Return a JSON value of which nothing is rejected but what is no JSON at all.

    Numbers that JSON does not have, or that exceed a double, become text.
    """
    return json.loads(text, parse_constant=str, parse_float=_read_float)


def _read_float(text: str) -> float | str:
    number = float(text)
    return number if abs(number) < float("inf") else text
