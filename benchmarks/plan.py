"""What is measured, how much of it, and what it must come to.

Owns the numbers: of events, of seconds, and the targets. Must not know how anything is measured.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

__all__ = ["MEASUREMENTS", "METRICS", "Measurement", "Metric", "Target"]


@dataclass(frozen=True)
class Measurement:
    """A measure with its parameters.

    Args:
        name: on the command line.
        measure: the function that takes it.
        full: its parameters.
        quick: those that differ in a quick run.
        may_lose: whether undelivered events are a result, not an error.
        max_rounds: maximum number of rounds; few are enough if the machine's speed has no part.
        turns: how often it is taken in a round; more if it scatters.
    """

    name: str
    measure: str
    full: dict[str, float] = field(default_factory=dict)
    quick: dict[str, float] = field(default_factory=dict)
    may_lose: bool = False
    max_rounds: int = sys.maxsize
    turns: int = 1

    def parameters(self, *, quick: bool) -> dict[str, float]:
        """Return what the measure is called with."""
        return {**self.full, **self.quick} if quick else self.full


@dataclass(frozen=True)
class Target:
    """What a figure must come to, with the standard library's JSON and with orjson.

    Args:
        json: the limit without orjson.
        orjson: the limit with it.
        relative: the limits are for the ratio to the incumbent, not for the figure itself.
        at_least: the limits are the least, not the most.
    """

    json: float
    orjson: float
    relative: bool = True
    at_least: bool = False

    def limit(self, *, has_orjson: bool) -> float:
        """Return the limit for a subject."""
        return self.orjson if has_orjson else self.json

    def is_met_by(self, value: float, *, has_orjson: bool) -> bool:
        """Return whether a figure, or a ratio, is within the limit."""
        limit = self.limit(has_orjson=has_orjson)
        return value >= limit if self.at_least else value <= limit


@dataclass(frozen=True)
class Metric:
    """A row of the table: a figure of a measurement."""

    measurement: str
    figure: str
    title: str
    unit: str
    target: Target


def _absolute(limit: float) -> Target:
    """Return a target for the figure itself, the same without orjson and with it."""
    return Target(limit, limit, relative=False)


GIL_ROUND = 31 * 5.0
"""Milliseconds until each of 31 other threads has had its turn at the interpreter."""

MEASUREMENTS = (
    Measurement("cpu", "cpu", {"events": 20_000}, {"events": 5_000}),
    Measurement("gzip", "cpu", {"events": 20_000, "gzip": True}, {"events": 5_000}),
    Measurement("paced", "paced", {"events": 1_500, "per_second": 2_000}, turns=3),
    Measurement(
        "paced-large",
        "paced",
        {"events": 375, "per_second": 500, "large": True},
        turns=3,
    ),
    Measurement(
        "threads", "threads", {"events": 50_000, "producers": 8}, {"events": 10_000}, turns=3
    ),
    Measurement(
        "many-threads", "threads", {"events": 50_000, "producers": 32}, {"events": 10_000}, turns=3
    ),
    Measurement("memory", "memory", {"events": 100_000}, {"events": 10_000}, max_rounds=2),
    Measurement("backlog", "backlog", {"events": 50_000}),
    Measurement("one-event", "one_event", {"events": 3}),
    Measurement("idle", "idle", {"seconds": 2}, {"seconds": 1}, max_rounds=2),
    Measurement("shutdown", "shutdown", {"clients": 3}, {"clients": 1}),
    Measurement("import", "imports"),
    Measurement(
        "exit", "exits", {"events": 0, "repetitions": 2, "warm": False}, {"repetitions": 1}
    ),
    Measurement("exit-used", "exits", {"events": 0, "repetitions": 2}, {"repetitions": 1}),
    Measurement("exit-unflushed", "exits", {"events": 1_050}, may_lose=True),
)

METRICS = (
    Metric("cpu", "cpu_us", "client CPU per delivered event", "µs", Target(0.24, 0.13)),
    Metric("gzip", "cpu_us", "the same with gzip", "µs", Target(0.27, 0.18)),
    Metric("paced", "p50_us", "`track()` p50, paced", "µs", Target(0.36, 0.22)),
    Metric("paced", "p99_us", "`track()` p99, paced", "µs", Target(0.55, 0.48)),
    Metric("paced-large", "p50_us", "`track()` of 4 KB, p50, paced", "µs", Target(0.45, 0.17)),
    Metric(
        "threads", "events_per_second", "8 threads: events/s", "/s", Target(3, 3.5, at_least=True)
    ),
    Metric("memory", "bytes_per_event", "memory per queued event", "B", Target(0.36, 0.36)),
    Metric("one-event", "p50_ms", "`track` and `flush` of one event", "ms", _absolute(3)),
    Metric("idle", "wake_ups_per_second", "idle: wake-ups per second", "/s", _absolute(0)),
    Metric("threads", "p99_us", "8 threads: `track()` p99", "µs", Target(0.30, 0.30)),
    Metric(
        "many-threads", "worst_ms", "32 threads: worst `track()`", "ms", _absolute(2 * GIL_ROUND)
    ),
    Metric("backlog", "worst_ms", "worst `track()` up to 50,000 queued", "ms", Target(0.30, 0.30)),
    Metric("import", "import_ms", "import: time", "ms", Target(0.35, 0.45)),
    Metric("import", "megabytes", "import: memory", "MB", Target(0.60, 0.60)),
    Metric("shutdown", "p50_ms", "shutdown of an empty client", "ms", _absolute(5)),
    Metric(
        "exit", "over_bare_ms", "exit of an unused client, over bare Python", "ms", _absolute(10)
    ),
    Metric(
        "exit-used",
        "over_bare_ms",
        "exit of an idle client, over bare Python",
        "ms",
        Target(0.30, 0.30),
    ),
    Metric("exit-unflushed", "lost", "exit with 1,050 unflushed: lost", "", _absolute(0)),
    Metric("backlog", "requests", "requests for a backlog of 50,000", "", _absolute(60)),
)
