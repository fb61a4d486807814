"""The cost of waiting events: the sink holds its responses, and events pile up."""

from __future__ import annotations

import gc
import os
import time
from typing import TYPE_CHECKING

from benchmarks.events import small_event, user
from benchmarks.measures.process import forget_peak, peak_bytes, resident_bytes
from benchmarks.measures.quantiles import quantile
from benchmarks.measures.task import MIN_QUEUE_SIZE
from benchmarks.subjects import Options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.measures.task import Reading, Task
    from benchmarks.subjects import Client

__all__ = ["adoption", "backlog", "memory"]

POLL_SECONDS = 0.005


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


def backlog(task: Task, *, events: int, room: int = 0) -> Reading:
    """Time the slowest call while events pile up, and what it costs to deliver them after all.

    All of them wait in memory; with a spool, `room` is how many do, if it is not 0.
    """
    client = task.connect(events=room or events)
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


def adoption(task: Task, *, events: int) -> Reading:
    """Measure the delivery of a backlog: its speed, and the memory that it takes on top.

    With a spool, another process has left the backlog there; without, it waits in memory.
    """
    client = task.connect(events=0 if task.subject.has_spool else events)
    if task.subject.has_spool:
        client.shutdown()  # it has imported everything
        _leave(task, events)
        client = task.subject.connect(Options(task.sink.url, MIN_QUEUE_SIZE))
    else:
        task.sink.hold()
        _track(client, range(events))
    gc.collect()
    before = resident_bytes()
    forget_peak()
    began = time.perf_counter()
    task.sink.release()
    _track(client, [events])
    client.flush()
    while task.subject.has_spool and client.count_recovered() < events:
        time.sleep(POLL_SECONDS)
    seconds = time.perf_counter() - began
    return {
        "sent": events + 1,
        "events_per_second": events / seconds,
        "megabytes": (peak_bytes() - before) / 1e6,
    }


def _leave(task: Task, events: int) -> None:
    """Have another process track events, and end before it delivers them."""
    task.sink.hold()
    child = os.fork()
    if not child:
        _track(task.subject.connect(Options(task.sink.url, MIN_QUEUE_SIZE)), range(events))
        os._exit(0)
    os.waitpid(child, 0)
    task.sink.reset()


def _track(client: Client, numbers: Iterable[int]) -> None:
    for number in numbers:
        client.track(user(number), "Subscription Renewed", small_event(number), None)
