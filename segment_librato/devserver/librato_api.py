"""The routes of the Librato Metrics API: who may ask, what is asked, what it does.

Pure: a request and its body come in, a `Verdict` comes out, whose effect is for the store. Must
not know sockets or threads; the rules for a measurement are in `librato_rules`.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from segment_librato.devserver.body import decompress, parse
from segment_librato.devserver.exchange import Answer, RefusalError, Request, Verdict
from segment_librato.devserver.librato_rules import (
    LibratoRefusalError,
    check_name,
    check_properties,
    list_sent,
    read_sample,
)

if TYPE_CHECKING:
    from segment_librato.devserver.librato_store import LibratoStore

__all__ = ["ADVISED_MEASUREMENTS", "is_for_librato", "judge", "usual_error"]

FORMS = {"/v1/metrics": "gauges", "/v1/measurements": "measurements"}
ADVISED_MEASUREMENTS = 300


def is_for_librato(path: str) -> bool:
    """Return whether this API has the route."""
    return path in FORMS or path.startswith("/v1/metrics/")


def usual_error() -> bytes:
    """Return the body of an error that nobody gave a reason for."""
    return LibratoRefusalError(500, "scripted").answer.body


def judge(request: Request, body: bytes) -> Verdict:
    """Apply the rules to a request and its body as sent."""
    try:
        _check_account(request)
        return _read(request, body)
    except RefusalError as error:
        refusal = LibratoRefusalError.of(error)
    except RecursionError:
        refusal = LibratoRefusalError(400, "the body is nested too deeply")
    return Verdict(replace(request, refusal=refusal.text), refusal.answer)


def _check_account(request: Request) -> None:
    """Ask for a user; for a password only where AppOptics, which has none, has no route."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    try:
        user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:
        user = password = ""
    if scheme.lower() != "basic" or not user or not (password or request.path != "/v1/metrics"):
        raise LibratoRefusalError(401, "Please provide credentials for authentication.")


def _read(request: Request, body: bytes) -> Verdict:
    route = (request.method, "/v1/metrics/:name" if _metric(request) else request.path)
    if route == ("GET", "/v1/metrics/:name"):
        return Verdict(request, Answer(200), effect=lambda store: _show(store, _metric(request)))
    if route == ("GET", "/v1/metrics"):
        return Verdict(request, Answer(200), effect=_list)
    if route not in {("POST", path) for path in FORMS} | {("PUT", "/v1/metrics/:name")}:
        raise LibratoRefusalError(405, "the route does not take this method")
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise LibratoRefusalError(415, "the Content-Type is not application/json")
    body = decompress(body, request.headers.get("Content-Encoding", ""))
    request = replace(request, size=len(body))
    content = parse(body)
    if request.method == "POST":
        return _judge_measurements(request, content)
    return _judge_settings(request, content)


def _metric(request: Request) -> str:
    """Return the metric that a path names, if it names one."""
    prefix = "/v1/metrics/"
    return unquote(request.path.removeprefix(prefix)) if request.path.startswith(prefix) else ""


def _judge_measurements(request: Request, content: object) -> Verdict:
    form = FORMS[request.path]
    measurements = list_sent(content, form)
    now = time.time()
    samples = tuple(read_sample(measurement, form, now) for measurement in measurements)
    request = replace(request, measurements=tuple(measurements))
    if form == "gauges":
        answer = Answer(200)
    else:
        summary = {"total": len(samples), "accepted": len(samples), "failed": 0, "filtered": 0}
        answer = Answer.of_json(202, {"measurements": {"summary": summary}})

    def keep(store: LibratoStore) -> Answer:
        store.add(samples, measurements)
        if len(samples) > ADVISED_MEASUREMENTS:
            advice = f"{ADVISED_MEASUREMENTS} are advised"
            store.warn(f"{len(samples)} measurements in one request; {advice}")
        return answer

    return Verdict(request, answer, effect=keep)


def _judge_settings(request: Request, content: object) -> Verdict:
    if not isinstance(content, dict):
        raise LibratoRefusalError(400, "the body is not an object")
    check_properties(content)
    name = check_name(_metric(request))

    def put(store: LibratoStore) -> Answer:
        if not store.has(name) and content.get("type") != "gauge":
            return LibratoRefusalError(
                404, "there is no such metric, and no type to make it"
            ).answer
        if store.put(name, content):
            body = json.dumps(store.metric(name)).encode()
            return Answer(201, body, {"Location": request.path})
        return Answer(204)

    return Verdict(request, Answer(204), effect=put)


def _list(store: LibratoStore) -> Answer:
    metrics = list(store.metrics.values())
    count = len(metrics)
    query = {"found": count, "length": count, "offset": 0, "total": count}
    return Answer.of_json(200, {"query": query, "metrics": metrics})


def _show(store: LibratoStore, name: str) -> Answer:
    if not store.has(name):
        return LibratoRefusalError(404, "there is no such metric").answer
    measurements = {
        source: [
            {
                "measure_time": point.measure_time,
                "value": point.value,
                "count": point.count,
                "sum": point.sum,
                "min": point.min,
                "max": point.max,
                "sum_squares": point.sum_squares,
            }
            for point in points
        ]
        for source, points in store.points(name).items()
    }
    return Answer.of_json(200, {**store.metric(name), "measurements": measurements})
