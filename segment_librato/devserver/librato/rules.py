"""The rules of the Librato API for a body of measurements, in the legacy and in the tagged form.

Pure: a JSON object and the time of receipt come in, samples come out. Must not know headers,
routes or earlier requests; the rules for a single field are in `fields`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from segment_librato.devserver.http.exchange import InvalidRequestError
from segment_librato.devserver.librato.fields import (
    InvalidFieldError,
    read_count,
    read_name,
    read_number,
    read_properties,
    read_source,
    read_tags,
    read_time,
)
from segment_librato.devserver.librato.samples import Sample
from segment_librato.foreign.narrowing import is_dict, is_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.devserver.http.exchange import JsonObject

__all__ = ["Entry", "find_excess", "list_gauges", "list_measurements", "read_gauges", "read_tagged"]

# The guideline for POST /v1/metrics; the service accepts more, but slowly.
ADVISED_MEASUREMENTS = 300

SUMMARY_FIELDS = ("count", "sum", "min", "max")
LEGACY_SUMMARY_FIELDS = (*SUMMARY_FIELDS, "sum_squares")
TAGGED_SUMMARY_FIELDS = (*SUMMARY_FIELDS, "last", "stddev", "stddev_m2")


class Entry(NamedTuple):
    """A sample, and the properties that its metric takes if the sample creates it."""

    sample: Sample
    properties: JsonObject


def find_excess(count: int) -> str:
    """Say that a request of `count` measurements is larger than advised; empty if it is not."""
    if count <= ADVISED_MEASUREMENTS:
        return ""
    return f"{count:,} measurements in one request, more than the {ADVISED_MEASUREMENTS} advised"


def list_gauges(envelope: JsonObject) -> list[Any]:
    """Return the items of a legacy body; those that have their name as a key get it as a field."""
    if envelope.get("counters"):
        raise InvalidFieldError("counters", "are not kept here, only gauges are")
    gauges = envelope.get("gauges")
    if is_dict(gauges):
        gauges = [
            {"name": key, **gauge} if is_dict(gauge) else gauge for key, gauge in gauges.items()
        ]
    return _require_items("gauges", gauges)


def list_measurements(envelope: JsonObject) -> list[Any]:
    """Return the items of a tagged body."""
    return _require_items("measurements", envelope.get("measurements"))


def _require_items(field: str, items: object) -> list[Any]:
    if not is_list(items) or not items:
        raise InvalidRequestError(400, f"{field} holds no measurement")
    for position, item in enumerate(items):
        if not isinstance(item, dict):
            raise InvalidRequestError(400, f"measurement {position} is not an object")
    return items


def read_gauges(envelope: JsonObject, gauges: list[JsonObject], now: int) -> tuple[Entry, ...]:
    """Return the entries that `gauges`, the items of a legacy body, make.

    Raises:
        InvalidFieldError: One of them, or a default for all of them, breaks a rule.
    """
    time = read_time(envelope, "measure_time", now, now)
    source = read_source(envelope, "")

    def read(gauge: JsonObject) -> Entry:
        sample = Sample(
            name=read_name(gauge.get("name")),
            source=read_source(gauge, source),
            measure_time=read_time(gauge, "measure_time", time, now),
            **_read_values(gauge, LEGACY_SUMMARY_FIELDS),
        )
        return Entry(sample, read_properties(gauge))

    return _read_each(gauges, read)


def read_tagged(envelope: JsonObject, items: list[JsonObject], now: int) -> tuple[Entry, ...]:
    """Return the entries that `items`, those of a tagged body, make.

    Raises:
        InvalidFieldError: One of them, or a default for all of them, breaks a rule.
    """
    time = read_time(envelope, "time", now, now)
    shared_tags = read_tags(envelope)
    shared_properties = {"period": envelope["period"]} if "period" in envelope else {}
    read_properties(shared_properties)

    def read(item: JsonObject) -> Entry:
        tags = {**shared_tags, **read_tags(item)}
        if all(value is None for value in tags.values()):
            raise InvalidFieldError("tags", "is required")
        sample = Sample(
            name=read_name(item.get("name")),
            source=tags.get("source") or "",
            measure_time=read_time(item, "time", time, now),
            **_read_values(item, TAGGED_SUMMARY_FIELDS),
        )
        return Entry(sample, read_properties({**shared_properties, **item}))

    return _read_each(items, read)


def _read_each(items: list[JsonObject], read: Callable[[JsonObject], Entry]) -> tuple[Entry, ...]:
    return tuple(_read_one(position, item, read) for position, item in enumerate(items))


def _read_one(position: int, item: JsonObject, read: Callable[[JsonObject], Entry]) -> Entry:
    try:
        return read(item)
    except InvalidFieldError as error:
        raise error.within(f"measurement {position}: ") from None


def _read_values(item: JsonObject, summary_fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of a `Sample` that hold numbers."""
    summary = [field for field in summary_fields if field in item]
    if "value" not in item:
        return _read_summary(item, summary)
    if summary:
        raise InvalidFieldError("value", f"does not go with {summary[0]}")
    value = read_number(item, "value")
    return {"count": 1, "sum": value, "min": value, "max": value, "sum_squares": value * value}


def _read_summary(item: JsonObject, summary: list[str]) -> dict[str, Any]:
    if not summary:
        raise InvalidFieldError("value", "is required")
    for field in ("count", "sum"):
        if field not in item:
            raise InvalidFieldError(field, "is required")
    if "stddev" in summary and "stddev_m2" in summary:
        raise InvalidFieldError("stddev", "does not go with stddev_m2")
    numbers = {field: read_number(item, field) for field in summary}
    values = {field: numbers.get(field) for field in LEGACY_SUMMARY_FIELDS}
    return {**values, "count": read_count(item)}
