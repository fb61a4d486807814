"""A round: every measurement of every subject, each in its own process, in turns.

Owns the order of things and the check that what was sent has arrived. Must not know targets.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks.processes import MeasurementError, Order

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.measures.task import Reading
    from benchmarks.plan import Measurement
    from benchmarks.sink import Sink

__all__ = ["Sample", "in_turns", "missing", "run_round"]


@dataclass(frozen=True)
class Sample:
    """A reading, or the problem that there was instead of or with it."""

    measurement: str
    subject: str
    turn: int  # of its measurement, which has one or more in a round
    reading: Reading
    problem: str = ""


def run_round(
    sink: Sink,
    measurements: Sequence[Measurement],
    subjects: Sequence[str],
    number: int,
    *,
    quick: bool,
) -> Iterator[Sample]:
    """Take every measurement of every subject; say on stderr which one is taken."""
    due = [
        one for one in measurements if number < one.max_rounds and set(subjects) & set(one.subjects)
    ]
    for position, measurement in enumerate(due, start=1):
        progress = f"round {number + 1}: {position}/{len(due)} {measurement.name}"
        print(f"\r{progress:60}", end="", file=sys.stderr, flush=True)
        parameters = measurement.parameters(quick=quick)
        turns = 1 if quick else measurement.turns
        for turn in range(number * turns, (number + 1) * turns):
            taking_part = [name for name in subjects if name in measurement.subjects]
            for subject in in_turns(taking_part, turn):
                order = Order(subject, measurement.measure, parameters, sink)
                yield _take(order, measurement, turn)
    print(f"\r{'':60}\r", end="", file=sys.stderr)


def in_turns(subjects: Sequence[str], number: int) -> list[str]:
    """Return the subjects in the order of a round: A B C, B C A, C A B, ..."""
    first = number % len(subjects)
    return [*subjects[first:], *subjects[:first]]


def _take(order: Order, measurement: Measurement, number: int) -> Sample:
    """Take a measurement, and compare what was sent with what arrived."""
    sample = Sample(measurement.name, order.subject, number, {})
    try:
        reading = order.carry_out()
    except MeasurementError as error:
        order.sink.tally()
        return replace(sample, problem=str(error))
    tally = order.sink.tally()
    if "sent" not in reading:
        return replace(sample, reading=reading)
    reading["lost"] = reading["sent"] - tally["distinct_orders"]
    reading["requests"] = tally["requests"]
    problem = "" if measurement.may_lose else missing(int(reading["sent"]), tally)
    return replace(sample, reading=reading, problem=problem)


def missing(sent: int, tally: dict[str, int]) -> str:
    """Say how what arrived differs from what was sent; return an empty str if it does not."""
    counts = [tally[name] for name in ("events", "distinct_orders", "distinct_ids")]
    if counts == [sent, sent, sent]:
        return ""
    events, orders, ids = counts
    return f"sent {sent:,} events; {events:,} arrived, {orders:,} different, with {ids:,} ids"
