"""The rules of the Librato API for single fields: names, numbers, times, tags, properties.

Pure. Each `read_` function turns JSON into what Librato keeps of it. Must not know how a
measurement is put together.

The rules are those of Librato's API documentation ("Metrics", "Measurements"). It does not state
the bounds of a time; users of the service report two hours into the past.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from segment_librato.devserver.http.exchange import InvalidRequestError
from segment_librato.foreign.narrowing import is_dict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segment_librato.devserver.http.exchange import JsonObject

__all__ = [
    "InvalidFieldError",
    "read_count",
    "read_name",
    "read_number",
    "read_properties",
    "read_source",
    "read_tags",
    "read_time",
    "require_gauge",
]

MAX_VALUE = 10**126
MIN_VALUE = 1e-130  # nearer to zero is zero
MAX_TIME_DIFFERENCE = 120 * 60
SUMMARIZE_FUNCTIONS = {"average", "count", "max", "min", "sum"}

NAME = re.compile(r"[A-Za-z0-9.:_-]{1,255}")
TAG_NAME = re.compile(r"[-.:_\w]{1,64}", re.ASCII)
TAG_VALUE = re.compile(r"[-.:_\w ]{1,255}", re.ASCII)


class InvalidFieldError(InvalidRequestError):
    """A field holds what Librato does not accept.

    Attributes:
        field: the name of the field.
        problem: what is wrong; continues the sentence that the name of the field begins.
    """

    def __init__(self, field: str, problem: str, where: str = "") -> None:
        super().__init__(400, f"{where}{field} {problem}")
        self.field = field
        self.problem = problem

    def within(self, where: str) -> InvalidFieldError:
        """Return the same error with the place of the field in front of its text."""
        return InvalidFieldError(self.field, self.problem, where)


def read_name(value: object) -> str:
    """Return the name of a metric."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise InvalidFieldError("name", "is not 1 to 255 of A-Z, a-z, 0-9, '.', ':', '-' and '_'")
    return value


def read_source(item: Mapping[str, object], default: str) -> str:
    """Return the `source` of `item`, or `default`."""
    if "source" not in item:
        return default
    source = item["source"]
    if not isinstance(source, str) or not NAME.fullmatch(source):
        raise InvalidFieldError("source", "is not 1 to 255 of A-Z, a-z, 0-9, '.', ':', '-' and '_'")
    if source.lower() == "all":
        raise InvalidFieldError("source", "is a reserved word")
    return source


def read_number(item: Mapping[str, object], field: str) -> float:
    """Return the number in a field that `item` has: int or float as sent, tiny ones as 0."""
    value = item[field]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidFieldError(field, "is not a number")
    # A negation, as NaN is within no bounds.
    if not -MAX_VALUE <= value <= MAX_VALUE:
        raise InvalidFieldError(field, "exceeds 1e126 in magnitude")
    return 0 if abs(value) < MIN_VALUE else value


def read_count(item: Mapping[str, object]) -> int:
    """Return the number of values that `item` stands for."""
    count = read_number(item, "count")
    if not isinstance(item["count"], int) or count < 1:
        raise InvalidFieldError("count", "is not an integer of 1 or more")
    return int(count)


def read_time(item: Mapping[str, object], field: str, default: int, now: int) -> int:
    """Return the time in a field of `item`, or `default`; all in seconds since the epoch."""
    if field not in item:
        return default
    time = item[field]
    if isinstance(time, bool) or not isinstance(time, int):
        raise InvalidFieldError(field, "is not an integer")
    if time < now - MAX_TIME_DIFFERENCE:
        raise InvalidFieldError(field, "is too far in the past")
    if time > now + MAX_TIME_DIFFERENCE:
        raise InvalidFieldError(field, "is too far in the future")
    return time


def read_tags(item: Mapping[str, object]) -> dict[str, str | None]:
    """Return the `tags` of `item` in lower case, none if it has none; None unsets a tag."""
    tags = item.get("tags", {})
    if not is_dict(tags):
        raise InvalidFieldError("tags", "is not an object")
    return {_read_tag_name(name): _read_tag_value(value) for name, value in tags.items()}


def _read_tag_name(name: str) -> str:
    if not TAG_NAME.fullmatch(name):
        raise InvalidFieldError("tags", "has a name that is not 1 to 64 of [-.:_\\w]")
    return name.lower()


def _read_tag_value(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not TAG_VALUE.fullmatch(value):
        raise InvalidFieldError("tags", "has a value that is not 1 to 255 of [-.:_\\w ]")
    return value.lower()


def require_gauge(item: Mapping[str, object]) -> None:
    """Check that `type`, if there is one, is that of a gauge."""
    if item.get("type", "gauge") != "gauge":
        raise InvalidFieldError("type", "is not gauge: only gauges are kept here")


def read_properties(item: Mapping[str, object]) -> JsonObject:
    """Return the properties of a metric that `item` has."""
    for field in ("display_name", "description"):
        if not isinstance(item.get(field, ""), str):
            raise InvalidFieldError(field, "is not a string")
    period = item.get("period", 1)
    if isinstance(period, bool) or not isinstance(period, int) or period < 1:
        raise InvalidFieldError("period", "is not an integer of 1 or more")
    _check_attributes(item.get("attributes", {}))
    fields = ("display_name", "description", "period", "attributes")
    return {field: item[field] for field in fields if field in item}


def _check_attributes(attributes: object) -> None:
    if not is_dict(attributes):
        raise InvalidFieldError("attributes", "is not an object")
    if not isinstance(attributes.get("aggregate", False), bool):
        raise InvalidFieldError("attributes", "has an aggregate that is neither true nor false")
    function = attributes.get("summarize_function", "average")
    if not isinstance(function, str) or function not in SUMMARIZE_FUNCTIONS:
        raise InvalidFieldError(
            "attributes", "has a summarize_function that is not average, sum, count, min or max"
        )
