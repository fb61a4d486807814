"""Whether a dict may be handed to an encoder as it is, found out in a fraction of its time.

Both encoders write down a value as often as it is met, a million times if need be, and spell some
that a message as it is sent does not hold. Knows nothing of messages, or of JSON.
"""

from __future__ import annotations

from gc import is_tracked
from typing import Any

__all__ = ["look_into"]

MOST_LEVELS = 8
MOST_VALUES = 1_000  # one long text may be all of them

_SCALARS = frozenset({str, int, float, bool})
_CONTAINERS = frozenset({dict, list, tuple})


def look_into(value: dict[str, Any]) -> tuple[list[Any], int]:
    """Return all containers in a dict, itself first, and how many None there are.

    CPython does not track, and it is not looked into, a dict of nothing but texts, numbers, None
    and what either encoder refuses. That makes it 3 us instead of 13 for an event of 4 KB. The
    None of such a dict are not counted.

    Raises:
        ValueError: there are too many values to say so.
        TypeError: it is not plain.
    """
    level = found = [value]
    nones, room = 0, MOST_VALUES
    for _ in range(MOST_LEVELS):
        inner: list[Any] = []
        for container in level:
            if type(container) is dict and not is_tracked(container):
                continue
            room -= len(container)
            if room < 0:
                raise ValueError("many values")
            nones += _sort(container, inner)
        if not inner:
            return found, nones
        found, level = found + inner, inner
    raise ValueError("many levels")


def _sort(container: Any, inner: list[Any]) -> int:  # noqa: ANN401  dict, list or tuple
    """Add the containers in this one to `inner`; return how many None are in it."""
    values = container.values() if type(container) is dict else container
    nones = 0
    for item in [item for item in values if type(item) not in _SCALARS]:
        if item is None:
            nones += 1
        elif type(item) in _CONTAINERS:
            inner.append(item)
        else:
            raise TypeError("not plain")
    return nones
