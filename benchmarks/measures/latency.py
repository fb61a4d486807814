"""The cost of one call to its caller while the client delivers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.events import LARGE_CONTEXT, large_event, small_event, user
from benchmarks.measures.quantiles import quantile

if TYPE_CHECKING:
    from benchmarks.measures.task import Reading, Task

__all__ = ["paced"]


def paced(task: Task, *, events: int, per_second: int, large: bool = False) -> Reading:
    """Time calls that come at an even pace, as those of a server do."""
    client = task.connect(events=events)
    make, context = (large_event, LARGE_CONTEXT) if large else (small_event, None)
    durations = []
    began = time.perf_counter()
    for number in range(events):
        time.sleep(max(0, began + number / per_second - time.perf_counter()))
        properties = make(number)
        own_context = context and dict(context)
        called = time.perf_counter_ns()
        client.track(user(number), "Subscription Renewed", properties, own_context)
        durations.append(time.perf_counter_ns() - called)
    client.flush()
    return {
        "sent": events,
        "p50_us": quantile(durations, 0.5) / 1e3,
        "p99_us": quantile(durations, 0.99) / 1e3,
    }
