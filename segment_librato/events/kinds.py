"""The types of Segment's spec that are not types of Python.

Owns what a number and a date may be in a call, and what are objects and arrays of JSON. Must not
know events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias, TypeGuard

__all__ = ["Date", "Number", "is_array", "is_object"]

Number: TypeAlias = float | Decimal
"""A number, whole or not."""

Date: TypeAlias = str | date
"""A time in ISO 8601, or a date or datetime, which is sent as one."""


def is_object(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Return whether a value is an object in JSON."""
    return isinstance(value, Mapping)


def is_array(value: object) -> TypeGuard[Sequence[Any]]:
    """Return whether a value is an array in JSON."""
    return isinstance(value, (list, tuple))
