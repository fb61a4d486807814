"""Aggregation: many samples of a gauge in one period become one multi-sample gauge.

Owns what samples add up to. Sums are exact, so that the order of the samples and their division
among threads leave no trace, and the memory they take does not grow with their number.

Knows nothing of clocks, queues and requests.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segment_librato.librato.mapper import Measurement

__all__ = ["MultiSample"]

_encoder = json.JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":"))

_USUAL_LENGTH = 180  # of the JSON without name and source: the keys and six numbers


class _Totals:
    """What some samples add up to; never changed, but succeeded by greater totals, once.

    Attributes:
        count: how many samples there are.
        lowest: the least of them.
        highest: the greatest of them.
        are_whole: whether all of them are ints.
        places: how many binary places the sum has.
        units: the sum, times 2 ** places.
        square_units: the sum of the squares, times 4 ** places.
        successor: under "is", the totals that count instead of these, or None if these stay the
            last. A dict, because its `setdefault` is atomic.
    """

    __slots__ = (
        "are_whole",
        "count",
        "highest",
        "lowest",
        "places",
        "square_units",
        "successor",
        "units",
    )

    def __init__(self, value: float) -> None:
        """Make the totals of one sample."""
        self.units, denominator = value.as_integer_ratio()
        self.places = denominator.bit_length() - 1  # the denominator is a power of two
        self.square_units = self.units * self.units
        self.count = 1
        self.lowest = self.highest = value
        self.are_whole = isinstance(value, int)
        self.successor: dict[str, _Totals | None] = {}

    def plus(self, other: _Totals) -> _Totals:
        """Return the totals of these samples and those."""
        both = _Totals.__new__(_Totals)
        both.count = self.count + other.count
        both.lowest = min(self.lowest, other.lowest)
        both.highest = max(self.highest, other.highest)
        both.are_whole = self.are_whole and other.are_whole
        both.places = places = max(self.places, other.places)
        mine, others = places - self.places, places - other.places
        both.units = (self.units << mine) + (other.units << others)
        both.square_units = (self.square_units << 2 * mine) + (other.square_units << 2 * others)
        both.successor = {}
        return both

    def sum(self) -> float:
        """Return the sum: exact for ints, else rounded once."""
        return self.units if self.are_whole else self.units / (1 << self.places)

    def sum_squares(self) -> float:
        """Return the sum of the squares: exact for ints, else rounded once."""
        return self.square_units if self.are_whole else self.square_units / (1 << 2 * self.places)


class MultiSample:
    """A gauge with the samples that one source gave it in one period.

    Thread-safe without a lock: a signal handler may use it in the middle of any method.

    Attributes:
        key: name, source and measure_time; samples with the same key belong together.
    """

    __slots__ = ("__weakref__", "_totals", "key")

    def __init__(self, measurement: Measurement, period: int, now: int) -> None:
        """Begin with one sample.

        Args:
            measurement: the sample.
            period: in seconds; the `measure_time` becomes the beginning of its period.
            now: seconds since the epoch, the time of a measurement without one.
        """
        time = now if measurement.measure_time is None else measurement.measure_time
        self.key = (measurement.name, measurement.source, time - time % period)
        self._totals = _Totals(measurement.value)

    def fold(self, other: MultiSample) -> bool:
        """Count the samples of `other` as well; return False if this one is sealed."""
        while True:
            totals = self._last_totals()
            greater = totals.plus(other._last_totals())
            # The one moment in which the samples begin to count: the first successor stays. If a
            # signal handler came first, then `greater` lacks what it did and counts for nothing.
            successor = totals.successor.setdefault("is", greater)
            if successor is greater:
                self._totals = greater
                return True
            if successor is None:
                return False

    def seal(self) -> None:
        """Let nothing be folded in from now on."""
        while self._last_totals().successor.setdefault("is", None) is not None:
            pass  # something was folded in at the last moment

    def is_sealed(self) -> bool:
        """Return whether nothing more can be folded in."""
        return "is" in self._last_totals().successor

    def as_dict(self) -> dict[str, object]:
        """Return the gauge as Librato takes it."""
        name, source, measure_time = self.key
        totals = self._last_totals()
        return {
            "name": name,
            "count": totals.count,
            "sum": totals.sum(),
            "min": totals.lowest,
            "max": totals.highest,
            "sum_squares": totals.sum_squares(),
            "measure_time": measure_time,
            "source": source,
        }

    def __bytes__(self) -> bytes:
        """Return the JSON of the gauge."""
        return _encoder.encode(self.as_dict()).encode()

    def __len__(self) -> int:
        """Return about how many bytes the JSON has, always the same number."""
        name, source, _ = self.key
        return _USUAL_LENGTH + len(name) + len(source)

    def _last_totals(self) -> _Totals:
        """Return the totals that count; `_totals` lags behind when a method was interrupted."""
        totals = self._totals
        while (successor := totals.successor.get("is")) is not None:
            totals = successor
        return totals
