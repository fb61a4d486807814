"""Aggregation: many samples of a gauge in one period become one multi-sample gauge.

Owns what samples add up to. Sums are exact, so the result does not depend on the order of the
samples or on the threads they came from; the memory used does not grow with their number.

Must not know clocks, queues or requests.
"""

from __future__ import annotations

from functools import reduce
from itertools import filterfalse, starmap
from typing import TYPE_CHECKING, Any, ClassVar

from segment_librato.gauge_delivery.wire import encode
from segment_librato.librato.mapper import MAX_VALUE

if TYPE_CHECKING:
    from segment_librato.librato.mapper import Measurement

__all__ = ["MultiSample", "Totals"]

_LARGE_VALUE = 1e100  # no number of samples below it adds up to more than MAX_VALUE
_USUAL_LENGTH = 180  # of the JSON without name and source: the keys and six numbers


class Totals:
    """What some samples add up to. Immutable.

    Attributes:
        count: the number of samples.
        lowest: the smallest of them.
        highest: the largest of them.
        are_whole: whether all of them are ints.
        places: the number of binary places of the sum.
        units: the sum, times 2 ** places.
        square_units: the sum of the squares, times 4 ** places.
    """

    __slots__ = ("are_whole", "count", "highest", "lowest", "places", "square_units", "units")

    def __init__(self, value: float) -> None:
        """Make the totals of one sample."""
        units, denominator = value.as_integer_ratio()
        self.units: int = units
        self.places: int = denominator.bit_length() - 1  # the denominator is a power of two
        self.square_units: int = units * units
        self.count: int = 1
        self.lowest: float = value
        self.highest: float = value
        self.are_whole: bool = isinstance(value, int)

    def plus(self, other: Totals) -> Totals:
        """Return the totals of these samples and those."""
        kind = self.__class__
        both = kind.__new__(kind)
        both.count = self.count + other.count
        both.lowest = min(self.lowest, other.lowest)
        both.highest = max(self.highest, other.highest)
        both.are_whole = self.are_whole and other.are_whole
        both.places = places = max(self.places, other.places)
        mine, others = places - self.places, places - other.places
        both.units = (self.units << mine) + (other.units << others)
        both.square_units = (self.square_units << 2 * mine) + (other.square_units << 2 * others)
        return both

    def fits(self) -> bool:
        """Return whether Librato takes the sum."""
        return abs(self.units) <= MAX_VALUE << self.places

    def sum(self) -> float:
        """Return the sum: exact for ints, else rounded once."""
        return self.units if self.are_whole else self.units / (1 << self.places)

    def sum_squares(self) -> float:
        """Return the sum of the squares: exact for ints, else rounded once."""
        return self.square_units if self.are_whole else self.square_units / (1 << 2 * self.places)


# The end of the samples that count, in the list of a sealed gauge; as the arguments of a call,
# there are none.
_SEAL: Any = ()


class MultiSample:
    """A gauge with the samples that one source gave it in one period.

    Thread-safe, without a lock. A signal handler or a `__del__` may call any method in the middle
    of another, and Ctrl-C may end it.

    The only state is a list of totals: first the sum so far, then what came since, then perhaps a
    seal, after which nothing counts. Each change of the list is a single C call, so at every
    moment the list says exactly which samples count:

    - `append` takes samples in. A fold during another one does no more than that.
    - The first fold adds up: it computes a sum, then replaces its two summands with it. If Ctrl-C
      comes first, the summands stay, and a later call adds them up.

    Attributes:
        key: name, source and measure_time; samples with the same key belong together.
        outside: what it adds up to, for as long as it counts nowhere: neither in another gauge, nor
            as one that waits. None if nobody needs to know.
    """

    __slots__ = ("_folding", "_samples", "key")

    _kind: ClassVar[type[Totals]] = Totals
    outside: list[Totals] | None = None

    def __init__(self, measurement: Measurement, period: int, now: int) -> None:
        """Begin with one sample.

        Args:
            measurement: the sample.
            period: seconds; `measure_time` is rounded down to the beginning of its period.
            now: seconds since the epoch, the time of a measurement without one.
        """
        time = now if measurement.measure_time is None else measurement.measure_time
        start = time - time % period
        self.key: tuple[str, str, int] = (measurement.name, measurement.source, start)
        self._samples = [self._kind(measurement.value)]
        self._folding: list[Totals] = []  # what is being folded; the first call adds up

    def fold(self, other: MultiSample) -> bool:
        """Count the samples of `other` as well.

        Returns:
            Whether they count: False if this gauge is sealed, or if their sum would be greater
            than Librato takes, which rejects the whole request then.
        """
        samples, others = self._samples, other._samples
        folded = others[0] if len(others) == 1 else other._totals()
        if _SEAL in samples:
            return False
        for totals in (folded, samples[0]):
            is_usual = -_LARGE_VALUE < totals.lowest <= totals.highest < _LARGE_VALUE
            if not (is_usual or self._totals().plus(folded).fits()):
                return False
        if other.outside is None:
            samples.append(folded)
        else:  # also a single call, and all in C: it empties `outside`, if there is no seal
            is_open = filterfalse(samples.__contains__, [_SEAL])
            samples.extend(starmap(other.outside.pop, is_open))
        if other.outside or (_SEAL in samples and folded in samples[samples.index(_SEAL) :]):
            return False  # it was sealed meanwhile
        self._add_up(folded)
        return True

    def seal(self) -> None:
        """Accept no more samples."""
        if not self.is_sealed():
            self._samples.append(_SEAL)

    def is_sealed(self) -> bool:
        """Return whether nothing more can be folded in."""
        return _SEAL in self._samples

    def summary(self) -> dict[str, float]:
        """Return what the samples add up to, in the terms of Librato.

        The sum of the squares, which Librato can do without, is left out if it is greater than
        what Librato takes: from values of 1e63 on.
        """
        totals = self._totals()
        summary: dict[str, float] = {
            "count": totals.count,
            "sum": totals.sum(),
            "min": totals.lowest,
            "max": totals.highest,
        }
        if totals.square_units <= MAX_VALUE << 2 * totals.places:
            summary["sum_squares"] = totals.sum_squares()
        return summary

    def __bytes__(self) -> bytes:
        """Return the JSON of the gauge; it is sealed from then on."""
        self.seal()
        return self.record()

    def record(self) -> bytes:
        """Return the JSON of a gauge with the samples so far."""
        name, source, measure_time = self.key
        return encode(name, self.summary(), measure_time, source)

    def __len__(self) -> int:
        """Return roughly how many bytes the JSON has, always the same number."""
        name, source, _ = self.key
        return _USUAL_LENGTH + len(name) + len(source)

    def _totals(self) -> Totals:
        """Return what the samples before the seal add up to."""
        samples = [*self._samples]  # `copy` may run the garbage collector in the middle
        if len(samples) == 1:  # the usual case, made fast
            return samples[0]
        if _SEAL in samples:
            del samples[samples.index(_SEAL) :]
        return reduce(self._kind.plus, samples)

    def _add_up(self, folded: Totals) -> None:
        """Add up what came since, unless another call is doing so."""
        try:
            self._folding.append(folded)
            samples = self._samples
            while self._folding[0] is folded and len(samples) > 1 and samples[1] is not _SEAL:
                samples[:2] = [samples[0].plus(samples[1])]
        finally:
            if folded in self._folding:  # unless Ctrl-C came before; then, no call in between
                self._folding.remove(folded)
