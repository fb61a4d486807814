"""The arithmetic of the benchmark: ratios within a round, targets, and what counts as lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("benchmarks", reason="only a checkout has the benchmark, not the wheel")

from benchmarks.figures import Figures, ratios, spread
from benchmarks.plan import MEASUREMENTS, METRICS, Metric, Target
from benchmarks.report import Report, number
from benchmarks.runner import Sample, in_turns, missing
from benchmarks.scaling import SERIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

pytestmark = pytest.mark.once

METRIC = METRICS[0]


def samples(figures: Mapping[str, Sequence[float]], metric: Metric = METRIC) -> list[Sample]:
    """Return one sample for each figure of each subject, one round after another."""
    return [
        Sample(metric.measurement, subject, round_number, {metric.figure: value})
        for subject, values in figures.items()
        for round_number, value in enumerate(values)
    ]


def test_ratios_are_taken_within_a_round() -> None:
    assert ratios({0: 1.0, 1: 20.0}, {1: 40.0, 0: 4.0}) == [0.25, 0.5]


def test_a_round_without_a_positive_base_has_no_ratio() -> None:
    assert ratios({0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}, {0: 0.0, 1: -1.0, 3: 8.0}) == [0.5]


def test_a_spread_is_the_median_and_the_range() -> None:
    assert spread([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)
    assert spread([]) is None


def test_the_median_of_ratios_is_not_the_ratio_of_medians() -> None:
    figures = Figures(samples({"segment": [1, 10, 100], "floor": [1, 1, 50]}), quick=False)
    ratio = figures.to_base(METRIC, "floor")
    assert ratio is not None
    assert ratio.median == 0.5


def test_a_subject_is_compared_with_the_floor_that_encodes_as_it_does() -> None:
    measured = {"segment_librato+orjson": [3], "floor": [1], "floor+orjson": [2]}
    ratio = Figures(samples(measured), quick=False).to_floor(METRIC, "segment_librato+orjson")
    assert ratio is not None
    assert ratio.median == 1.5


@pytest.mark.parametrize(
    "target, value, is_met",
    [
        (Target(0.2, 0.1), 20, True),
        (Target(0.2, 0.1), 21, False),
        (Target(3, 4, at_least=True), 300, True),
        (Target(3, 4, at_least=True), 299, False),
        (Target(20, 10, relative=False), 20, True),
        (Target(20, 10, relative=False), 21, False),
    ],
)
def test_a_target_is_for_the_ratio_or_for_the_figure(
    target: Target, value: float, *, is_met: bool
) -> None:
    metric = Metric("cpu", "cpu_us", "", "", target)
    figures = Figures(samples({"segment": [100], "segment_librato": [value]}, metric), quick=False)
    assert figures.meets_target(metric, "segment_librato") is is_met


def test_the_target_with_orjson_is_another() -> None:
    metric = Metric("cpu", "cpu_us", "", "", Target(0.2, 0.1))
    measured = samples({"segment": [100], "segment_librato+orjson": [15]}, metric)
    assert Figures(measured, quick=False).meets_target(metric, "segment_librato+orjson") is False


def test_without_the_incumbent_a_ratio_is_not_judged() -> None:
    figures = Figures(samples({"segment_librato": [1]}), quick=False)
    assert figures.meets_target(METRIC, "segment_librato") is None


def test_the_target_of_a_spool_refers_to_the_client_without_one() -> None:
    target = Target(1.5, 1.5, base="segment_librato")
    metric = Metric("cpu", "cpu_us", "", "", target, ("segment_librato+spool",))
    measured = {"segment": [100], "segment_librato": [10], "segment_librato+spool": [16]}
    figures = Figures(samples(measured, metric), quick=False)
    assert figures.meets_target(metric, "segment_librato+spool") is False


def test_the_figures_of_a_spool_have_a_table_of_their_own() -> None:
    measured = samples({"segment": [100], "segment_librato": [10], "segment_librato+spool": [14]})
    text = Report(measured, Figures(measured, quick=False)).text("")
    _, _, of_spool = text.partition("## With a spool")
    assert "1.40 x (<= 1.50 x) met" in of_spool


def test_a_missed_target_and_a_lost_event_are_failures() -> None:
    measured = samples({"segment": [100], "segment_librato": [100], "segment_librato+orjson": [1]})
    measured.append(Sample("cpu", "floor", 1, {}, "sent 2 events; 1 arrived"))
    report = Report(measured, Figures(measured, quick=False))
    assert report.failures() == [
        "segment_librato misses a target: client CPU per delivered event",
        "floor, cpu, turn 2: sent 2 events; 1 arrived",
    ]
    assert all(failure in report.text("") for failure in report.failures())


@pytest.mark.parametrize("last, is_failure", [(20.0, False), (21.0, True)])
def test_growth_beyond_its_limit_is_a_failure(last: float, *, is_failure: bool) -> None:
    series = next(one for one in SERIES if one.limit == 2)
    measured = [
        Sample(series.measurement(value).name, "segment_librato", 0, {series.figure: figure})
        for value, figure in zip(series.values, [10.0, 50.0, 10.0, last], strict=True)
    ]
    report = Report(measured, Figures(measured, quick=False))
    assert bool(report.failures()) is is_failure


def test_every_metric_has_its_measurement_and_every_measurement_its_own_name() -> None:
    grown = [series.measurement(value).name for series in SERIES for value in series.values]
    names = [*(measurement.name for measurement in MEASUREMENTS), *grown]
    assert len(set(names)) == len(names)
    assert {metric.measurement for metric in METRICS} <= set(names)


def test_subjects_take_turns_in_being_the_first() -> None:
    turns = [in_turns(["a", "b", "c"], number) for number in range(4)]
    assert turns == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"]]


@pytest.mark.parametrize(
    "events, orders, ids",
    [(2, 2, 2), (4, 3, 3), (3, 3, 2), (3, 2, 3)],
    ids=["lost", "twice", "an id for two", "another instead"],
)
def test_any_difference_between_sent_and_arrived_is_said(
    events: int, orders: int, ids: int
) -> None:
    arrived = {"events": events, "distinct_orders": orders, "distinct_ids": ids}
    assert missing(3, arrived)
    assert missing(3, dict.fromkeys(arrived, 3)) == ""


@pytest.mark.parametrize(
    "value, text",
    [(0.0, "0"), (0.00123, "0.0012"), (0.5, "0.50"), (3.0, "3"), (8.25, "8.25"), (1234.5, "1,234")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text
