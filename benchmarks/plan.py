"""What is measured, how much of it, and what it must come to.

Owns the numbers: of events, of seconds, and the targets. Must not know how anything is measured.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from benchmarks.subjects import INCUMBENT, OURS, PLAIN, SPOOLED, SUBJECTS

__all__ = ["MEASUREMENTS", "METRICS", "Measurement", "Metric", "Target"]


IMPORTERS = (*OURS, "floor", "floor+orjson")
WITHOUT_SPOOL = tuple(name for name, subject in SUBJECTS.items() if not subject.has_spool)


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
        subjects: those that it is taken of.
    """

    name: str
    measure: str
    full: dict[str, float] = field(default_factory=dict)
    quick: dict[str, float] = field(default_factory=dict)
    may_lose: bool = False
    max_rounds: int = sys.maxsize
    turns: int = 1
    subjects: tuple[str, ...] = WITHOUT_SPOOL

    def parameters(self, *, quick: bool) -> dict[str, float]:
        """Return what the measure is called with."""
        return {**self.full, **self.quick} if quick else self.full


@dataclass(frozen=True)
class Target:
    """What a figure must come to, with the standard library's JSON and with orjson.

    Args:
        json: the limit without orjson.
        orjson: the limit with it.
        relative: the limits are for the ratio to another subject, not for the figure itself.
        at_least: the limits are the least, not the most.
        base: that subject; its figure stands beside that of another in any case.
    """

    json: float
    orjson: float
    relative: bool = True
    at_least: bool = False
    base: str = INCUMBENT

    def limit(self, *, has_orjson: bool) -> float:
        """Return the limit for a subject."""
        return self.orjson if has_orjson else self.json

    def is_met_by(self, value: float, *, has_orjson: bool) -> bool:
        """Return whether a figure, or a ratio, is within the limit."""
        limit = self.limit(has_orjson=has_orjson)
        return value >= limit if self.at_least else value <= limit


@dataclass(frozen=True)
class Metric:
    """A row of a table: a figure of a measurement, and the subjects that the target is for."""

    measurement: str
    figure: str
    title: str
    unit: str
    target: Target
    subjects: tuple[str, ...] = OURS


def _absolute(limit: float) -> Target:
    """Return a target for the figure itself, the same without orjson and with it."""
    return Target(limit, limit, relative=False)


def _of_spool(
    measurement: str, figure: str, title: str, unit: str, limit: float, **others: bool
) -> Metric:
    """Return a metric of the client with a spool, beside the same client without one."""
    target = Target(limit, limit, base=PLAIN, **others)
    return Metric(measurement, figure, title, unit, target, (SPOOLED,))


GIL_ROUND = 31 * 5.0
"""Milliseconds until each of 31 other threads has had its turn at the interpreter."""

MEASUREMENTS = (
    Measurement("cpu", "cpu", {"events": 20_000}, {"events": 5_000}, subjects=tuple(SUBJECTS)),
    Measurement("gzip", "cpu", {"events": 20_000, "gzip": True}, {"events": 5_000}),
    Measurement(
        "paced", "paced", {"events": 1_500, "per_second": 2_000}, turns=3, subjects=tuple(SUBJECTS)
    ),
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
    Measurement("backlog", "backlog", {"events": 50_000}, subjects=tuple(SUBJECTS)),
    Measurement(
        "rotations",
        "backlog",
        {"events": 300_000, "room": 10_000},
        {"events": 50_000},
        subjects=(SPOOLED,),
    ),
    Measurement(
        "adoption",
        "adoption",
        {"events": 700_000},
        {"events": 70_000},
        max_rounds=3,
        subjects=(PLAIN, SPOOLED),
    ),
    Measurement("history", "history", {"events": 200_000}, {"events": 50_000}, subjects=IMPORTERS),
    Measurement(
        "history-key",
        "history",
        {"events": 200_000, "key": True},
        {"events": 50_000},
        subjects=IMPORTERS,
    ),
    Measurement(
        "history-command",
        "history_command",
        {"events": 1_000_000},
        {"events": 100_000},
        max_rounds=1,
        subjects=OURS,
    ),
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
    Metric(
        "history",
        "events_per_second",
        "import of JSON lines: events/s",
        "/s",
        Target(25_000, 60_000, relative=False, at_least=True),
    ),
    Metric(
        "history-key",
        "events_per_second",
        "the same, with a key: events/s",
        "/s",
        Target(25_000, 60_000, relative=False, at_least=True),
    ),
    Metric(
        "history-command",
        "events_per_second",
        "the command, 1,000,000 lines: events/s",
        "/s",
        Target(25_000, 60_000, relative=False, at_least=True),
    ),
    Metric("history-command", "megabytes", "the same: memory", "MB", _absolute(64)),
    _of_spool("cpu", "cpu_us", "spool: client CPU per delivered event", "µs", 1.5),
    _of_spool("paced", "p50_us", "spool: `track()` p50, paced", "µs", 1.35),
    _of_spool(
        "rotations", "worst_ms", "spool: worst `track()` in 200 segments", "ms", 5, relative=False
    ),
    _of_spool(
        "backlog",
        "worst_ms",
        "spool: worst `track()` up to 50,000 queued",
        "ms",
        5,
        relative=False,
    ),
    _of_spool(
        "adoption", "events_per_second", "spool: backlog, events/s", "/s", 0.3, at_least=True
    ),
    _of_spool(
        "adoption", "megabytes", "spool: memory to deliver a backlog", "MB", 30, relative=False
    ),
)
