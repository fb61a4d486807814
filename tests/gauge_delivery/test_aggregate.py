"""Samples that are folded together: exact sums in any order, and no sample lost or doubled."""

from __future__ import annotations

import json
import math
import sys
import threading
import tracemalloc
from contextlib import suppress
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.signal_handlers import call_with_handler

from segment_librato.gauge_delivery.aggregate import MultiSample
from segment_librato.librato import Measurement

LARGEST = 10**126
# Those whose squares Librato takes, many of them together.
INTS = st.integers(-(10**60), 10**60) | st.integers(-1_000, 1_000)
FLOATS = st.floats(-1e60, 1e60) | st.floats(-1_000, 1_000) | st.floats(-1e-300, 1e-300)


def sample(value: float, time: int | None = 0, *, period: int = 60, now: int = 0) -> MultiSample:
    return MultiSample(Measurement("name", value, time, "source"), period, now)


def as_dict(one: MultiSample) -> dict[str, Any]:
    name, source, measure_time = one.key
    return {"name": name, **one.summary(), "measure_time": measure_time, "source": source}


def folded(values: list[int | float]) -> dict[str, Any]:
    first, *others = map(sample, values)
    for other in others:
        assert first.fold(other)
    return as_dict(first)


# Sums


@given(st.lists(INTS | FLOATS, min_size=1), st.data())
def test_any_order_and_grouping_gives_what_the_whole_list_does(
    values: list[int | float], data: st.DataObject
) -> None:
    groups = [sample(value) for value in values]
    while len(groups) > 1:
        other = groups.pop(data.draw(st.integers(0, len(groups) - 1)))
        assert groups[data.draw(st.integers(0, len(groups) - 1))].fold(other)
    gauge = as_dict(groups[0])
    assert gauge["count"] == len(values)
    assert gauge["min"] == min(values)
    assert gauge["max"] == max(values)
    if not all(isinstance(value, int) for value in values):
        assert gauge["sum"] == float(sum(map(Fraction, values)))
        assert gauge["sum_squares"] == float(sum(Fraction(value) ** 2 for value in values))


@given(st.lists(FLOATS, min_size=1))
def test_a_sum_of_floats_is_that_of_fsum(values: list[float]) -> None:
    total = folded(list(values))["sum"]
    assert isinstance(total, float)
    assert total == math.fsum(values)


@given(st.lists(INTS, min_size=1))
def test_a_sum_of_ints_is_an_exact_int(values: list[int]) -> None:
    gauge = folded(list(values))
    assert isinstance(gauge["sum"], int)
    assert gauge["sum"] == sum(values)
    assert isinstance(gauge["sum_squares"], int)
    assert gauge["sum_squares"] == sum(value**2 for value in values)


def test_nothing_is_rounded_before_the_end() -> None:
    assert folded([1e126, 5e-324, -1e126])["sum"] == 5e-324
    assert folded([0.1] * 10)["sum"] == 1.0
    assert folded([2**53, 1.0])["sum"] == 2.0**53
    assert folded([2**53, 1.0, 1])["sum"] == 2.0**53 + 2


@pytest.mark.parametrize("value", [10**63, -(10**63), 1e62])
def test_the_greatest_squares_that_librato_takes_are_added_up(value: float) -> None:
    assert folded([value])["sum_squares"] == pytest.approx(value * value, rel=1e-15)


@pytest.mark.parametrize("value", [10**64, -(10**64), 1e64, 1e100, LARGEST, 1e126])
def test_squares_beyond_what_librato_takes_are_left_out(value: float) -> None:
    """It would reject the whole request, with the measurements of others."""
    gauge = folded([value, -value, value])
    assert gauge.keys() == {"name", "count", "sum", "min", "max", "measure_time", "source"}
    assert gauge["sum"] == value
    assert json.loads(bytes(sample(value)))["sum"] == value


@pytest.mark.parametrize(
    "first, second",
    [(LARGEST, LARGEST), (1e126, 1e126), (-LARGEST, -1.0), (LARGEST, 1), (1, LARGEST)],
)
def test_a_sum_beyond_what_librato_takes_is_not_made(first: float, second: float) -> None:
    one = sample(first)
    assert not one.fold(sample(second))
    assert as_dict(one)["sum"] == first
    assert one.fold(sample(-first))


def test_a_sample_folded_into_itself_counts_twice() -> None:
    one = sample(3)
    assert one.fold(one)
    assert as_dict(one)["count"] == 2
    assert as_dict(one)["sum"] == 6


# What it looks like


@pytest.mark.parametrize(
    "time,period,start",
    [(0, 60, 0), (59, 60, 0), (60, 60, 60), (-1, 60, -60), (-60, 60, -60), (1_000, 1, 1_000)],
)
def test_the_measure_time_is_the_beginning_of_the_period(
    time: int, period: int, start: int
) -> None:
    for one in (sample(1, time, period=period), sample(1, None, period=period, now=time)):
        assert one.key == ("name", "source", start)
        assert as_dict(one)["measure_time"] == start


def test_it_is_compact_json_with_the_fields_in_order() -> None:
    one = MultiSample(Measurement("a", 1, 61, "b"), 60, 0)
    assert one.fold(sample(2.5))
    assert bytes(one) == (
        b'{"name":"a","count":2,"sum":3.5,"min":1,"max":2.5,"sum_squares":7.25,'
        b'"measure_time":60,"source":"b"}'
    )
    assert json.loads(bytes(one)) == as_dict(one)


@given(st.lists(INTS | FLOATS, min_size=1))
def test_its_json_is_strict_whatever_the_values(values: list[int | float]) -> None:
    first, *others = map(sample, values)
    for other in others:
        first.fold(other)
    assert json.loads(bytes(first), parse_constant=pytest.fail) == as_dict(first)


def test_its_length_is_near_that_of_usual_json_and_stays() -> None:
    one = MultiSample(Measurement("n" * 200, 0.1, 1_700_000_000, "s" * 100), 60, 0)
    length = len(one)
    for number in range(1_000):
        one.fold(sample(number / 7))
    assert len(one) == length
    assert len(bytes(one)) == pytest.approx(length, rel=0.2)


# The end, and what comes in between


def test_nothing_is_folded_into_what_is_sealed() -> None:
    one = sample(1)
    assert not one.is_sealed()
    one.seal()
    one.seal()
    assert one.is_sealed()
    before = bytes(one)
    assert not one.fold(sample(2))
    assert bytes(one) == before
    other = sample(3)
    assert other.fold(one)
    assert as_dict(other)["sum"] == 4


def test_it_is_sealed_when_it_is_dumped() -> None:
    one = sample(1)
    before = bytes(one)
    assert not one.fold(sample(2))
    assert bytes(one) == before


def test_a_signal_handler_may_fold_at_any_bytecode_of_a_fold() -> None:
    step = 0
    got_that_far = True
    while got_that_far:
        step += 1
        one = sample(1)

        def handler(one: MultiSample = one) -> None:
            assert one.fold(sample(10))
            assert one.fold(sample(100))

        got_that_far = call_with_handler(
            lambda one=one: one.fold(sample(1_000)),  # type: ignore[misc]
            step,
            handler,
        )
        assert one.fold(sample(10_000))
        gauge = as_dict(one)
        expected = 11_111 if got_that_far else 11_001
        assert gauge["sum"] == expected, f"step {step}"
        assert gauge["count"] == str(expected).count("1")
    assert step > 10


def test_a_signal_handler_may_seal_at_any_bytecode_of_a_fold() -> None:
    step = 0
    outcomes = set()
    got_that_far = True
    while got_that_far:
        step += 1
        one = sample(1)
        sealed: list[bytes] = []
        results: list[bool] = []

        def handler(one: MultiSample = one, sealed: list[bytes] = sealed) -> None:
            one.seal()
            sealed.append(bytes(one))

        got_that_far = call_with_handler(
            lambda one=one, results=results: results.append(one.fold(sample(10))),  # type: ignore[misc]
            step,
            handler,
        )
        if got_that_far:
            assert bytes(one) == sealed[0]
        assert as_dict(one)["sum"] == (11 if results == [True] else 1), f"step {step}"
        outcomes.add(results[0])
    assert outcomes == {True, False}


def test_a_signal_handler_may_fold_at_any_bytecode_of_a_seal() -> None:
    step = 0
    got_that_far = True
    while got_that_far:
        step += 1
        one = sample(1)
        results: list[bool] = []
        got_that_far = call_with_handler(
            one.seal,
            step,
            lambda one=one, results=results: results.append(one.fold(sample(10))),  # type: ignore[misc]
        )
        assert one.is_sealed()
        assert as_dict(one)["sum"] == (11 if results == [True] else 1), f"step {step}"
    assert step > 3


@pytest.mark.parametrize("first", ["nothing", "fold", "seal"])
def test_ctrl_c_may_end_a_fold_at_any_bytecode(first: str) -> None:
    step = 0
    got_that_far = True
    while got_that_far:
        step += 1
        one = sample(1)
        results: list[bool] = []

        def handler(one: MultiSample = one) -> None:
            if first == "fold":
                assert one.fold(sample(10))
            if first == "seal":
                one.seal()
            raise KeyboardInterrupt

        def call(one: MultiSample = one, results: list[bool] = results) -> None:
            with suppress(KeyboardInterrupt):
                results.append(one.fold(sample(100)))

        got_that_far = call_with_handler(call, step, handler)
        before = as_dict(one)
        is_open = not (got_that_far and first == "seal")
        assert one.fold(sample(1_000)) is is_open
        one.seal()
        total = as_dict(one)["sum"]
        assert total in {value + 1_000 * is_open for value in (1, 11, 101, 111)}
        values = [int(digit) for digit in f"{total:04}"]
        assert max(values) == 1, "doubled"
        assert as_dict(one)["count"] == sum(values)
        assert values[2] == (got_that_far and first == "fold"), "of the handler"
        assert values[1] or not results, "of the call, if it returned"
        if not is_open:
            assert as_dict(one) == before
    assert step > 10


def test_a_later_fold_adds_up_what_ctrl_c_left(monkeypatch: pytest.MonkeyPatch) -> None:
    one = sample(1)
    with monkeypatch.context() as patched:
        patched.setattr("segment_librato.gauge_delivery.aggregate.Totals.plus", interrupt)
        with pytest.raises(KeyboardInterrupt):
            one.fold(sample(10))
    assert as_dict(one)["sum"] == 11
    assert one.fold(sample(100))
    assert len(one._samples) == 1  # noqa: SLF001  what they have been added up to
    assert as_dict(one)["sum"] == 111


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_threads_may_fold_at_the_same_time() -> None:
    one = sample(0)
    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work() -> None:
        for _ in range(2_000):
            assert one.fold(sample(1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch_interval)
    assert as_dict(one)["sum"] == 8_000
    assert as_dict(one)["count"] == 8_001


def test_memory_does_not_grow_with_the_number_of_samples() -> None:
    one = sample(5e-324)
    assert one.fold(sample(1e126))  # all the places that there can be
    tracemalloc.start()
    try:
        for number in range(10_000):
            one.fold(sample(number / 7))
        grown_by, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown_by < 5_000
