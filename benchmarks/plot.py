"""The plot: each cost as a share of the incumbent's, and how cost grows.

Needs matplotlib, which only the benchmark's environment has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from benchmarks.plan import METRICS
from benchmarks.scaling import SERIES
from benchmarks.scaling import SUBJECTS as GROWING
from benchmarks.subjects import INCUMBENT, OURS, SUBJECTS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.figures import Figures
    from benchmarks.plan import Metric
    from benchmarks.scaling import Series

__all__ = ["draw"]

INCHES = (11, 8)
DOTS_PER_INCH = 110
STYLES = {
    "segment_librato": ("tab:blue", "o"),
    "segment_librato+orjson": ("tab:orange", "D"),
    "floor": ("tab:blue", "|"),
    "floor+orjson": ("tab:orange", "|"),
}


def draw(figures: Figures, path: Path) -> None:
    """Draw the plot to a PNG file."""
    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=INCHES, layout="constrained")
    above, below = figure.subfigures(2, height_ratios=[2, 1])
    _draw_ratios(above.subplots(), figures)
    above.legend(loc="outside lower center", ncols=4, fontsize="small")
    for axes, series in zip(below.subplots(1, len(SERIES)), SERIES, strict=True):
        _draw_growth(axes, figures, series)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    plt.close(figure)


def _draw_ratios(axes: Any, figures: Figures) -> None:  # noqa: ANN401  matplotlib may be missing
    metrics = [metric for metric in reversed(METRICS) if _is_drawn(metric)]
    rows = range(len(metrics))
    for name, (color, marker) in STYLES.items():
        costs = [_cost(figures, metric, name) for metric in metrics]
        axes.plot(costs, rows, marker, color=color, markersize=8, label=name)
        if name in OURS:
            limits = [_limit(metric, name) for metric in metrics]
            axes.plot(limits, rows, "4", color=color, markersize=11, label=f"target of {name}")
    axes.axvline(1, color="tab:red", label="segment-analytics-python")
    axes.set_yticks(rows, [_label(metric) for metric in metrics])
    axes.set_xscale("log")
    axes.set_title("Cost as a share of that of segment-analytics-python: less is better")
    axes.grid(alpha=0.3)


def _draw_growth(axes: Any, figures: Figures, series: Series) -> None:  # noqa: ANN401  see above
    for name in GROWING:
        points = figures.growth(series, name)
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", label=name)
    what, _, figure = series.title.partition(": ")
    axes.set_xlabel(what)
    axes.set_ylabel(figure, fontsize="small")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


def _is_drawn(metric: Metric) -> bool:
    return metric.target.relative and metric.target.base == INCUMBENT


def _label(metric: Metric) -> str:
    """Return the title without Markdown; where more is better, the inverse is drawn."""
    title = metric.title.replace("`", "")
    return f"{title} (inverse)" if metric.target.at_least else title


def _cost(figures: Figures, metric: Metric, subject: str) -> float:
    measured = figures.to_base(metric, subject)
    if measured is None:
        return float("nan")
    return 1 / measured.median if metric.target.at_least else measured.median


def _limit(metric: Metric, subject: str) -> float:
    limit = metric.target.limit(has_orjson=SUBJECTS[subject].has_orjson)
    return 1 / limit if metric.target.at_least else limit
