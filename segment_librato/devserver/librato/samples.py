"""Samples of gauges and the points that Librato shows for them.

Owns `Sample`, `Point` and the service-side aggregation. Pure. Must not know requests, or
where the period of a metric comes from.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Point", "Sample", "arrange"]


@dataclass(frozen=True)
class Sample:
    """A measurement as it was accepted; a single value is a sample with a count of 1.

    Attributes:
        name: the metric, as sent.
        source: the source as sent, or the tag `source`; empty if there is none.
        measure_time: seconds since the epoch; the time of receipt if none was sent.
        count: the number of values.
        sum: their sum.
        min: the smallest of them; None if it was not sent.
        max: the largest of them; None if it was not sent.
        sum_squares: the sum of their squares; None if it was not sent.
    """

    name: str
    source: str
    measure_time: int
    count: int
    sum: float
    min: float | None
    max: float | None
    sum_squares: float | None


@dataclass(frozen=True)
class Point:
    """What a chart shows at a time: one sample, or those of a period as one.

    Attributes:
        measure_time: seconds since the epoch; of a period, its start.
        count: the number of values.
        sum: their sum.
        min: the smallest of them; None if a sample lacks it.
        max: the largest of them; None if a sample lacks it.
        sum_squares: the sum of their squares; None if a sample lacks it.
    """

    measure_time: int
    count: int
    sum: float
    min: float | None
    max: float | None
    sum_squares: float | None

    @property
    def value(self) -> float:
        """The average."""
        return self.sum / self.count


def arrange(samples: Iterable[Sample], period: int | None) -> dict[str, list[Point]]:
    """Return the points of each source in the order of time.

    Sources that differ only in case are one, with the case of its first sample.

    Args:
        samples: the samples of one metric, in order of arrival.
        period: seconds; the samples of a source within [k * period, (k + 1) * period) become one
            point. None: each sample becomes a point.
    """
    sources: dict[str, str] = {}
    by_source: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        source = sources.setdefault(sample.source.lower(), sample.source)
        by_source[source].append(sample)
    return {source: _place(of_source, period) for source, of_source in by_source.items()}


def _place(samples: list[Sample], period: int | None) -> list[Point]:
    """Return the points of one source."""
    if period is None:
        points = [_combine(sample.measure_time, [sample]) for sample in samples]
    else:
        by_start: dict[int, list[Sample]] = defaultdict(list)
        for sample in samples:
            by_start[sample.measure_time // period * period].append(sample)
        points = [_combine(start, of_period) for start, of_period in by_start.items()]
    return sorted(points, key=lambda point: point.measure_time)


def _combine(measure_time: int, samples: list[Sample]) -> Point:
    """Return one point for `samples`, at least one; the sums are rounded once only."""
    minima = [sample.min for sample in samples if sample.min is not None]
    maxima = [sample.max for sample in samples if sample.max is not None]
    squares = [sample.sum_squares for sample in samples if sample.sum_squares is not None]
    return Point(
        measure_time=measure_time,
        count=sum(sample.count for sample in samples),
        sum=math.fsum(sample.sum for sample in samples),
        min=min(minima) if len(minima) == len(samples) else None,
        max=max(maxima) if len(maxima) == len(samples) else None,
        sum_squares=math.fsum(squares) if len(squares) == len(samples) else None,
    )
