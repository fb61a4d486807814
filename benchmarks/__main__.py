"""The command line: choose, measure, report.

    python -m benchmarks                        everything, five rounds
    python -m benchmarks --quick --rounds 1     everything, roughly
    python -m benchmarks --measures cpu --subjects segment,segment_librato,floor

Exits with 1 if a target is missed or an event was lost.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import scaling
from benchmarks.figures import Figures
from benchmarks.machine import describe, time_fixed_work
from benchmarks.plan import MEASUREMENTS
from benchmarks.plot import draw
from benchmarks.report import Report
from benchmarks.runner import run_round
from benchmarks.sink import run_sink
from benchmarks.subjects import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from benchmarks.runner import Sample
    from benchmarks.sink import Sink

__all__ = ["main"]

FOLDER = Path(__file__).parent
GROWTH = "growth"
MEASURES = [*(measurement.name for measurement in MEASUREMENTS), GROWTH]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    chosen = _parse(arguments)
    steadiness: list[float] = []
    with run_sink() as sink:
        samples = list(_measure(sink, chosen, steadiness))
    figures = Figures(samples, quick=chosen.quick)
    report = Report(samples, figures)
    text = report.text(describe(chosen.rounds, steadiness, quick=chosen.quick))
    print(text)
    if chosen.output:
        (chosen.output / "results.md").write_text(text, encoding="utf-8")
        draw(figures, chosen.output / "results.png")
    return bool(report.failures())


def _measure(sink: Sink, chosen: argparse.Namespace, steadiness: list[float]) -> Iterator[Sample]:
    """Take the rounds; note before and after them how fast the machine is."""
    measurements = [one for one in MEASUREMENTS if one.name in chosen.measures]
    for number in range(chosen.rounds):
        steadiness.append(time_fixed_work())
        yield from run_round(sink, measurements, chosen.subjects, number, quick=chosen.quick)
    growing = [name for name in scaling.SUBJECTS if name in chosen.subjects]
    if GROWTH in chosen.measures and growing:
        measurements = scaling.measurements(quick=chosen.quick)
        for number in range(min(chosen.rounds, scaling.ROUNDS)):
            yield from run_round(sink, measurements, growing, number, quick=chosen.quick)
    steadiness.append(time_fixed_work())


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Compare clients.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="fewer events, a rough result")
    parser.add_argument("--subjects", type=_names_of(SUBJECTS), default=list(SUBJECTS))
    parser.add_argument("--measures", type=_names_of(MEASURES), default=MEASURES)
    parser.add_argument("--output", type=Path, help="a folder for results.md and results.png")
    chosen = parser.parse_args(arguments)
    complete = (chosen.subjects, chosen.measures) == (list(SUBJECTS), MEASURES)
    if complete and not chosen.quick:
        chosen.output = chosen.output or FOLDER
    return chosen


def _names_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a parser of names with commas between them."""
    names = list(known)

    def parse(text: str) -> list[str]:
        wanted = text.split(",")
        if unknown := set(wanted) - set(names):
            problem = f"{', '.join(sorted(unknown))}; there are {', '.join(names)}"
            raise argparse.ArgumentTypeError(problem)
        return wanted

    return parse


if __name__ == "__main__":
    sys.exit(main())
