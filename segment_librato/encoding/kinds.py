"""Kinds of values that JSON does not have, and what each is sent as.

One row, one kind: to support another type, add a row to `conversions`. Must not know budgets,
messages, threads or the network.
"""

from __future__ import annotations

import math
import numbers
import os
import sys
from datetime import date, time, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from segment_librato.foreign.narrowing import type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "array_item",
    "conversions",
    "dump_method",
    "field_names",
    "is_array",
    "is_missing",
    "is_table",
    "keyed_entries",
    "table_rows",
]


MAX_DIGITS = 4_300  # of an int that Python writes, unless told otherwise

_NUMBER: type[Any] = numbers.Number
_MISSING = (("pandas", "NA"), ("msgspec", "UNSET"))


def is_missing(value: object) -> bool:
    """Return whether it is what a package puts in the place of a value that is missing."""
    return any(getattr(sys.modules.get(package), name, None) is value for package, name in _MISSING)


def is_array(value: Any) -> bool:
    """Return whether it is an array, or a scalar of one: of numpy, torch, jax, pandas, ..."""
    return hasattr(type_of(value), "item") and hasattr(value, "dtype") and hasattr(value, "shape")


def array_item(value: Any) -> object:
    """Return what an array without dimensions, or a scalar, holds; None if it is masked."""
    item = value.tolist() if hasattr(type_of(value), "mask") else value.item()
    letter = getattr(value.dtype, "kind", "")  # numpy's for a kind of types
    if letter == "M" and type(item) is int:  # of a unit or time that `datetime` does not have
        text = str(value)
        return text.rstrip("0").rstrip(".") if "." in text else text
    if letter == "m" and type(item) is int:
        duration = value[()]
        return duration / type(duration)(1, "s")
    is_unknown = hasattr(type_of(item), "__float__") and not isinstance(item, _NUMBER)
    if is_unknown or type(item) is type(value):  # such as a bfloat16; a `numpy.longdouble`
        return complex(item) if letter == "c" else float(item)
    return item


def is_table(value: object) -> bool:
    """Return whether it is a data frame of pandas or polars."""
    kind = type_of(value)
    has_rows = hasattr(kind, "itertuples") or hasattr(kind, "iter_rows")
    return has_rows and hasattr(kind, "columns") and hasattr(kind, "shape")


def table_rows(value: Any) -> Iterator[Iterable[tuple[object, object]]]:
    """Yield the rows of a data frame, each as pairs of column and value."""
    names = list(value.columns)
    is_polars = hasattr(type_of(value), "iter_rows")
    rows = value.iter_rows() if is_polars else value.itertuples(index=False, name=None)
    for row in rows:
        yield zip(names, row, strict=True)


def keyed_entries(value: Any) -> Iterable[tuple[object, object]] | None:
    """Return keys and values of what has them but is no Mapping; None for anything else.

    To iterate over such a thing would give only its keys, or only its values: a row of SQLAlchemy
    or sqlite3, a Series of pandas (unless its labels are just numbers).
    """
    kind = type_of(value)
    entries: Iterable[tuple[object, object]] | None = None
    if hasattr(kind, "_mapping") and hasattr(kind, "_fields"):
        entries = value._mapping.items()  # noqa: SLF001  documented
    elif all(hasattr(kind, name) for name in ("keys", "__getitem__", "__iter__")):
        labels = getattr(getattr(value, "index", None), "dtype", None)
        if getattr(labels, "kind", "") in {"i", "u"}:
            return None
        # To iterate over it might give its values.
        is_complete = hasattr(kind, "items")
        entries = value.items() if is_complete else ((key, value[key]) for key in value.keys())  # noqa: SIM118
    return entries


def field_names(value: Any) -> list[tuple[str, str]] | None:
    """Return the fields of a dataclass, attrs or msgspec instance: as sent, and as attributes."""
    kind = type_of(value)
    if hasattr(kind, "__dataclass_fields__"):
        from dataclasses import fields

        return [(field.name, field.name) for field in fields(value)]
    if hasattr(kind, "__struct_fields__"):
        return [*zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)]
    attributes = getattr(kind, "__attrs_attrs__", None)
    return None if attributes is None else [(one.name, one.name) for one in attributes]


def dump_method(kind: type) -> str | None:
    """Return the method that turns a pydantic model into a dict, of version 2 or 1."""
    if hasattr(kind, "model_dump"):
        return "model_dump"
    return "dict" if hasattr(kind, "__fields__") and hasattr(kind, "dict") else None


def _moment_text(value: date | time) -> str | None:
    """Return the ISO 8601 text; None for the "not a time" of pandas."""
    return value.isoformat() if value == value else None  # noqa: PLR0124 - NaT equals nothing


def _decimal_number(value: Decimal) -> float:
    """Return an int if it is one, or too large for a float; else a float."""
    if not value.is_finite() or value.adjusted() >= MAX_DIGITS:
        return math.nan
    is_large = value.adjusted() >= sys.float_info.max_10_exp
    return int(value) if is_large or value == value.to_integral_value() else float(value)


def _plain_number(value: numbers.Number) -> float:
    return int(value) if isinstance(value, numbers.Integral) else float(value)  # type: ignore[arg-type]  # it has no methods


@cache
def conversions() -> tuple[tuple[Any, Callable[[Any], object]], ...]:
    """Return pairs of types and the function that converts a value of them.

    The first pair that fits is used, and its result is converted in turn.
    """
    # 5 ms, for the few that need it
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
    from uuid import UUID

    return (
        ((date, time), _moment_text),
        (timedelta, lambda value: value.total_seconds()),
        (Decimal, _decimal_number),
        ((UUID, IPv4Address, IPv4Network, IPv6Address, IPv6Network), str),
        (os.PathLike, os.fspath),
        (complex, str),
        (numbers.Number, _plain_number),
    )
