"""What may be handed to an encoder as it is, found out in a fraction of the encoder's time.

An encoder writes down a value as often as it is met, a million times if need be, and spells some
that a message as it is sent does not hold. CPython's garbage collector knows more of a dict: it
does not track one of nothing but texts, numbers, None and values that encoders refuse. (Since
3.14 it tracks all, which takes more looks.) So an event of 4 KB takes 3 us instead of 13.

Knows nothing of messages, or of JSON.
"""

from __future__ import annotations

import gc
from gc import get_referents
from itertools import chain
from typing import Any

__all__ = ["check_plain", "count_none", "is_tracked", "look_into"]

MOST_LEVELS = 8
MOST_VALUES = 1_000  # one long text may be all of them

_CONTAINERS = frozenset({dict, list, tuple})

# Without it, as on PyPy, everything is looked at, and nothing found to be plain.
is_tracked = getattr(gc, "is_tracked", bool)


def check_plain(*dicts: dict[str, Any]) -> None:
    """Check what `look_into` does, in fewer steps if there is little in the dicts that is nested.

    That is a tenth of the time of a call with an event of 4 KB.
    """
    tracked = [*filter(is_tracked, chain.from_iterable(map(dict.values, dicts)))]
    for one in tracked:
        if type(one) not in _CONTAINERS:
            raise TypeError("not plain")
    values = get_referents(*tracked)
    if len(values) > MOST_VALUES or True in map(is_tracked, values):
        look_into(*tracked)


def look_into(*containers: object) -> list[Any]:
    """Check that there are but few values in some containers, and nothing but plain ones.

    Returns:
        The values it met; what is in dicts that are not tracked it does not meet.

    Raises:
        ValueError: there are too many values to say so.
        TypeError: they are not plain.
    """
    met: list[Any] = []
    tracked: Any = containers
    for _ in range(MOST_LEVELS):
        values = get_referents(*tracked)
        met += values
        tracked = [*filter(is_tracked, values)]
        if not tracked:
            return met
        if len(met) > MOST_VALUES:
            raise ValueError("many values")
        for one in tracked:
            if type(one) not in _CONTAINERS:
                raise TypeError("not plain")
    raise ValueError("many levels")


def count_none(value: dict[str, Any]) -> int:
    """Return how many None there are in a dict that was looked into."""
    count, containers = 0, [value]
    while containers:
        values = get_referents(*containers)
        count += values.count(None)
        containers = [one for one in values if type(one) in _CONTAINERS]
    return count
