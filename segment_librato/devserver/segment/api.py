"""The rules of the Segment HTTP API for a request: routes, write key, and how a batch is wrapped.

Pure: a request and its body come in, a `SegmentVerdict` comes out. Must not know sockets, threads
or earlier requests; the rules for a single message are in `rules`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from segment_librato.devserver.http.body import decompress, parse_object
from segment_librato.devserver.http.credentials import read_basic
from segment_librato.devserver.http.exchange import (
    InvalidRequestError,
    JsonObject,
    Request,
    Response,
    Verdict,
)
from segment_librato.devserver.segment.rules import MESSAGE_TYPES, find_drop_reasons, find_problem
from segment_librato.foreign.narrowing import is_dict, is_list

__all__ = ["STATUS_ROUTE", "Dropped", "SegmentVerdict", "judge"]

STATUS_ROUTE = ("GET", "/")
BATCH_PATHS = {"/v1/batch", "/v1/import"}
SINGLE_MESSAGE_PATHS = {f"/v1/{kind}": kind for kind in MESSAGE_TYPES}
SHARED_FIELDS = ("context", "integrations")


class Dropped(NamedTuple):
    """A message that the API acknowledges with 200 and then discards."""

    reason: str
    message: JsonObject


@dataclass(frozen=True)
class SegmentVerdict(Verdict):
    """What Segment makes of a request.

    Attributes:
        kept: the messages within the limits; none if the request is rejected.
        dropped: those beyond the limits.
    """

    kept: tuple[JsonObject, ...] = ()
    dropped: tuple[Dropped, ...] = ()


def judge(request: Request, body: bytes) -> SegmentVerdict:
    """Apply the rules to a request and its body as sent; not to one for the status page."""
    try:
        _check_route(request.method, request.path)
        body = decompress(body, request.headers.get("Content-Encoding", ""))
        request = replace(request, size=len(body))
        return _read(request, body)
    except InvalidRequestError as error:
        rejection = error
    except RecursionError:
        rejection = InvalidRequestError(400, "the body is nested too deeply")
    response = Response.of_error(rejection.status, rejection.text, rejection.headers)
    return SegmentVerdict(replace(request, rejection=rejection.text), response)


def _check_route(method: str, path: str) -> None:
    if path in BATCH_PATHS or path in SINGLE_MESSAGE_PATHS:
        allowed = "POST"
    elif path == STATUS_ROUTE[1]:
        allowed = STATUS_ROUTE[0]
    else:
        raise InvalidRequestError(404, "no such route")
    if method != allowed:
        raise InvalidRequestError(405, f"the route accepts only {allowed}", {"Allow": allowed})


def _read(request: Request, body: bytes) -> SegmentVerdict:
    envelope = parse_object(body)
    write_key = _find_write_key(envelope, request.headers.get("Authorization", ""))
    sent = _list_messages(request.path, envelope)
    for position, message in enumerate(sent):
        if problem := find_problem(message):
            raise InvalidRequestError(400, f"message {position}: {problem}")
    messages = tuple(_merge_shared_fields(request.path, envelope, message) for message in sent)
    judged = list(zip(find_drop_reasons(sent, len(body)), messages, strict=True))
    return SegmentVerdict(
        request=replace(request, messages=messages, write_key=write_key),
        response=Response.of_success(),
        kept=tuple(message for reason, message in judged if not reason),
        dropped=tuple(Dropped(reason, message) for reason, message in judged if reason),
    )


def _find_write_key(envelope: JsonObject, authorization: str) -> str:
    """Return the key; the user name of Basic authentication need not match that of the body."""
    key = envelope.get("writeKey") or read_basic(authorization)[0]
    if not isinstance(key, str):
        raise InvalidRequestError(400, "writeKey is not a string")
    if not key:
        raise InvalidRequestError(401, "the request has no write key")
    return key


def _list_messages(path: str, envelope: JsonObject) -> list[Any]:
    """Return the items of the batch, or the one message of a route that is named after a type."""
    kind = SINGLE_MESSAGE_PATHS.get(path)
    if kind is not None:
        message = {name: value for name, value in envelope.items() if name != "writeKey"}
        return [{**message, "type": kind}]
    batch = envelope.get("batch")
    if not is_list(batch):
        raise InvalidRequestError(400, "batch is not a list")
    for field in SHARED_FIELDS:
        if not isinstance(envelope.get(field, {}), dict):
            raise InvalidRequestError(400, f"{field} of the batch is not an object")
    return batch


def _merge_shared_fields(path: str, envelope: JsonObject, message: JsonObject) -> JsonObject:
    """Return `message` with the context and integrations of the batch; its own values win."""
    if path in SINGLE_MESSAGE_PATHS:
        return message
    merged = message
    for field in SHARED_FIELDS:
        shared = envelope.get(field)
        own = message.get(field, {})
        if shared and is_dict(own):
            merged = {**merged, field: {**shared, **own}}
    return merged
