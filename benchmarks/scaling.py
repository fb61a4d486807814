"""How cost grows: with the size of events, the length of the queue, the number of threads.

Owns the series of measurements, and what a growth may come to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.plan import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ROUNDS", "SERIES", "SUBJECTS", "Series", "measurements"]

SUBJECTS = ("segment_librato", "floor")
ROUNDS = 1  # of more than a minute
SIZE_BYTES = 20_000_000  # sent for each size
QUICK_SHARE = 10


@dataclass(frozen=True)
class Series:
    """One measure, taken with a parameter that grows.

    Args:
        title: what grows, and what is measured.
        measure: the function that takes it.
        figure: of its reading.
        values: those of the parameter; the last is left out in a quick run.
        parameters: what the measure is called with for a value.
        per_value: the figure is divided by the value.
        limit: maximum ratio of the last figure to the first; None means no limit.
    """

    title: str
    measure: str
    figure: str
    values: tuple[float, ...]
    parameters: Callable[[float], dict[str, float]]
    per_value: bool = False
    limit: float | None = None

    def chosen(self, *, quick: bool) -> tuple[float, ...]:
        """Return the values that are measured."""
        return self.values[:-1] if quick else self.values

    def measurement(self, value: float) -> Measurement:
        """Return the measurement with this value."""
        full = self.parameters(value)
        quick = {"events": full["events"] // QUICK_SHARE} if "kilobytes" in full else {}
        return Measurement(f"{self.measure} {value:g}", self.measure, full, quick)


SERIES = (
    Series(
        "Kilobytes of an event: CPU µs per kilobyte delivered",
        "cpu",
        "cpu_us",
        (0.3, 1, 4, 16, 31),
        lambda value: {"kilobytes": value, "events": int(SIZE_BYTES / max(value, 1) / 1_000)},
        per_value=True,
        limit=1.0,
    ),
    Series(
        "Events in the queue: CPU µs per event delivered",
        "backlog",
        "cpu_us",
        (1_000, 10_000, 100_000, 1_000_000),
        lambda value: {"events": int(value)},
        limit=2,  # flat, but for the noise of measurements that are a minute apart
    ),
    Series(
        "Threads that track: events/s delivered",
        "threads",
        "events_per_second",
        (1, 2, 4, 8, 16, 32),
        lambda value: {"events": 20_000, "producers": int(value)},
    ),
)


def measurements(*, quick: bool) -> list[Measurement]:
    """Return the measurements of all series."""
    return [series.measurement(value) for series in SERIES for value in series.chosen(quick=quick)]
