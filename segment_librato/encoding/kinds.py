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

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["conversions", "dump_method", "field_names"]


def field_names(value: Any) -> list[str] | None:
    """Return the names of the fields of a dataclass or attrs instance."""
    if hasattr(type(value), "__dataclass_fields__"):
        from dataclasses import fields

        return [field.name for field in fields(value)]
    attributes = getattr(type(value), "__attrs_attrs__", None)
    return None if attributes is None else [attribute.name for attribute in attributes]


def dump_method(kind: type) -> str | None:
    """Return the method that turns a pydantic model into a dict, of version 2 or 1."""
    if hasattr(kind, "model_dump"):
        return "model_dump"
    return "dict" if hasattr(kind, "__fields__") and hasattr(kind, "dict") else None


def _moment_text(value: date | time) -> str | None:
    """Return the ISO 8601 text; None for the "not a time" of pandas."""
    return value.isoformat() if value == value else None  # noqa: PLR0124 - NaT equals nothing


def _decimal_number(value: Decimal) -> float:
    """Return an int if it is one, of a size that a float could have; else a float."""
    if not value.is_finite():
        return math.nan
    if value.adjusted() <= sys.float_info.max_10_exp and value == value.to_integral_value():
        return int(value)
    return float(value)


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
        (timedelta, timedelta.total_seconds),
        (Decimal, _decimal_number),
        ((UUID, IPv4Address, IPv4Network, IPv6Address, IPv6Network), str),
        (os.PathLike, os.fspath),
        (complex, str),
        (numbers.Number, _plain_number),
    )
