"""The cost of waiting events: the sink holds its responses, and events pile up."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

from benchmarks.events import small_event
from benchmarks.measures.process import resident_bytes
from benchmarks.measures.quantiles import quantile

if TYPE_CHECKING:
    from benchmarks.measures.task import Reading, Task

__all__ = ["backlog", "memory"]


def memory(task: Task, *, events: int) -> Reading:
    """Measure the memory of the process per event that waits, each with texts of its own.

    Nothing is delivered in the end; that a backlog is, `backlog` shows.
    """
    client = task.connect(events=events)
    task.sink.hold()
    gc.collect()
    before = resident_bytes()
    for number in range(events):
        properties = {**small_event(number), "price": number + 0.95}
        client.track(f"customer-{number:07d}", "Subscription Renewed", properties, None)
    gc.collect()
    return {"bytes_per_event": (resident_bytes() - before) / events}


def backlog(task: Task, *, events: int) -> Reading:
    """Time the slowest call while events pile up, and what it costs to deliver them after all."""
    client = task.connect(events=events)
    task.sink.hold()
    durations = []
    gc.collect()
    began = time.process_time()
    for number in range(events):
        properties = small_event(number)
        called = time.perf_counter_ns()
        client.track(f"customer-{number:07d}", "Subscription Renewed", properties, None)
        durations.append(time.perf_counter_ns() - called)
    task.sink.release()
    client.flush()
    seconds = time.process_time() - began
    return {
        "sent": events,
        "worst_ms": max(durations) / 1e6,
        "p50_us": quantile(durations, 0.5) / 1e3,
        "cpu_us": seconds / events * 1e6,
    }
