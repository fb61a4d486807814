"""Whether values have the types of Segment's spec.

A TypedDict is all there is to a check: its keys are read at its first use. Owns the comparison of a
value with a type. Must not know which event has which type.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

from segment_librato.errors import ValidationError
from segment_librato.events.kinds import Date, Number, is_array, is_object
from segment_librato.events.names import find_similar
from segment_librato.events.problems import Problem, describe, shorten
from segment_librato.message.timestamp import format_timestamp

__all__ = ["check_object", "keys_of"]


def check_object(value: object, kind: Any, path: str) -> Iterator[Problem]:  # noqa: ANN401  a TypedDict
    """Yield what keeps a value from being this TypedDict: keys of the user's own do not.

    Args:
        value: properties, traits, a context, or what is in them.
        kind: the TypedDict.
        path: where the value is in the message.
    """
    if not is_object(value):
        yield _wrong_type(value, "an object", path)
        return
    keys = keys_of(kind)
    missing = {key for key in kind.__required_keys__ if value.get(key) is None}
    for key, found in value.items():
        inside = f"{path}.{shorten(key)}"
        if key in keys:
            yield from _check_value(found, keys[key], inside)
        elif isinstance(key, str) and (similar := find_similar(key, keys)) and similar not in value:
            missing.discard(similar)
            text = f"{inside} looks like {similar}"
            yield Problem("property_name", inside, text, similar)
    for key in sorted(missing):
        yield Problem("missing", f"{path}.{key}", f"{path}.{key} is missing")


@lru_cache(maxsize=128)
def keys_of(kind: Any) -> dict[str, Any]:  # noqa: ANN401  the same
    """Return the keys of a TypedDict, each with the type of its value."""
    return get_type_hints(kind)


def _check_value(value: object, kind: Any, path: str) -> Iterator[Problem]:  # noqa: ANN401  any type
    """Yield what keeps a value from being of a type; null is no value, and so of any type."""
    if value is None:
        return
    if is_typeddict(kind):
        yield from check_object(value, kind, path)
    elif is_array(value) and (items := _type_of_items(kind)):
        for at, item in enumerate(value):
            yield from _check_value(item, items, f"{path}[{at}]")
    elif not _is(value, kind):
        if isinstance(value, str) and get_origin(kind) is Literal:
            yield Problem("wrong_value", path, f"{path} is not {_words_for(kind)}")
        else:
            yield _wrong_type(value, _words_for(kind), path)


def _wrong_type(value: object, expected: str, path: str) -> Problem:
    return Problem("wrong_type", path, f"{path} is {describe(value)}, not {expected}")


def _type_of_items(kind: Any) -> Any:  # noqa: ANN401  any type
    """Return the type of the items of an array, also if that is one of several possible types."""
    for one in (kind, *get_args(kind)):
        if get_origin(one) in {list, Sequence}:
            return get_args(one)[0]
    return None


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (numbers.Real, Decimal)):
        return False
    if isinstance(value, Decimal):  # a comparison of one that is NaN may raise
        return value.is_finite()
    number: Any = value  # `math.isfinite` raises for an int that is larger than any float
    return bool(-math.inf < number < math.inf)


def _is_integer(value: Any) -> bool:  # noqa: ANN401  it is a number once that is checked
    return _is_number(value) and value == int(value)


def _is_date(value: object) -> bool:
    if isinstance(value, date):
        return True
    try:
        return isinstance(value, str) and format_timestamp(value, 0.0) is not None
    except ValidationError:
        return False


# Those that others are made of come last.
CHECKS: dict[Any, tuple[Callable[[object], bool], str]] = {
    Date: (_is_date, "a date in ISO 8601"),
    Number: (_is_number, "a number"),
    str: (lambda value: isinstance(value, str), "a string"),
    int: (_is_integer, "an integer"),
    float: (_is_number, "a number"),
    bool: (lambda value: isinstance(value, bool), "a boolean"),
    Mapping: (is_object, "an object"),
    list: (is_array, "an array"),
    Sequence: (is_array, "an array"),
}


def _is(value: object, kind: Any) -> bool:  # noqa: ANN401  any type
    if check := _check_of(kind):
        return check[0](value)
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    return any(_is(value, one) for one in get_args(kind) if one not in {type(None), Decimal})


def _words_for(kind: Any) -> str:  # noqa: ANN401  the same
    if check := _check_of(kind):
        return check[1]
    if get_origin(kind) is Literal:
        return _in_words([f'"{one}"' for one in get_args(kind)])
    words = [_words_for(one) for one in get_args(kind) if one not in {type(None), Decimal}]
    return _in_words(words)


def _check_of(kind: Any) -> tuple[Callable[[object], bool], str] | None:  # noqa: ANN401  the same
    return CHECKS.get(kind) or CHECKS.get(get_origin(kind))


def _in_words(items: list[str]) -> str:
    *most, last = dict.fromkeys(items)
    return f"{', '.join(most)} or {last}" if most else last
