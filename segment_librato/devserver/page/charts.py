"""From measurements to the lines of a chart, with the display options of Librato's documentation.

    Period               seconds between the points of a gauge
    Source Aggregation   on: what one source sends within a period is one point; off: each
                         measurement is a point
    Average or Sum       what a point shows of several measurements

A chart has no more than `MAX_POINTS` points a line: over a long time, a point stands for several
periods, or for several measurements, and shows their average or sum.

Owns these rules; pure. Must not know where measurements come from.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from segment_librato.devserver.http.exchange import JsonObject

__all__ = ["AVERAGE", "DEFAULT_PERIOD", "SUM", "SUMMARIES", "Bucket", "Display", "draw"]

AVERAGE, SUM = SUMMARIES = ("average", "sum")
DEFAULT_PERIOD = 60
MAX_POINTS = 1500
MAX_LINES = 100


class Bucket(NamedTuple):
    """What one source has measured in an interval.

    Attributes:
        source: the source.
        start: the start of the interval, in seconds since the epoch.
        first: the time of the first measurement.
        measurements: their number.
        values: the number of values, as a float; an aggregate has several.
        sum: the sum of the values.
    """

    source: str
    start: float
    first: float
    measurements: int
    values: float
    sum: float


class Display(NamedTuple):
    """The display options of a chart.

    Attributes:
        seconds: how far it reaches back.
        period: seconds.
        aggregate: whether Source Aggregation is on.
        summarize: "average" or "sum".
    """

    seconds: int
    period: int
    aggregate: bool
    summarize: str

    @property
    def interval(self) -> int:
        """The seconds that become one point."""
        least = math.ceil(self.seconds / MAX_POINTS)
        return math.ceil(least / self.period) * self.period if self.aggregate else least


def draw(buckets: Iterable[Bucket], display: Display) -> list[JsonObject]:
    """Return the lines, each with `source` and `points`: time and value.

    The value of each period in which a source was silent is None.

    Args:
        buckets: those of one gauge, each an interval of `display` long, in the order of time.
        display: the options.
    """
    lines: dict[str, list[Bucket]] = {}
    names: dict[str, str] = {}
    for bucket in buckets:
        name = names.setdefault(bucket.source.lower(), bucket.source)  # Librato ignores case
        lines.setdefault(name, []).append(bucket)
    largest = sorted(lines, key=lambda name: -len(lines[name]))[:MAX_LINES]
    return [{"source": name, "points": _place(lines[name], display)} for name in sorted(largest)]


def _place(buckets: list[Bucket], display: Display) -> list[tuple[float, float | None]]:
    longest = max(display.period, display.interval)
    points: list[tuple[float, float | None]] = []
    for bucket in buckets:
        # What is a point of its own keeps its time.
        is_raw = bucket.measurements == 1 and not display.aggregate
        at = bucket.first if is_raw else bucket.start
        if points:
            last, _ = points[-1]
            silent = int((at - last) // longest)
            points += [(last + number * longest, None) for number in range(1, silent)]
        value = bucket.sum if display.summarize == SUM else bucket.sum / bucket.values
        points.append((at, value))
    return points
