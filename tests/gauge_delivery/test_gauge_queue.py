"""The queue of gauges: what is folded, when it leaves, and that every sample is accounted for."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import tracemalloc
from collections import Counter
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from support.background import Background
from support.in_flight import InFlight
from support.marks import needs_fork
from support.signal_handlers import call_with_handler

from segment_librato.errors import ClientClosedError, QueueFullError
from segment_librato.gauge_delivery.aggregate import MultiSample
from segment_librato.gauge_delivery.queue import GaugeQueue
from segment_librato.librato import Measurement
from segment_librato.process.clock import Clock
from segment_librato.process.locks import Waiter
from segment_librato.queue.in_flight import InFlightBatch
from segment_librato.queue.schedule import BatchRules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from segment_librato.process.clock import Waitable

ENDLESS = 1e10  # the first period, which began in 1970, lasts longer than these tests
SHORT = 0.05
LeftOver = list[tuple[InFlightBatch, tuple[bytes, ...]]]


class StoppedClock(Clock):
    """A clock on which time passes when a test says so, and no period ends before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        wall_clock = SimpleNamespace(time=lambda: self.seconds)
        monkeypatch.setattr("segment_librato.gauge_delivery.queue.time", wall_clock)

    def now(self) -> float:
        return self.seconds

    def wait(self, changed: Waitable, deadline: float | None) -> bool:
        if deadline is None or self.seconds < deadline:
            changed.wait()
        return deadline is None or self.seconds < deadline


def sample(name: str = "gauge", value: float = 1, measure_time: int = 0) -> MultiSample:
    return MultiSample(Measurement(name, value, measure_time, "source"), 60, 0)


def make_queue(
    period: float = ENDLESS,
    max_size: int = 100,
    max_messages: int = 10,
    max_bytes: int = 1_000_000,
    clock: Clock | None = None,
    max_queue_bytes: int = 0,
) -> GaugeQueue:
    # a trigger and an interval that must not matter
    rules = BatchRules(1, max_messages, max_bytes, 0.0)
    return GaugeQueue(max_size, rules, period, max_queue_bytes, clock)


def put(queue: GaugeQueue, *names: str) -> None:
    for name in names:
        assert queue.put(sample(name)) is None


def counts(batch: object) -> dict[str, int]:
    """Return how many samples of each gauge a batch holds."""
    assert isinstance(batch, InFlightBatch)
    found: Counter[str] = Counter()
    for message in batch.messages:
        gauge = json.loads(message)
        found[gauge["name"]] += gauge["count"]
    return dict(found)


def take_all(queue: GaugeQueue) -> dict[str, int]:
    found: Counter[str] = Counter()
    while batch := queue.take_now():
        found.update(counts(batch))
    return dict(found)


# Folding


def test_samples_with_one_key_wait_as_one_message() -> None:
    queue = make_queue()
    for value in (1, 2.5, -4):
        assert queue.put(sample("a", value)) is None
    put(queue, "b")
    assert queue.qsize() == 2
    assert queue.ledger.stats().accepted == 2
    batch = queue.take_now()
    assert batch is not None
    assert [json.loads(message) for message in batch.messages] == [
        {
            "name": name,
            "count": count,
            "sum": total,
            "min": lowest,
            "max": highest,
            "sum_squares": squares,
            "measure_time": 0,
            "source": "source",
        }
        for name, count, total, lowest, highest, squares in [
            ("a", 3, -0.5, -4, 2.5, 23.25),
            ("b", 1, 1, 1, 1, 1),
        ]
    ]


def test_names_sources_and_periods_are_kept_apart() -> None:
    queue = make_queue()
    for name, source, measure_time in [("a", "x", 0), ("a", "y", 0), ("a", "x", 60), ("b", "x", 0)]:
        for _ in range(2):
            measurement = Measurement(name, 1, measure_time, source)
            assert queue.put(MultiSample(measurement, 60, 0)) is None
    batch = queue.take_now()
    assert batch is not None
    assert [json.loads(message)["count"] for message in batch.messages] == [2, 2, 2, 2]


def test_what_was_taken_is_folded_into_no_more() -> None:
    queue = make_queue()
    put(queue, "a", "a")
    first = queue.take_now()
    put(queue, "a", "a", "a")
    assert counts(first) == {"a": 2}
    assert counts(queue.take_now()) == {"a": 3}
    assert queue.ledger.stats().accepted == 2


def test_plain_messages_wait_among_the_gauges() -> None:
    queue = make_queue()
    put(queue, "a")
    assert queue.put(b"plain") is None
    put(queue, "b", "a")
    assert queue.qsize() == 3
    batch = queue.take_now()
    assert batch is not None
    assert batch.messages[1] == b"plain"
    assert [json.loads(batch.messages[index])["count"] for index in (0, 2)] == [2, 1]


def test_a_full_queue_still_folds() -> None:
    queue = make_queue(max_size=2)
    put(queue, "a", "b")
    assert isinstance(queue.put(sample("c")), QueueFullError)
    put(queue, "a", "b", "b")
    assert isinstance(queue.put(sample("c")), QueueFullError)
    assert queue.ledger.stats().rejected == 2
    assert take_all(queue) == {"a": 2, "b": 3}
    put(queue, "c")
    assert take_all(queue) == {"c": 1}  # nothing of what was rejected


def test_calls_in_the_middle_of_a_call_do_not_make_the_bytes_drift() -> None:
    line = 0
    got_that_far = True
    while got_that_far:
        line += 1
        queue = make_queue(max_queue_bytes=4 * (len(sample("a")) + 1))
        put(queue, "a")
        got_that_far = call_with_handler(
            partial(put, queue, "b"), line, partial(put, queue, "c"), step="line"
        )
        put(queue, "c", "d")
        assert isinstance(queue.put(sample("e")), QueueFullError), f"line {line}"
    assert line > 10


def test_what_a_consumer_held_is_sent_though_it_was_killed_while_it_made_the_json(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = make_queue()
    put(queue, "a", "b")
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    held = InFlightBatch()
    held.thread = thread

    def die(_: object) -> bytes:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("segment_librato.gauge_delivery.queue._Waiting.__bytes__", die)
        with pytest.raises(SystemExit):
            queue.take_now(held)
    queue.find_dead()
    assert take_all(queue) == {"a": 1, "b": 1}


def test_a_closed_queue_folds_no_more() -> None:
    queue = make_queue()
    queue.register_worker("worker")
    put(queue, "a")
    queue.close()
    assert isinstance(queue.put(sample("a")), ClientClosedError)
    assert isinstance(queue.put(sample("b")), ClientClosedError)
    assert isinstance(queue.put(b"plain"), ClientClosedError)
    assert counts(queue.take("worker")) == {"a": 1}
    assert queue.take("worker") is None
    stats = queue.ledger.stats()
    assert (stats.accepted, stats.rejected) == (1, 3)


@pytest.mark.parametrize("closed", [False, True])
def test_a_reset_forgets_what_waits_and_what_is_open(closed: bool) -> None:
    queue = make_queue()
    put(queue, "a", "b")
    if closed:
        queue.close()
    queue.reset()
    assert queue.qsize() == 0
    assert queue.ledger.stats().accepted == 0
    assert (queue.put(sample("a")) is None) is not closed
    assert take_all(queue) == ({} if closed else {"a": 1})


@needs_fork
def test_a_forked_child_folds_into_nothing_of_its_parent() -> None:
    queue = make_queue()
    put(queue, "a")
    child = os.fork()
    if not child:
        status = 1
        try:
            queue.reset()
            put(queue, "a", "a")
            status = 0 if take_all(queue) == {"a": 2} else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    put(queue, "a", "a")
    assert take_all(queue) == {"a": 3}


# When it leaves


def test_a_gauge_leaves_at_the_end_of_the_period_of_the_clock() -> None:
    queue = make_queue(period=SHORT)
    before = time.time()
    put(queue, "a", "a")
    batch = queue.take("worker")
    tolerance = 0.01  # the wall clock may be slewed against the monotonic one
    assert time.time() + tolerance >= (before // SHORT + 1) * SHORT
    assert counts(batch) == {"a": 2}


def test_neither_numbers_nor_bytes_make_it_leave() -> None:
    queue = make_queue(max_messages=2, max_bytes=300)
    queue.register_worker("worker")
    taking = Background(lambda: queue.take("worker"))
    put(queue, *map(str, range(10)))
    assert taking.is_running()
    queue.begin_flush()
    assert isinstance(taking.wait(), InFlightBatch)


def test_old_samples_are_folded_and_leave_with_the_period_in_which_they_came() -> None:
    queue = make_queue()
    queue.register_worker("worker")
    taking = Background(lambda: queue.take("worker"))
    for measure_time in (-(10**9), 0, -(10**9), 0):
        queue.put(sample("a", 1, measure_time))
    assert taking.is_running()
    assert queue.qsize() == 2
    queue.begin_flush()
    assert counts(taking.wait()) == {"a": 4}


def test_an_older_gauge_does_not_cut_the_current_period_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = StoppedClock(monkeypatch)
    queue = make_queue(period=SHORT, clock=clock)
    queue.register_worker("worker")
    put(queue, "old", "older")
    clock.seconds = SHORT
    put(queue, "new", "old")
    assert counts(queue.take("worker")) == {"old": 2, "older": 1}
    taking = Background(lambda: queue.take("worker"))
    assert taking.is_running()
    put(queue, "new", "old")
    queue.begin_flush()
    assert counts(taking.wait()) == {"new": 2, "old": 1}


def test_what_has_ended_leaves_at_once_however_many_batches_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = StoppedClock(monkeypatch)
    queue = make_queue(period=SHORT, max_messages=10, clock=clock)
    queue.register_worker("worker")
    put(queue, *map(str, range(25)))
    clock.seconds = SHORT
    put(queue, "new")
    sizes = [len(counts(queue.take("worker"))) for _ in range(3)]
    assert sizes[:2] == [10, 10]
    assert sizes[2] == 5
    assert queue.qsize() == 1


def test_all_that_came_in_one_period_is_due_at_the_same_time() -> None:
    queue = make_queue()
    put(queue, *map(str, range(50)))
    queue.put(b"plain")
    assert len({waiting.due_at for waiting in queue._waiting}) == 1  # noqa: SLF001  it is inner


def test_the_time_at_which_gauges_are_due_never_decreases() -> None:
    queue = make_queue(period=0.001, max_size=0)
    ends: set[float] = set()
    while len(ends) < 5:
        put(queue, str(queue.qsize()))
        ends.add(queue._waiting[-1].due_at)  # noqa: SLF001  it is inner
    times = [waiting.due_at for waiting in queue._waiting]  # noqa: SLF001
    assert times == sorted(times)


def test_a_flush_sends_what_is_open_in_batches() -> None:
    queue = make_queue(max_messages=2)
    queue.register_worker("worker")
    put(queue, "a", "b", "c", "a")
    mark = queue.begin_flush()
    put(queue, "b")
    for expected in ({"a": 2, "b": 2}, {"c": 1}):
        batch = queue.take("worker")
        assert counts(batch) == expected
        assert isinstance(batch, InFlightBatch)
        queue.ledger.mark_delivered(batch, len(batch.messages))
    assert queue.wait_until_settled(mark, time.monotonic() + 1)
    put(queue, "a")
    taking = Background(lambda: queue.take("worker"))
    assert taking.is_running()
    queue.close()
    assert counts(taking.wait()) == {"a": 1}


def test_a_drain_sends_what_is_open_and_lets_the_consumer_leave() -> None:
    queue = make_queue()
    queue.register_worker("worker")
    put(queue, "a")
    queue.workers.drain()
    assert counts(queue.take("worker")) == {"a": 1}
    assert queue.take("worker") is None
    assert queue.workers.count == 0


def test_what_is_open_can_be_abandoned() -> None:
    queue = make_queue(max_messages=1)
    put(queue, "a", "b", "a")
    queue.take_now()
    left_over: LeftOver = []
    queue.abandon(left_over)
    assert [counts(batch) for batch, _ in left_over] == [{"a": 2}, {"b": 1}]
    put(queue, "b")
    assert take_all(queue) == {"b": 1}


def test_a_gauge_larger_than_a_batch_leaves_alone() -> None:
    queue = make_queue(max_bytes=10)
    queue.register_worker("worker")
    put(queue, "a", "b")
    queue.begin_flush()
    assert [counts(queue.take("worker")) for _ in range(2)] == [{"a": 1}, {"b": 1}]


def test_clocks_that_a_test_has_stopped_hold_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now, wall_now = time.monotonic(), time.time()
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr("time.time", lambda: wall_now)
    queue = make_queue(period=SHORT)
    for _ in range(2):
        put(queue, "a", "b", "a")
        assert counts(queue.take("worker")) == {"a": 2, "b": 1}


# Consumers


class Waits:
    """How often, and for how long, consumers begin to wait; who wakes up in vain does so again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds: list[float | None] = []
        self._begun = threading.Semaphore(0)
        wait = Waiter.wait

        def counted(waiter: Waiter, timeout: float | None = None) -> bool:
            self.seconds.append(timeout)
            self._begun.release()
            return wait(waiter, timeout)

        monkeypatch.setattr(Waiter, "wait", counted)

    def next(self) -> None:
        assert self._begun.acquire(timeout=10)


def test_nobody_wakes_up_while_a_period_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = make_queue(max_size=0)
    waits = Waits(monkeypatch)
    taking = Background(lambda: queue.take("worker"))
    waits.next()
    put(queue, "a")
    waits.next()
    for number in range(100):
        put(queue, "a", f"{number}")
    assert taking.is_running()
    assert len(waits.seconds) == 2
    assert waits.seconds[0] is None
    queue.begin_flush()
    taking.wait()


def test_a_consumer_that_wakes_up_late_leaves_the_next_period_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = StoppedClock(monkeypatch)
    queue = make_queue(period=SHORT, clock=clock)
    waits = Waits(monkeypatch)
    put(queue, "a")
    taking = Background(lambda: queue.take("worker"))
    waits.next()
    with queue.lock:  # it cannot go on when its time is over
        clock.seconds = SHORT
        assert take_all(queue) == {"a": 1}
        put(queue, "b")
    waits.next()
    assert taking.is_running()
    queue.begin_flush()
    assert counts(taking.wait()) == {"b": 1}


def test_several_producers_and_consumers_lose_and_double_nothing() -> None:
    queue = make_queue(period=0.01, max_size=0, max_messages=3)
    found: list[dict[str, int]] = []

    def consume(worker: int) -> None:
        queue.register_worker(worker)
        while batch := queue.take(worker):
            found.append(counts(batch))
            queue.ledger.mark_delivered(batch, len(batch.messages))

    def produce() -> None:
        for number in range(2_000):
            put(queue, f"gauge-{number % 10}")

    consumers = [Background(lambda worker=worker: consume(worker)) for worker in range(3)]  # type: ignore[misc]
    producers = [Background(produce) for _ in range(4)]
    for producer in producers:
        producer.wait()
    queue.close()
    for consumer in consumers:
        consumer.wait()
    total: Counter[str] = Counter()
    for part in found:
        total.update(part)
    assert total == {f"gauge-{number}": 800 for number in range(10)}
    stats = queue.ledger.stats()
    assert stats.accepted == stats.delivered == sum(map(len, found))
    assert stats.pending == 0


def test_memory_does_not_grow_with_the_number_of_samples() -> None:
    queue = make_queue()
    names = list(map(str, range(100)))
    samples = [sample(name, 0.1) for name in names]
    put(queue, *names)
    tracemalloc.start()
    try:
        for _ in range(500):  # 50,000 samples; while memory is traced a million takes too long
            for one in samples:
                queue.put(one)
        grown_by, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert queue.qsize() == 100
    assert grown_by < 100 * 1_000
    assert sum(take_all(queue).values()) == 50_100


# Signal handlers


class Story:
    """A queue, and all that was put into it and taken from it."""

    def __init__(self) -> None:
        self.queue = make_queue()
        self._accepted: list[str] = []
        self._taken: list[InFlightBatch] = []

    def go_on(self, what: str) -> None:
        if what == "close":
            self.queue.close()
        if "put" in what:
            name = "b" if "another" in what else "a"
            if self.queue.put(sample(name)) is None:
                self._accepted.append(name)
        if "take" in what and (batch := self.queue.take_now()):
            self._taken.append(batch)

    def check(self) -> None:
        while not self.queue.empty():
            self.go_on("take")
        found: Counter[str] = Counter()
        for batch in self._taken:
            found.update(counts(batch))
        assert found == Counter(self._accepted)
        assert self.queue._open == {}  # noqa: SLF001  nothing waits any more
        stats = self.queue.ledger.stats()
        assert stats.accepted == stats.pending == sum(len(one.messages) for one in self._taken)


@pytest.mark.slow
@pytest.mark.parametrize("call", ["first put", "put", "take"])
@pytest.mark.parametrize("handler", ["put", "put another", "take", "put and take", "close"])
@pytest.mark.parametrize("afterwards", ["put", "take"])
def test_a_signal_handler_may_use_the_queue_at_any_bytecode_of_a_call(
    call: str, handler: str, afterwards: str
) -> None:
    step = 0
    got_that_far = True
    while got_that_far:
        step += 1
        story = Story()
        if call != "first put":
            story.go_on("put")
        got_that_far = call_with_handler(
            partial(story.go_on, call), step, partial(story.go_on, handler)
        )
        story.go_on(afterwards)
        story.check()
    assert step > 10


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
def test_real_signals_lose_and_double_nothing() -> None:
    queue = make_queue()
    calls = rounds = 0

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal calls
        put(queue, "a", "b")
        calls += 1
        signal.setitimer(signal.ITIMER_REAL, 0.0001)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0001)
        while calls < 500:
            put(queue, "a")
            rounds += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert take_all(queue) == {"a": rounds + calls, "b": calls}


class Accounting(InFlight):
    """Whatever happens in whatever order: each gauge has one outcome, each sample one gauge."""

    queue: GaugeQueue

    def __init__(self) -> None:
        super().__init__()
        self.queue = make_queue(max_size=3, max_messages=2)
        self.waiting: dict[tuple[str, int], int] = {}  # the samples that are folded in each gauge
        self.closed = False

    @rule(name=st.sampled_from("abcd"), period=st.integers(0, 1), value=st.integers(0, 9))
    def put(self, name: str, period: int, value: int) -> None:
        key = (name, 60 * period)
        rejection = self.queue.put(sample(name, value, 60 * period + 7))
        if self.closed or (key not in self.waiting and len(self.waiting) == 3):
            assert rejection is not None
            self.rejected += 1
            return
        assert rejection is None
        self.accepted += key not in self.waiting
        self.waiting[key] = self.waiting.get(key, 0) + 1

    def has_left(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            gauge = json.loads(message)
            oldest = next(iter(self.waiting))
            assert (gauge["name"], gauge["measure_time"]) == oldest
            assert gauge["count"] == self.waiting.pop(oldest)

    @rule()
    def take(self) -> None:
        if batch := self.queue.take_now():
            self.has_left(batch.messages)
            self.batches.append(batch)

    @precondition(lambda self: self.waiting)
    @rule(flush=st.booleans())
    def flush_and_take(self, flush: bool) -> None:
        self.queue.begin_flush()
        batch = self.queue.take("worker")
        assert batch is not None
        self.has_left(batch.messages)
        self.batches.append(batch)

    @rule()
    def abandon(self) -> None:
        left_over: LeftOver = []
        self.queue.abandon(left_over)
        if self.waiting:
            self.has_left(left_over[-1][1])
        self.claimed += [(batch, len(messages)) for batch, messages in left_over]
        self.batches.clear()

    @rule()
    def close(self) -> None:
        self.queue.close()
        self.closed = True

    @invariant()
    def what_waits_is_known(self) -> None:
        assert self.queue.qsize() == len(self.waiting)
        assert len(self.queue._open) == len(self.waiting)  # noqa: SLF001  nothing else is kept


TestAccounting = Accounting.TestCase
