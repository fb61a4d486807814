"""Samples on disk: each counts with its record or not at all, whatever comes in between."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support.background import Background
from support.interruptions import OF_ALL_TYPES, interrupted
from support.signal_handlers import call_with_handler
from support.spool import Corruption, drain

from segment_librato.config.spool import SpoolConfig
from segment_librato.gauge_delivery.queue import GaugeQueue
from segment_librato.gauge_delivery.spooled_queue import (
    GaugeRecords,
    SpooledGaugeQueue,
    SpooledSamples,
)
from segment_librato.librato import Measurement
from segment_librato.queue import spooled
from segment_librato.queue.in_flight import InFlightBatch
from segment_librato.queue.message_queue import REFUSED
from segment_librato.queue.schedule import BatchRules
from segment_librato.spooling import lane as lane_module
from segment_librato.spooling import spool as spool_module
from segment_librato.spooling.segment import Segment, WrittenSegment
from segment_librato.spooling.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PERIOD = 600
LONG = 60.0


class Queue(SpooledGaugeQueue):
    """A queue that remembers the segments it has written."""

    def __init__(self, path: Path, *, max_size: int = 0) -> None:
        self.segments: list[WrittenSegment] = []
        spool = Spool.open(SpoolConfig(path, fsync=None), "account", "host")
        make_segment = spool.run.make_segment

        def remember(first: int) -> WrittenSegment:
            self.segments.append(make_segment(first))
            return self.segments[-1]

        spool.run.make_segment = remember  # type: ignore[method-assign]
        super().__init__(spool, max_size, BatchRules(300, 300, 500_000, PERIOD), PERIOD)

    def unsettled(self) -> int:
        """Return how many records have no outcome."""
        assert all(segment.settled <= segment.records for segment in self.segments)
        return sum(segment.records - segment.settled for segment in self.segments)

    def waiting(self) -> int:
        """Return how many samples wait."""
        return sum(int(one.item.summary()["count"]) for one in [*self._waiting])

    def deliver(self) -> list[dict[str, Any]]:
        """Deliver all that waits, and return it."""
        delivered: list[dict[str, Any]] = []
        while batch := self.take_now():
            delivered += map(json.loads, batch.unclaimed)
            self.ledger.mark_delivered(batch, len(batch.messages))
            self.tidy(batch)
        return delivered


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    queue = Queue(tmp_path)
    yield queue
    queue.close_files()


def sample(name: str = "gauge", value: float = 1) -> SpooledSamples:
    return SpooledSamples(Measurement(name, value, 0, "source"), PERIOD, 0)


def files(path: Path) -> list[Path]:
    return [*path.rglob("*.seg")]


@pytest.mark.parametrize("is_new", [True, False])
def test_an_interrupted_sample_counts_with_its_record_or_not_at_all(
    queue: Queue, tmp_path: Path, *, is_new: bool
) -> None:
    queue.offer(sample())
    place, numbers = 0, {queue.waiting()}
    got_that_far = True
    while got_that_far:
        place += 1
        one = sample(f"gauge-{place}" if is_new else "gauge")
        got_that_far = interrupted(partial(queue.offer, one), place)
        assert queue.unsettled() == queue.waiting(), f"place {place}"
        numbers.add(queue.waiting())
    assert place > len(numbers) > 3, "some counted, and some did not"
    assert sum(gauge["count"] for gauge in queue.deliver()) == max(numbers)
    assert queue.unsettled() == 0
    queue.close_files()
    assert files(tmp_path) == []


@pytest.mark.parametrize("is_new", [True, False])
def test_a_sample_that_is_delivered_before_its_call_is_interrupted_is_settled_once(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, *, is_new: bool
) -> None:
    queue.offer(sample())
    name = "_append" if is_new else "_fold"
    take_in = getattr(GaugeQueue, name)

    def be_interrupted(self: Queue, samples: SpooledSamples) -> None:
        assert take_in(self, samples)
        assert sum(gauge["count"] for gauge in self.deliver()) == 2
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(GaugeQueue, name, be_interrupted)
        with pytest.raises(KeyboardInterrupt):
            queue.offer(sample("another" if is_new else "gauge"))
    assert queue.waiting() == queue.unsettled() == 0


@pytest.mark.slow
@pytest.mark.parametrize("is_new", [True, False])
def test_a_consumer_may_take_a_gauge_at_any_moment_of_a_call(
    tmp_path: Path, *, is_new: bool
) -> None:
    step, numbers = 0, set()
    got_that_far = True
    queue = Queue(tmp_path)
    while got_that_far:
        step += 1
        queue.offer(sample())
        delivered: list[dict[str, Any]] = []
        one = sample("another" if is_new else "gauge")

        def deliver(delivered: list[dict[str, Any]] = delivered) -> None:
            delivered += queue.deliver()

        got_that_far = call_with_handler(partial(queue.offer, one), step, deliver)
        assert queue.unsettled() == queue.waiting(), f"step {step}"
        numbers.add(sum(gauge["count"] for gauge in delivered))
        delivered += queue.deliver()
        assert sum(gauge["count"] for gauge in delivered) == 2
        assert queue.unsettled() == 0
    assert numbers == {0, 1, 2}
    queue.close_files()
    assert files(tmp_path) == []


def test_memory_does_not_grow_with_the_number_of_samples(queue: Queue) -> None:
    def offer(count: int) -> None:
        for _ in range(count):
            queue.offer(sample())

    offer(100)
    tracemalloc.start()
    try:
        offer(3_000)
        grown_by, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown_by < 5_000
    assert queue.deliver()[0]["count"] == 3_100


def test_an_outcome_is_counted_once_for_each_file_and_not_for_each_sample(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[tuple[Segment, int]] = []

    def remember(segment: Segment, name: str, count: int) -> None:
        counts.append((segment, count))
        setattr(segment, name, count)

    for n in range(100):
        if n == 40:
            queue._lane.retire(all_of_them=True)  # noqa: SLF001  the next one begins another file
        queue.offer(sample())
    monkeypatch.setattr(spooled, "setattr", remember, raising=False)
    assert queue.deliver()[0]["count"] == 100
    assert counts == [(queue.segments[0], 40), (queue.segments[1], 60)]


def test_an_interruption_tells_all_files_of_a_gauge_that_it_is_elsewhere_or_none(
    tmp_path: Path,
) -> None:
    place, is_struck, told = 0, True, set()
    while is_struck:
        place += 1
        one, other = Segment(tmp_path / "1.seg"), Segment(tmp_path / "2.seg")
        gauge = spooled.SpooledMessage(b"{}", GaugeRecords({one: 1, other: 2}))  # type: ignore[arg-type]
        is_struck = interrupted(partial(spooled.settle_record, gauge), place)
        told.add((one.settled, other.settled, gauge.segment is None))
    assert told == {(0, 0, False), (1, 2, True)}


def test_files_that_many_gauges_share_are_looked_at_and_deleted_once(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def remember(name: str) -> None:
        original: Callable[..., object] = getattr(WrittenSegment, name)

        def call(self: WrittenSegment) -> object:
            calls.append(name)
            return original(self)

        monkeypatch.setattr(WrittenSegment, name, call)

    for n in range(200):
        queue.offer(sample(f"gauge-{n}"))
    remember("look")
    remember("delete_if_settled")
    queue.abandon([])
    assert calls == ["look"]
    queue.drop_settled()
    assert len(calls) < 10


def test_a_gauge_of_which_somebody_deleted_a_file_is_reported_and_not_left(
    queue: Queue, tmp_path: Path
) -> None:
    for _ in range(2):
        queue.offer(sample())
        queue._lane.retire(all_of_them=True)  # noqa: SLF001  the next one begins another file
    queue.segments[0].path.unlink()
    left_over: list[tuple[InFlightBatch, tuple[bytes, ...]]] = []
    queue.abandon(left_over)
    ((batch, (gauge,)),) = left_over
    assert json.loads(gauge)["count"] == 2
    queue.ledger.mark_failed(batch, 1)
    queue.tidy(batch)
    assert queue.ledger.stats().pending == 0
    assert files(tmp_path) == []


# An interruption when `open` returns leaves the file to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <_io.FileIO")
@pytest.mark.filterwarnings("ignore:unclosed")
def test_wherever_a_shutdown_is_interrupted_each_gauge_is_left(tmp_path: Path) -> None:
    place, times = 0, set()
    got_that_far = True
    while got_that_far:
        place += 1
        folder = tmp_path / str(place)
        queue = Queue(folder)
        for n in range(20):
            queue.offer(sample(f"gauge-{n % 10}"))
        queue.abandon([])
        got_that_far = interrupted(queue.drop_settled, place, OF_ALL_TYPES)
        queue.drop_settled()
        queue.close_files()
        (account,) = folder.iterdir()
        gauges = [json.loads(payload) for payload in drain(account, Corruption())]
        counts = Counter({f"gauge-{n}": 0 for n in range(10)})
        for gauge in gauges:
            counts[gauge["name"]] += gauge["count"]
        assert {*counts.values()} <= {2, 4}, f"place {place}"
        times.add(sum(counts.values()))
        assert files(folder) == []
    assert 20 in times


def test_a_child_that_is_forked_in_a_call_leaves_the_sample_to_its_parent(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.offer(sample())

    def write_and_fork(descriptor: int, data: bytes) -> int:
        written = os.write(descriptor, data)
        queue.reset()
        return written

    with monkeypatch.context() as patch:
        patch.setattr(lane_module, "write", write_and_fork)
        queue.offer(sample())
    assert queue.waiting() == 0
    queue.offer(sample())
    assert queue.waiting() == 1


def test_a_new_gauge_does_not_overtake_a_call_that_waits_for_room(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "MIN_MEASURE_SECONDS", LONG)
    queue.offer(sample())
    run = queue.spool.run
    room, run.written = run.written, queue.spool.config.max_bytes
    waits = Background(lambda: queue.put(sample("another"), queue.clock.deadline(LONG)))
    assert waits.is_running()
    run.written = room
    assert queue.offer(sample("a third")) is REFUSED
    assert queue.offer(sample()) is None  # it needs no room in memory
    queue.tidy(InFlightBatch())  # as after a batch
    assert waits.wait() is None
    assert queue.waiting() == 3
