"""The cost of a client that has little or nothing to do, and of its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.events import small_event, user
from benchmarks.measures.process import wake_ups
from benchmarks.measures.quantiles import quantile

if TYPE_CHECKING:
    from benchmarks.measures.task import Reading, Task
    from benchmarks.subjects import Client

__all__ = ["idle", "leave", "one_event", "shutdown"]

SETTLING_SECONDS = 0.5
POLL_SECONDS = 0.5  # a client that polls is met at different points of a poll

left: list[Client] = []  # a client is there until the end, as one of an application is


def one_event(task: Task, *, events: int) -> Reading:
    """Time one call with a flush after it."""
    client = task.connect()
    durations = []
    for number in range(events):
        began = time.perf_counter_ns()
        _deliver(client, number)
        durations.append(time.perf_counter_ns() - began)
    return {"sent": events, "p50_ms": quantile(durations, 0.5) / 1e6}


def idle(task: Task, *, seconds: float) -> Reading:
    """Count how often a client wakes up after it has delivered everything."""
    client = task.connect()
    _deliver(client, 0)
    time.sleep(SETTLING_SECONDS)
    before = wake_ups()
    time.sleep(seconds)
    own = 1  # this thread's, from the sleep
    return {"sent": 1, "wake_ups_per_second": (wake_ups() - before - own) / seconds}


def shutdown(task: Task, *, clients: int) -> Reading:
    """Time the shutdown of clients that have nothing left to deliver."""
    durations = []
    for number in range(1, clients + 1):
        client = task.connect()
        time.sleep(POLL_SECONDS * number / (clients + 1))
        began = time.perf_counter_ns()
        client.shutdown()
        durations.append(time.perf_counter_ns() - began)
    return {"sent": 0, "p50_ms": quantile(durations, 0.5) / 1e6}


def leave(task: Task, *, events: int, warm: bool) -> Reading:
    """Track without a flush; the interpreter's exit, which comes next, is timed from outside."""
    client = task.connect(warm=warm)
    left.append(client)
    for number in range(events):
        client.track(user(number), "Subscription Renewed", small_event(number), None)
    return {"sent": events}


def _deliver(client: Client, number: int) -> None:
    client.track(user(number), "Subscription Renewed", small_event(number), None)
    client.flush()
