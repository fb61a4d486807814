"""The queue and its ledger, without consumers or a network."""

from __future__ import annotations

import gc
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import rule
from support.background import Background
from support.in_flight import InFlight
from support.real_time import in_real_time
from support.signal_handlers import call_with_handler
from support.waiting import wait_until

from segment_librato.errors import ClientClosedError, QueueFullError
from segment_librato.process.clock import Clock, Waitable
from segment_librato.process.locks import Waiter
from segment_librato.queue.in_flight import InFlightBatch
from segment_librato.queue.message_queue import MessageQueue
from segment_librato.queue.schedule import BatchRules

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.counters import Stats

LONG = 60.0
LeftOver = list[tuple[InFlightBatch, tuple[bytes, ...]]]


def make_queue(
    max_size: int = 100,
    trigger: int = 10,
    max_messages: int = 10,
    max_bytes: int = 1_000,
    interval: float = LONG,
    max_queue_bytes: int = 0,
) -> MessageQueue:
    rules = BatchRules(trigger, max_messages, max_bytes, interval)
    return MessageQueue(max_size, rules, max_queue_bytes)


def fill(queue: MessageQueue, count: int, size: int = 1) -> None:
    for _ in range(count):
        assert queue.put(b"x" * size) is None


# Taking in


def test_messages_leave_in_the_order_they_came() -> None:
    queue = make_queue(trigger=3)
    for message in (b"1", b"2", b"3"):
        queue.put(message)
    batch = queue.take("worker")
    assert batch is not None
    assert batch.messages == [b"1", b"2", b"3"]


def test_max_size_bounds_what_waits_and_not_what_is_under_way() -> None:
    queue = make_queue(max_size=2)
    fill(queue, 2)
    assert isinstance(queue.put(b"x"), QueueFullError)
    queue.take_now()
    fill(queue, 2)
    assert queue.qsize() == 2
    assert queue.ledger.stats().accepted == 4
    assert queue.ledger.stats().rejected == 1


def test_a_max_size_of_0_means_unlimited() -> None:
    queue = make_queue(max_size=0)
    fill(queue, 1_000)
    assert queue.qsize() == 1_000


def test_max_bytes_bounds_what_waits_with_its_commas() -> None:
    queue = make_queue(max_queue_bytes=10)
    fill(queue, 2, size=4)
    assert isinstance(queue.put(b""), QueueFullError)
    queue.take_now()
    fill(queue, 1, size=9)
    assert isinstance(queue.put(b""), QueueFullError)


@pytest.mark.parametrize("bounds", [{"max_size": 4}, {"max_queue_bytes": 40}])
def test_a_batch_is_due_when_half_of_what_may_wait_does(bounds: dict[str, int]) -> None:
    queue = make_queue(trigger=100, **bounds)
    queue.register_worker("worker")
    taking = Background(lambda: queue.take("worker"))
    fill(queue, 1, size=9)
    assert taking.is_running()
    fill(queue, 1, size=9)
    batch = taking.wait()
    assert isinstance(batch, InFlightBatch)
    assert len(batch.messages) == 2


def test_signal_handlers_do_not_make_the_bytes_drift() -> None:
    step = 0
    got_that_far = True
    while got_that_far:
        step += 1
        queue = make_queue(max_queue_bytes=1_000)
        fill(queue, 1, size=300)
        put = partial(queue.put, b"x" * 300)
        got_that_far = call_with_handler(put, step, partial(queue.abandon, []))
        queue.abandon([])
        assert queue.put(b"x" * 999) is None, f"step {step}"
    assert step > 10


class Interrupted(bytes):
    """A message that lets another thread make a call while its size is asked for."""

    call: Callable[[], object] = staticmethod(lambda: None)

    def __len__(self) -> int:
        self.call()
        return super().__len__()


def test_calls_in_the_middle_of_a_take_do_not_make_the_bytes_drift() -> None:
    queue = make_queue(max_messages=1, max_queue_bytes=100)
    message = Interrupted(b"x" * 9)
    queue.put(message)
    fill(queue, 1, size=9)

    def put() -> None:
        if queue.qsize() == 1:  # it has been taken, and is not counted any less
            fill(queue, 1, size=29)

    message.call = put
    queue.take_now()
    fill(queue, 1, size=59)
    assert isinstance(queue.put(b""), QueueFullError)


def test_a_full_queue_leaves_at_once_wherever_a_consumer_made_room_during_a_rejection() -> None:
    step = 0
    got_that_far = True
    while got_that_far:
        step += 1
        queue = make_queue(trigger=100, max_queue_bytes=100)
        fill(queue, 1, size=79)
        put = partial(queue.put, b"x" * 39)
        queue.register_worker("worker")
        take = partial(queue.take, "worker")
        got_that_far = call_with_handler(put, step, take, step="line")
        queue.take_now()
        fill(queue, 1, size=39)
        taking = Background(take)
        queue.put(b"x" * 69)
        assert isinstance(taking.wait(), InFlightBatch), f"step {step}"
    assert step > 10


def test_it_tells_once_how_many_messages_were_rejected_before_there_was_room_again() -> None:
    queue = make_queue(max_size=1)
    fill(queue, 1)
    for _ in range(3):
        assert isinstance(queue.put(b"x"), QueueFullError)
    assert queue.take_resumed() == 0
    assert queue.take_now() is not None
    assert (queue.take_resumed(), queue.take_resumed()) == (3, 0)


def test_putting_waits_for_room_until_there_is_some() -> None:
    queue = make_queue(max_size=1)
    queue.register_worker("worker")
    fill(queue, 1)
    putting = [Background(lambda: queue.put(b"x", queue.clock.deadline(30))) for _ in range(2)]
    assert all(one.is_running() for one in putting)
    for _ in range(2):
        batch = queue.take("worker")
        assert batch is not None
    for one in putting:
        assert one.wait() is None
    assert queue.ledger.stats().accepted == 3


def wait_in_line(queue: MessageQueue, count: int) -> None:
    """Wait until so many calls wait for room."""
    wait_until(lambda: len(queue._line) >= count)  # noqa: SLF001  nothing else tells


def test_who_waits_longest_for_room_goes_first_and_nobody_overtakes() -> None:
    queue = make_queue(max_size=1)
    fill(queue, 1)
    calls: list[Background] = []
    for number in range(10):
        message = str(number).encode()
        calls.append(Background(partial(queue.put, message, queue.clock.deadline(30))))
        wait_in_line(queue, number + 1)
    taken = []
    for number in range(5):
        batch = queue.take("worker")
        assert batch is not None
        taken += batch.messages
        # There is room for a moment, and whoever comes now has to wait.
        calls.append(Background(partial(queue.put, b"later", queue.clock.deadline(30))))
        calls[number].wait()
    for _ in range(11):
        batch = queue.take("worker")
        assert batch is not None
        taken += batch.messages
    assert [call.wait() for call in calls] == [None] * 15
    assert taken == [b"x", *(str(number).encode() for number in range(10)), *[b"later"] * 5]
    assert not queue._line  # noqa: SLF001


def test_a_call_that_is_interrupted_while_it_waits_lets_the_next_one_go() -> None:
    queue = make_queue(max_size=1)
    fill(queue, 1)
    result: list[type[BaseException]] = []

    def put() -> None:
        try:
            queue.put(b"first", queue.clock.deadline(30))
        except KeyboardInterrupt:
            result.append(KeyboardInterrupt)

    class Interrupting(Clock):
        def wait(self, changed: Waitable, deadline: float | None) -> bool:
            if first.is_set():
                return super().wait(changed, deadline)
            first.set()
            wait_in_line(queue, 2)
            queue.take_now()
            raise KeyboardInterrupt

    first = threading.Event()
    queue.clock = Interrupting()
    interrupted = Background(put)
    assert first.wait(10)
    other = Background(lambda: queue.put(b"other", queue.clock.deadline(30)))
    interrupted.wait()
    assert other.wait() is None
    assert result == [KeyboardInterrupt]
    batch = queue.take_now()
    assert batch is not None
    assert batch.messages == [b"other"]


def test_a_signal_handler_does_not_wait_behind_the_call_that_it_interrupted() -> None:
    queue = make_queue(max_size=1)
    fill(queue, 1)
    rejections: list[object] = []

    class Interrupting(Clock):
        def wait(self, changed: Waitable, deadline: float | None) -> bool:
            queue.clock = Clock()
            rejections.append(queue.put(b"of the handler", self.deadline(30)))
            queue.take_now()
            return super().wait(changed, deadline)

    queue.clock = Interrupting()
    assert queue.put(b"interrupted", queue.clock.deadline(30)) is None
    assert [type(rejection) for rejection in rejections] == [QueueFullError]


@pytest.mark.parametrize("what", ["deadline", "close"])
def test_putting_waits_for_room_no_longer_than_it_may(what: str) -> None:
    queue = make_queue(max_size=1)
    fill(queue, 1)
    seconds = 0.01 if what == "deadline" else 30
    putting = Background(lambda: queue.put(b"x", queue.clock.deadline(seconds)))
    if what == "close":
        assert putting.is_running()
        queue.close()
    assert isinstance(putting.wait(), ClientClosedError if what == "close" else QueueFullError)
    assert queue.ledger.stats().rejected == 1


def test_a_rejection_is_first_again_once_there_was_room() -> None:
    queue = make_queue(max_size=1)
    fill(queue, 1)
    are_first = []
    for _ in range(2):
        rejection = queue.put(b"x")
        assert rejection is not None
        are_first.append(rejection.is_first)
    queue.take_now()
    fill(queue, 1)
    rejection = queue.put(b"x")
    assert rejection is not None
    assert [*are_first, rejection.is_first] == [True, False, True]


def test_a_closed_queue_takes_nothing_in() -> None:
    queue = make_queue()
    queue.close()
    assert isinstance(queue.put(b"x"), ClientClosedError)
    assert isinstance(queue.admit(InFlightBatch(b"x")), ClientClosedError)
    assert queue.ledger.stats().accepted == 0
    assert queue.ledger.stats().rejected == 2


# Batches


def test_a_batch_is_not_due_before_its_trigger() -> None:
    queue = make_queue(trigger=3)
    fill(queue, 2)
    taking = Background(lambda: queue.take("worker"))
    assert taking.is_running()
    fill(queue, 1)
    batch = taking.wait()
    assert isinstance(batch, InFlightBatch)
    assert len(batch.messages) == 3


def test_a_batch_is_due_when_the_bytes_for_one_wait() -> None:
    queue = make_queue(trigger=100, max_bytes=50)
    queue.register_worker("worker")
    taking = Background(lambda: queue.take("worker"))
    fill(queue, 4, size=10)
    assert taking.is_running()
    fill(queue, 1, size=10)
    batch = taking.wait()
    assert isinstance(batch, InFlightBatch)
    assert len(batch.messages) == 4  # a comma comes with each


@in_real_time
def test_a_batch_is_due_after_the_interval() -> None:
    queue = make_queue(interval=0.05)
    fill(queue, 1)
    began = time.monotonic()
    batch = queue.take("worker")
    assert batch is not None
    assert len(batch.messages) == 1
    assert time.monotonic() - began < 5


class StoppedClock(Clock):
    """A clock on which time passes when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.deadlines: list[float | None] = []
        self._began = threading.Semaphore(0)

    def now(self) -> float:
        return self.seconds

    def wait(self, changed: Waitable, deadline: float | None) -> bool:
        self.deadlines.append(deadline)
        self._began.release()
        changed.wait()
        return deadline is None or self.seconds < deadline

    def expect_a_wait(self) -> None:
        assert self._began.acquire(timeout=10)


def test_a_consumer_that_wakes_up_late_leaves_what_came_since_its_interval() -> None:
    clock = StoppedClock()
    queue = MessageQueue(100, BatchRules(10, 10, 1_000, LONG), clock=clock)
    queue.register_worker("worker")
    fill(queue, 1)
    taking = Background(lambda: queue.take("worker"))
    clock.expect_a_wait()
    with queue.lock:  # it cannot go on when its time is over
        clock.seconds = LONG
        queue.take_now()
        fill(queue, 1)
    clock.expect_a_wait()
    assert clock.deadlines == [LONG, 2 * LONG]
    queue.close()
    assert isinstance(taking.wait(), InFlightBatch)


def test_a_flush_makes_what_waits_due_and_nothing_more() -> None:
    queue = make_queue(max_messages=2, trigger=10)
    fill(queue, 3)
    queue.begin_flush()
    sizes = []
    for _ in range(2):
        batch = queue.take("worker")
        assert batch is not None
        sizes.append(len(batch.messages))
    assert sizes == [2, 1]
    fill(queue, 1)
    taking = Background(lambda: queue.take("worker"))
    assert taking.is_running()
    queue.begin_flush()
    taking.wait()


def test_a_consumer_leaves_a_closed_queue_when_it_is_empty() -> None:
    queue = make_queue()
    assert queue.register_worker("worker")
    assert not queue.register_worker("worker")
    fill(queue, 1)
    queue.close()
    assert queue.take("worker") is not None
    assert queue.workers.count == 1
    assert queue.take("worker") is None
    assert queue.workers.count == 0


def test_a_signal_handler_may_take_messages_at_any_bytecode_of_a_take() -> None:
    step = 0
    got_that_far = True
    while got_that_far:
        step += 1
        queue = make_queue(max_messages=3)
        fill(queue, 5)
        batches: list[InFlightBatch | None] = []
        take = partial(lambda queue, batches: batches.append(queue.take_now()), queue, batches)
        got_that_far = call_with_handler(take, step, take)
        take()
        sizes = [len(batch.messages) for batch in batches if batch is not None]
        assert sum(sizes) == 5, f"step {step}"
        assert min(sizes) > 0, f"step {step}"
        assert queue.ledger.stats().accepted == 5
    assert step > 10


def test_a_queue_may_be_closed_at_any_bytecode_of_a_take() -> None:
    step = 0
    got_that_far = True
    while got_that_far:
        step += 1
        queue = make_queue()
        queue.register_worker("worker")
        taken: list[object] = []

        def take(queue: MessageQueue = queue, taken: list[object] = taken) -> None:
            taken.append(queue.take("worker"))

        taking = Background(partial(call_with_handler, take, step, queue.close))
        got_that_far = not taking.is_running() or queue.closed
        if not got_that_far:
            queue.close()
        taking.wait()
        assert taken == [None]
        assert queue.is_unserved
    assert step > 10


def test_a_signal_handler_may_deliver_at_any_bytecode_of_a_snapshot() -> None:
    step = 0
    got_that_far = True
    while got_that_far:
        step += 1
        queue = make_queue()
        fill(queue, 5)
        seen: list[Stats] = []
        snap = partial(lambda queue, seen: seen.append(queue.ledger.stats()), queue, seen)

        def deliver(queue: MessageQueue = queue) -> None:
            batch = queue.take_now()
            assert batch is not None
            queue.ledger.mark_delivered(batch, 3)

        got_that_far = call_with_handler(snap, step, deliver)
        assert [stats.accepted for stats in seen] == [5], f"step {step}"
        assert seen[0].delivered + seen[0].pending == 5, f"step {step}"
    assert step > 10


def test_a_queue_is_closed_though_another_thread_has_the_lock() -> None:
    """As when a client is garbage-collected by a thread that the other one waits for."""
    queue = make_queue()
    with queue.lock:
        Background(queue.close).wait()
    assert queue.closed


def test_the_garbage_collector_may_change_who_sleeps_or_serves_at_any_time() -> None:
    """Until CPython 3.12, it runs inside of functions in C."""
    queue = make_queue()
    waiters = [Waiter() for _ in range(50)]  # CPython keeps only small tuples in stock
    for waiter in waiters:
        queue.workers.fall_asleep(waiter)
        queue.workers.register(waiter)

    def change(*_: object) -> None:
        queue.workers.get_up(waiters[-1])
        queue.workers.fall_asleep(waiters[-1])
        queue.workers.remove(waiters[-1])
        queue.workers.register(waiters[-1])
        queue.workers.register(object())

    threshold = gc.get_threshold()
    gc.callbacks.append(change)
    try:
        gc.set_threshold(1)
        for _ in range(20):
            queue.workers.wake()
            queue.workers.remove_dead()
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(change)


def test_who_was_woken_already_is_not_relied_upon() -> None:
    """A consumer that was killed may have left its waiter behind."""
    queue = make_queue()
    waiter = Waiter()
    queue.workers.fall_asleep(waiter)
    assert queue.workers.wake()
    assert not queue.workers.wake()
    waiter.wait()
    assert queue.workers.wake()


@given(
    sizes=st.lists(st.integers(1, 60), max_size=60),
    max_messages=st.integers(1, 10),
    max_bytes=st.integers(61, 200),
)
def test_packing_keeps_the_limits_and_the_messages(
    sizes: list[int], max_messages: int, max_bytes: int
) -> None:
    queue = make_queue(max_messages=max_messages, max_bytes=max_bytes)
    messages = [bytes([65 + index % 26]) * size for index, size in enumerate(sizes)]
    for message in messages:
        queue.put(message)
    taken: list[bytes] = []
    while (batch := queue.take_now()) is not None:
        assert len(batch.messages) <= max_messages
        assert sum(len(message) + 1 for message in batch.messages) <= max_bytes
        taken.extend(batch.messages)
    assert taken == messages
    assert queue._waiting_bytes == 0  # noqa: SLF001  it decides when a batch is due


# Outcomes


def test_waiting_until_settled_covers_batches_in_flight_and_what_waits() -> None:
    queue = make_queue(max_messages=1)
    queue.register_worker("worker")
    fill(queue, 2)
    mark = queue.begin_flush()
    waiting = Background(lambda: queue.wait_until_settled(mark, time.monotonic() + 30))
    for _ in range(2):
        assert waiting.is_running()
        batch = queue.take("worker")
        assert batch is not None
        assert waiting.is_running()
        queue.ledger.mark_delivered(batch, 1)
    assert waiting.wait() is True


def test_waiting_does_not_cover_what_came_later() -> None:
    queue = make_queue(max_messages=1)
    queue.register_worker("worker")
    fill(queue, 1)
    mark = queue.begin_flush()
    fill(queue, 1)
    batch = queue.take("worker")
    assert batch is not None
    queue.ledger.mark_delivered(batch, 1)
    assert queue.wait_until_settled(mark, time.monotonic() + 1)


def test_waiting_ends_when_nobody_is_there_to_send() -> None:
    queue = make_queue()
    queue.register_worker("worker", threading.current_thread())
    fill(queue, 1)
    waiting = Background(lambda: queue.wait_until_settled(queue.begin_flush(), None))
    assert waiting.is_running()
    queue.lose_worker("worker", threading.current_thread())
    assert waiting.wait() is None


def test_what_was_abandoned_cannot_be_claimed_and_ends_a_pause() -> None:
    queue = make_queue(max_messages=2)
    fill(queue, 3)
    batch = queue.take_now()
    assert batch is not None
    pausing = Background(lambda: queue.pause(batch, time.monotonic() + 30))
    assert pausing.is_running()
    abandoned: LeftOver = []
    queue.abandon(abandoned)
    assert [len(messages) for _, messages in abandoned] == [2, 1]
    assert pausing.wait() is False
    assert not queue.ledger.claim(batch, 2)
    queue.ledger.mark_delivered(batch, 2)
    queue.ledger.mark_rest_failed(batch)
    assert queue.ledger.stats().pending == 3
    for one, messages in abandoned:
        queue.ledger.mark_failed(one, len(messages))
    stats = queue.ledger.stats()
    assert (stats.failed, stats.delivered, stats.pending) == (3, 0, 0)
    abandoned.clear()
    queue.abandon(abandoned)
    assert abandoned == []


def test_what_is_being_reported_is_not_abandoned() -> None:
    queue = make_queue()
    fill(queue, 3)
    batch = queue.take_now()
    assert batch is not None
    assert queue.ledger.claim(batch, 1)
    left_over: LeftOver = []
    queue.abandon(left_over)
    assert [messages for _, messages in left_over] == [(b"x", b"x")]
    assert queue.ledger.called_from_delivery()
    queue.ledger.mark_failed(batch, 1)
    queue.ledger.mark_failed(batch, 2)
    assert queue.ledger.stats().failed == 3


def test_a_thread_that_has_the_id_of_a_killed_consumer_is_not_taken_for_it() -> None:
    queue = make_queue()
    killed = threading.Thread(target=lambda: None)
    killed.start()
    killed.join()
    batch = InFlightBatch(b"{}")  # the id is that of this thread
    batch.thread = killed
    queue.admit(batch)
    assert not queue.ledger.called_from_delivery()


def test_a_pause_ends_with_its_time() -> None:
    queue = make_queue()
    fill(queue, 1)
    batch = queue.take_now()
    assert batch is not None
    assert queue.pause(batch, time.monotonic() + 0.01)


def test_waiting_until_none_is_left_ends_when_a_consumer_comes_back() -> None:
    queue = make_queue()
    queue.register_worker("first", threading.current_thread())
    queue.workers.drain()
    waiting = Background(lambda: queue.workers.wait_until_none(time.monotonic() + 30))
    assert waiting.is_running()
    queue.register_worker("second")
    queue.lose_worker("first", threading.current_thread())
    assert waiting.wait() is False


@pytest.mark.parametrize("closed", [False, True])
def test_a_reset_forgets_messages_and_locks_but_not_that_it_is_closed(closed: bool) -> None:
    queue = make_queue()
    fill(queue, 3)
    queue.take_now()
    if closed:
        queue.close()
    holder_has_it = threading.Event()
    let_go = threading.Event()

    def hold() -> None:
        with queue.lock:
            holder_has_it.set()
            let_go.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert holder_has_it.wait(10)
    queue.reset()
    assert queue.ledger.stats().accepted == 0
    assert (queue.put(b"x") is None) is not closed
    let_go.set()
    holder.join()


class Accounting(InFlight):
    """Whatever happens in whatever order: each message has one outcome, and the sums agree."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = make_queue(max_size=5, max_messages=3, max_bytes=10)

    @rule(size=st.integers(1, 9))
    def put(self, size: int) -> None:
        if self.queue.put(b"x" * size) is None:
            self.accepted += 1
        else:
            self.rejected += 1

    @rule()
    def admit(self) -> None:
        batch = InFlightBatch(b"x")
        if self.queue.admit(batch) is None:
            self.batches.append(batch)
            self.accepted += 1
        else:
            self.rejected += 1

    @rule()
    def take(self) -> None:
        if batch := self.queue.take_now():
            self.batches.append(batch)

    @rule()
    def abandon(self) -> None:
        left_over: LeftOver = []
        self.queue.abandon(left_over)
        self.claimed += [(batch, len(messages)) for batch, messages in left_over]
        self.batches.clear()

    @rule()
    def close(self) -> None:
        self.queue.close()


TestAccounting = Accounting.TestCase
