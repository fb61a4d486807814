"""The rules of the Librato API for a request: routes, credentials, and the form of its errors.

    POST /v1/metrics         gauges (legacy)
    POST /v1/measurements    measurements with tags
    GET  /v1/metrics         all metrics
    GET  /v1/metrics/:name   a metric and its points
    PUT  /v1/metrics/:name   create a metric, or change its properties

Pure: a request and its body come in, a `LibratoVerdict` comes out. Must not know what is kept of
earlier requests: where that matters, the verdict carries a command, and the store finds the
response. The rules for measurements are in `rules`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from segment_librato.devserver.http.body import decompress, parse_object
from segment_librato.devserver.http.credentials import read_basic
from segment_librato.devserver.http.exchange import (
    InvalidRequestError,
    JsonObject,
    Request,
    Response,
    Verdict,
)
from segment_librato.devserver.librato.fields import (
    InvalidFieldError,
    read_name,
    read_properties,
    require_gauge,
)
from segment_librato.devserver.librato.rules import (
    Entry,
    list_gauges,
    list_measurements,
    read_gauges,
    read_tagged,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LibratoVerdict",
    "Lookup",
    "Update",
    "build_error",
    "build_rejection",
    "is_librato_route",
    "judge",
]

METRICS_PATH = "/v1/metrics"
METRIC_PREFIX = f"{METRICS_PATH}/"
MEASUREMENTS_PATH = "/v1/measurements"


@dataclass(frozen=True)
class Lookup:
    """A command to return a metric, or all metrics if there is no name."""

    name: str | None = None


@dataclass(frozen=True)
class Update:
    """A command to change the properties of a metric, and to create it if `creates`."""

    name: str
    properties: JsonObject
    creates: bool


@dataclass(frozen=True)
class LibratoVerdict(Verdict):
    """What Librato makes of a request.

    Attributes:
        entries: the measurements; none if the request is rejected.
        command: what the store has to respond to; None if `response` is complete.
    """

    entries: tuple[Entry, ...] = ()
    command: Lookup | Update | None = None


def is_librato_route(path: str) -> bool:
    """Return whether a path belongs to the Librato API, even if it is not a route."""
    return path in {METRICS_PATH, MEASUREMENTS_PATH} or path.startswith(METRIC_PREFIX)


def judge(request: Request, body: bytes) -> LibratoVerdict:
    """Apply the rules to a request on a path of Librato's and its body as sent."""
    try:
        _check_method(request)
        request = replace(request, write_key=_check_credentials(request))
        if request.method == "GET":
            return LibratoVerdict(request, Response(200), command=_read_lookup(request.path))
        _check_content_type(request)
        body = decompress(body, request.headers.get("Content-Encoding", ""))
        request = replace(request, size=len(body))
        return _read(request, body)
    except InvalidRequestError as error:
        rejection = error
    except RecursionError:
        rejection = InvalidRequestError(400, "the body is nested too deeply")
    return LibratoVerdict(replace(request, rejection=rejection.text), build_rejection(rejection))


def build_error(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Build a response in the form of the Librato API's errors about the request itself."""
    return replace(Response.of_json(status, {"errors": {"request": [text]}}), headers=headers or {})


def build_rejection(rejection: InvalidRequestError) -> Response:
    """Build the response to a request that was rejected."""
    if isinstance(rejection, InvalidFieldError):
        errors = {"params": {rejection.field: [rejection.problem]}}
        return Response.of_json(rejection.status, {"errors": errors})
    return build_error(rejection.status, rejection.text, rejection.headers)


def _check_method(request: Request) -> None:
    if request.path == METRICS_PATH:
        allowed = ["GET", "POST"]
    elif request.path == MEASUREMENTS_PATH:
        allowed = ["POST"]
    else:
        allowed = ["GET", "PUT"]
    if request.method not in allowed:
        raise InvalidRequestError(
            405, f"the route accepts only {' and '.join(allowed)}", {"Allow": ", ".join(allowed)}
        )


def _check_credentials(request: Request) -> str:
    """Return the user name.

    The legacy route requires e-mail and token. AppOptics has the token as the user name and no
    password; the other routes serve both.
    """
    user, password = read_basic(request.headers.get("Authorization", ""))
    needs_password = (request.method, request.path) == ("POST", METRICS_PATH)
    if not user or (needs_password and not password):
        raise InvalidRequestError(401, "Please provide credentials for authentication.")
    return user


def _check_content_type(request: Request) -> None:
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip()
    if content_type.lower() != "application/json":
        raise InvalidRequestError(415, "the Content-Type is not application/json")


def _read(request: Request, body: bytes) -> LibratoVerdict:
    envelope = parse_object(body)
    if request.method == "PUT":
        return _read_update(request, envelope)
    if request.path == METRICS_PATH:
        items = list_gauges(envelope)
        entries = read_gauges(envelope, items, request.received_time)
        response = Response(200)
    else:
        items = list_measurements(envelope)
        entries = read_tagged(envelope, items, request.received_time)
        summary = {"total": len(items), "accepted": len(items), "failed": 0, "filtered": 0}
        response = Response.of_json(202, {"measurements": {"summary": summary}})
    return LibratoVerdict(replace(request, measurements=tuple(items)), response, entries)


def _read_update(request: Request, envelope: JsonObject) -> LibratoVerdict:
    require_gauge(envelope)
    command = Update(
        name=read_name(_name_in(request.path)),
        properties=read_properties(envelope),
        creates="type" in envelope,
    )
    return LibratoVerdict(request, Response(204), command=command)


def _read_lookup(path: str) -> Lookup:
    return Lookup() if path == METRICS_PATH else Lookup(_name_in(path))


def _name_in(path: str) -> str:
    return unquote(path.removeprefix(METRIC_PREFIX))
