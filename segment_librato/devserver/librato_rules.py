"""The rules of the Librato Metrics API for what is sent to it.

Pure: JSON values come in, samples or a `LibratoRefusalError` come out. Must not know sockets,
routes or earlier requests. Facts: librato/api-docs, "Submit Metrics" and "Create a Measurement".
"""

from __future__ import annotations

import math
import re
from types import NoneType
from typing import TYPE_CHECKING, Any

from segment_librato.devserver.exchange import Answer, RefusalError
from segment_librato.devserver.librato_store import Sample

if TYPE_CHECKING:
    from segment_librato.devserver.exchange import JsonObject

__all__ = ["LibratoRefusalError", "check_name", "check_properties", "list_sent", "read_sample"]

NAME = re.compile(r"[A-Za-z0-9.:_-]{1,255}")
TAG_NAME = re.compile(r"[-.:_A-Za-z0-9]{1,64}")
TAG_VALUE = re.compile(r"[-.:_A-Za-z0-9 ]{1,255}")
GREATEST = 1e126
SMALLEST = 1e-130
TIME_WINDOW = 7_200  # users report about two hours
SUMMARIES = {"average", "sum", "count", "min", "max"}


class LibratoRefusalError(RefusalError):
    """A request broke a rule and was refused as a whole, in the words of this API."""

    def __init__(self, status: int, text: str, field: str = "") -> None:
        """Refuse because of a field of a measurement or, without one, of the request itself."""
        super().__init__(status, f"{field} {text}" if field else text)
        errors = {"params": {field: [text]}} if field else {"request": [text]}
        self.answer = Answer.of_json(status, {"errors": errors})

    @classmethod
    def of(cls, error: RefusalError) -> LibratoRefusalError:
        """Return a refusal in the words of this API."""
        return error if isinstance(error, cls) else cls(error.answer.status or 400, error.text)


def list_sent(content: object, form: str) -> list[JsonObject]:
    """Return the measurements of a body with the values that it has for all of them.

    Args:
        content: the body.
        form: "gauges" or "measurements".
    """
    if not isinstance(content, dict):
        raise LibratoRefusalError(400, "the body is not an object")
    if "counters" in content:
        raise LibratoRefusalError(400, "are not kept here", "counters")
    sent = content.get(form)
    if isinstance(sent, dict) and form == "gauges":
        sent = [
            {"name": key, **gauge} if isinstance(gauge, dict) else gauge
            for key, gauge in sent.items()
        ]
    if not isinstance(sent, list) or not sent:
        raise LibratoRefusalError(400, f"there are no {form}")
    if not all(isinstance(one, dict) for one in sent):
        raise LibratoRefusalError(400, "has something that is no object", form)
    shared = {key: content[key] for key in _shared(form) if key in content}
    measurements = [{**shared, **one} for one in sent]
    if form == "measurements":
        for one, own in zip(measurements, sent, strict=True):
            one["tags"] = _merge_tags(content.get("tags"), own.get("tags"))
    return measurements


def _shared(form: str) -> tuple[str, ...]:
    return ("measure_time", "source") if form == "gauges" else ("time", "period")


def _merge_tags(*levels: object) -> JsonObject:
    """Return all tags; those of a later level win, and null removes one."""
    merged: JsonObject = {}
    for tags in levels:
        if not isinstance(tags, (dict, NoneType)):
            raise LibratoRefusalError(400, "is not an object", "tags")
        merged.update(tags or {})
    return {name: value for name, value in merged.items() if value is not None}


def read_sample(measurement: JsonObject, form: str, now: float) -> Sample:
    """Return the sample that a measurement is.

    Raises:
        LibratoRefusalError: it breaks a rule.
    """
    check_properties(measurement)
    name = check_name(measurement.get("name"))
    source = _source(measurement) if form == "gauges" else _tagged_source(measurement["tags"])
    time_field = "measure_time" if form == "gauges" else "time"
    at = measurement.get(time_field, int(now))
    if not isinstance(at, int) or isinstance(at, bool):
        raise LibratoRefusalError(400, "is not an integer", time_field)
    if abs(at - now) > TIME_WINDOW:
        raise LibratoRefusalError(400, "is too far in the past or in the future", time_field)
    return _multi_sample(measurement, name, source, at)


def check_name(name: object, field: str = "name") -> str:
    """Refuse what cannot be the name of a metric or of a source; return what can."""
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise LibratoRefusalError(400, "is not 1 to 255 of A-Za-z0-9.:-_", field)
    return name


def _source(measurement: JsonObject) -> str:
    if "source" not in measurement:
        return ""
    source = check_name(measurement["source"], "source")
    if source.lower() == "all":
        raise LibratoRefusalError(400, "is reserved", "source")
    return source


def _tagged_source(tags: JsonObject) -> str:
    if not tags:
        raise LibratoRefusalError(400, "are missing", "tags")
    for name, value in tags.items():
        if not TAG_NAME.fullmatch(name):
            raise LibratoRefusalError(400, "has a name that is not allowed", "tags")
        if not (isinstance(value, str) and TAG_VALUE.fullmatch(value)):
            raise LibratoRefusalError(400, "has a value that is not allowed", "tags")
    lowered = {name.lower(): value.lower() for name, value in tags.items()}
    return str(lowered.get("source", ""))


def _multi_sample(measurement: JsonObject, name: str, source: str, at: int) -> Sample:
    if "count" not in measurement:
        value = _number(measurement, "value")
        return Sample(name, source, at, 1, value, value, value, value * value)
    if "value" in measurement:
        raise LibratoRefusalError(400, "does not go with count", "value")
    count = measurement["count"]
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise LibratoRefusalError(400, "is not a positive integer", "count")
    total = _number(measurement, "sum")
    optional = {
        field: _number(measurement, field, GREATEST * GREATEST if "squares" in field else GREATEST)
        for field in ("min", "max", "sum_squares", "last", "stddev", "stddev_m2")
        if field in measurement
    }
    mean = total / count
    return Sample(
        name,
        source,
        at,
        count,
        total,
        optional.get("min", mean),
        optional.get("max", mean),
        optional.get("sum_squares", 0.0),
    )


def _number(measurement: JsonObject, field: str, greatest: float = GREATEST) -> float:
    value: Any = measurement.get(field)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise LibratoRefusalError(400, "is not a number", field)
    if not -greatest <= value <= greatest or math.isnan(value):
        raise LibratoRefusalError(400, "is too large", field)
    number: float = value
    return 0 if abs(number) < SMALLEST else number


def check_properties(properties: JsonObject) -> None:
    """Refuse properties that no metric can have."""
    for field in ("display_name", "description"):
        if not isinstance(properties.get(field, ""), str):
            raise LibratoRefusalError(400, "is not a string", field)
    period = properties.get("period", 1)
    if not isinstance(period, int) or isinstance(period, bool) or period < 1:
        raise LibratoRefusalError(400, "is not a positive integer", "period")
    attributes = properties.get("attributes", {})
    if not isinstance(attributes, dict):
        raise LibratoRefusalError(400, "is not an object", "attributes")
    if not isinstance(attributes.get("aggregate", False), bool):
        raise LibratoRefusalError(400, "is not a boolean", "aggregate")
    if attributes.get("summarize_function", "sum") not in SUMMARIES:
        raise LibratoRefusalError(400, "is unknown", "summarize_function")
