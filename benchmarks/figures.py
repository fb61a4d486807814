"""The arithmetic: figures by turn, ratios within a turn, and whether targets are met.

Pure; must not know how anything is measured or shown.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.subjects import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.plan import Metric
    from benchmarks.runner import Sample
    from benchmarks.scaling import Series

__all__ = ["Figures", "Spread", "ratios", "spread"]

ByTurn = dict[int, float]


class Spread(NamedTuple):
    """The values of several turns."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread | None:
    """Return the median and the range; None if there are no values."""
    return Spread(median(values), min(values), max(values)) if values else None


def ratios(values: ByTurn, base: ByTurn) -> list[float]:
    """Return the ratio of each turn that has both values; a base of 0 or less has none.

    The speed of a shared machine changes from minute to minute. Within a turn, it is much the
    same for all subjects, so that this says more than the ratio of two medians.
    """
    return [value / base[number] for number, value in values.items() if base.get(number, 0) > 0]


class Figures:
    """All that was measured, and the questions asked of it."""

    def __init__(self, samples: Sequence[Sample], *, quick: bool) -> None:
        self._samples = samples
        self.quick = quick

    def by_turn(self, measurement: str, figure: str, subject: str) -> ByTurn:
        """Return a figure of each turn in which there is one."""
        return {
            sample.turn: sample.reading[figure]
            for sample in self._samples
            if (sample.measurement, sample.subject) == (measurement, subject)
            and figure in sample.reading
        }

    def spread(self, metric: Metric, subject: str) -> Spread | None:
        """Return the figure itself."""
        return spread(list(self._of(metric, subject).values()))

    def to_base(self, metric: Metric, subject: str) -> Spread | None:
        """Return the ratio to the subject that the target refers to, turn by turn."""
        base = self._of(metric, metric.target.base)
        return spread(ratios(self._of(metric, subject), base))

    def to_floor(self, metric: Metric, subject: str) -> Spread | None:
        """Return the ratio to the floor that encodes as the subject does, turn by turn."""
        floor = SUBJECTS[subject].floor
        return spread(ratios(self._of(metric, subject), self._of(metric, floor)))

    def meets_target(self, metric: Metric, subject: str) -> bool | None:
        """Return whether the median meets the target; None if that cannot be said."""
        relative = metric.target.relative
        measured = (self.to_base if relative else self.spread)(metric, subject)
        if measured is None:
            return None
        has_orjson = SUBJECTS[subject].has_orjson
        return metric.target.is_met_by(measured.median, has_orjson=has_orjson)

    def growth(self, series: Series, subject: str) -> list[tuple[float, float]]:
        """Return the values of a series with their medians; none, if one of them is missing."""
        points = []
        for value in series.chosen(quick=self.quick):
            name = series.measurement(value).name
            found = spread(list(self.by_turn(name, series.figure, subject).values()))
            if found is None:
                return []
            points.append((value, found.median / value if series.per_value else found.median))
        return points

    def grows_too_much(self, series: Series) -> bool:
        """Return whether the last of our figures is too far above the first."""
        points = self.growth(series, "segment_librato")
        if not points or series.limit is None:
            return False
        return points[-1][1] > points[0][1] * series.limit

    def _of(self, metric: Metric, subject: str) -> ByTurn:
        return self.by_turn(metric.measurement, metric.figure, subject)
