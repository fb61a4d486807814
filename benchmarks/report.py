"""The tables of the terminal and of `results.md`.

Must not know how anything is measured, or what the figures come to.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from benchmarks.plan import METRICS
from benchmarks.scaling import SERIES
from benchmarks.subjects import INCUMBENT, OURS, PLAIN, SPOOLED, SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.figures import Figures, Spread
    from benchmarks.plan import Metric
    from benchmarks.runner import Sample

__all__ = ["Report"]

NOTHING = "-"
FLOORS = [name for name, subject in SUBJECTS.items() if subject.is_floor]


class Report:
    """The results of a run, in words and tables."""

    def __init__(self, samples: Sequence[Sample], figures: Figures) -> None:
        self._samples = samples
        self._figures = figures
        measured = {sample.measurement for sample in samples}
        self._metrics = [metric for metric in METRICS if metric.measurement in measured]

    def text(self, preamble: str) -> str:
        """Return the whole report as readable Markdown."""
        parts = [
            f"# Results\n\n{preamble}",
            *self._summary(),
            *self._spool(),
            *self._details(),
            *self._growth(),
        ]
        return "\n\n".join([*parts, self._verdict()]) + "\n"

    def failures(self) -> list[str]:
        """Return the targets that were missed, and the events that were lost."""
        missed = [
            f"{subject} misses a target: {metric.title}"
            for metric in self._metrics
            for subject in metric.subjects
            if self._figures.meets_target(metric, subject) is False
        ]
        grown = [
            f"segment_librato grows too much: {series.title}"
            for series in SERIES
            if self._figures.grows_too_much(series)
        ]
        problems = [
            f"{sample.subject}, {sample.measurement}, turn {sample.turn + 1}: {sample.problem}"
            for sample in self._samples
            if sample.problem
        ]
        return [*missed, *grown, *problems]

    def _verdict(self) -> str:
        failures = self.failures()
        if not failures:
            return "Every target that was measured is met, and all that was sent has arrived."
        return "\n".join(["Not as it must be:\n", *(f"- {failure}" for failure in failures)])

    def _summary(self) -> list[str]:
        """Return a table with one row for each metric: medians, and the targets."""
        metrics = [metric for metric in self._metrics if metric.target.base == INCUMBENT]
        if not metrics:
            return []
        head = ["median", INCUMBENT, *FLOORS, *(f"{subject} (target)" for subject in OURS)]
        return ["## Summary", table(head, [self._summary_row(metric) for metric in metrics])]

    def _summary_row(self, metric: Metric) -> list[str]:
        row = [metric.title, middle(self._figures.spread(metric, INCUMBENT), metric.unit)]
        row += [self._compared(metric, floor) for floor in FLOORS]
        return row + [self._judged(metric, subject) for subject in OURS]

    def _spool(self) -> list[str]:
        """Return the same of the client with a spool; its ratios are to the one without."""
        rows = [
            [
                metric.title,
                middle(self._figures.spread(metric, PLAIN), metric.unit),
                self._judged(metric, SPOOLED),
            ]
            for metric in self._metrics
            if SPOOLED in metric.subjects and self._figures.spread(metric, SPOOLED)
        ]
        head = ["median", PLAIN, f"{SPOOLED} (target)"]
        return ["## With a spool", table(head, rows)] if rows else []

    def _judged(self, metric: Metric, subject: str) -> str:
        """Return what was measured, the target and the verdict."""
        met = self._figures.meets_target(metric, subject)
        if met is None:
            return NOTHING
        verdict = "met" if met else "MISSED"
        return f"{self._compared(metric, subject)} ({limit_text(metric, subject)}) {verdict:6}"

    def _compared(self, metric: Metric, subject: str) -> str:
        """Return the ratio to the base, or the figure, as the target has it."""
        if metric.target.relative:
            return middle(self._figures.to_base(metric, subject), "x")
        return middle(self._figures.spread(metric, subject), metric.unit)

    def _details(self) -> list[str]:
        """Return a table for each metric: all subjects, medians and ranges."""
        parts = ["## Every subject: median [least - most] of the turns"] if self._metrics else []
        for metric in self._metrics:
            rows = [
                [
                    subject,
                    ranged(self._figures.spread(metric, subject)),
                    ranged(self._figures.to_base(metric, subject)),
                    ranged(self._figures.to_floor(metric, subject)),
                ]
                for subject in self._shown(metric)
                if self._figures.spread(metric, subject)
            ]
            unit = f", {metric.unit}" if metric.unit else ""
            parts += [
                f"### {metric.title}{unit}",
                table(["subject", "figure", f"to {metric.target.base}", "to its floor"], rows),
            ]
        return parts

    def _shown(self, metric: Metric) -> Sequence[str]:
        base = metric.target.base
        return list(SUBJECTS) if base == INCUMBENT else [base, *metric.subjects]

    def _growth(self) -> list[str]:
        """Return a table for each series."""
        parts = []
        for series in SERIES:
            rows = [
                [subject, *(number(figure) for _, figure in points)]
                for subject in SUBJECTS
                if (points := self._figures.growth(series, subject))
            ]
            if rows:
                values = series.chosen(quick=self._figures.quick)
                head = ["subject", *(f"{value:,}" for value in values)]
                parts += [f"### {series.title}", table(head, rows)]
        return ["## Growth", *parts] if parts else []


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table whose columns are aligned."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(line, widths) for line in [head, rule, *rows])


def _line(cells: list[str], widths: list[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return f"| {' | '.join(padded)} |"


def limit_text(metric: Metric, subject: str) -> str:
    """Return a target in short."""
    sign = ">=" if metric.target.at_least else "<="
    unit = "x" if metric.target.relative else metric.unit
    limit = metric.target.limit(has_orjson=SUBJECTS[subject].has_orjson)
    return f"{sign} {number(limit)} {unit}".rstrip()


def middle(measured: Spread | None, unit: str) -> str:
    """Return a median with its unit."""
    return f"{number(measured.median)} {unit}".rstrip() if measured else NOTHING


def ranged(measured: Spread | None) -> str:
    """Return a median with the range of the turns."""
    if measured is None:
        return NOTHING
    least, most = number(measured.least), number(measured.most)
    return f"{number(measured.median)} [{least} - {most}]"


def number(value: float) -> str:
    """Return a number with three significant digits, two for a fraction below 1."""
    magnitude = abs(value)
    if magnitude == int(magnitude):
        places = 0
    elif magnitude < 1:
        places = 1 - math.floor(math.log10(magnitude))
    else:
        places = max(0, 3 - len(str(int(magnitude))))
    return f"{value:,.{places}f}"
