"""The cost of many events, from the first call until the last one is delivered."""

from __future__ import annotations

import gc
import threading
import time
from typing import TYPE_CHECKING

from benchmarks.events import sized_event, small_event, user
from benchmarks.measures.quantiles import quantile

if TYPE_CHECKING:
    from benchmarks.measures.task import Reading, Task
    from benchmarks.subjects import Client

__all__ = ["cpu", "threads"]

SMALLEST_KILOBYTES = 0.3


def cpu(
    task: Task, *, events: int, gzip: bool = False, kilobytes: float = SMALLEST_KILOBYTES
) -> Reading:
    """Measure the processor time of the client's process per event that is delivered."""
    client = task.connect(events=events, gzip=gzip)
    template = sized_event(kilobytes)
    gc.collect()
    began = time.process_time()
    for number in range(events):
        client.track(user(number), "Subscription Renewed", {**template, "order": number}, None)
    client.flush()
    seconds = time.process_time() - began
    return {"sent": events, "cpu_us": seconds / events * 1e6}


def threads(task: Task, *, events: int, producers: int) -> Reading:
    """Measure how many events a second several threads track and the client delivers."""
    client = task.connect(events=events)
    numbers = [range(first, events, producers) for first in range(producers)]
    durations: list[list[int]] = [[] for _ in numbers]
    start = threading.Barrier(producers + 1)
    workers = [
        threading.Thread(target=_produce, args=(client, *arguments, start))
        for arguments in zip(numbers, durations, strict=True)
    ]
    for worker in workers:
        worker.start()
    gc.collect()
    start.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    client.flush()
    seconds = time.perf_counter() - began
    every = [duration for one in durations for duration in one]
    return {
        "sent": events,
        "events_per_second": events / seconds,
        "p50_us": quantile(every, 0.5) / 1e3,
        "p99_us": quantile(every, 0.99) / 1e3,
        "worst_ms": max(every) / 1e6,
    }


def _produce(
    client: Client, numbers: range, durations: list[int], start: threading.Barrier
) -> None:
    start.wait()
    for number in numbers:
        properties = small_event(number)
        began = time.perf_counter_ns()
        client.track(user(number), "Subscription Renewed", properties, None)
        durations.append(time.perf_counter_ns() - began)
