"""When a queue with a spool lets a batch leave, without consumers or a network."""

from __future__ import annotations

import contextlib
import errno
import inspect
import shutil
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from support.background import Background
from support.disk import failing
from support.interruptions import strike, within
from support.signal_handlers import call_with_handler

from segment_librato.config.spool import SpoolConfig
from segment_librato.errors import QueueFullError
from segment_librato.process.clock import Clock, Waitable
from segment_librato.queue import losses, overflowing_queue, spooled
from segment_librato.queue import overflow as overflow_module
from segment_librato.queue.in_flight import InFlightBatch
from segment_librato.queue.message_queue import REFUSED
from segment_librato.queue.overflow import Overflow
from segment_librato.queue.overflowing_queue import POLL_SECONDS
from segment_librato.queue.patient_queue import FIRST_PAUSE, MAX_SET_ASIDE, MIN_BATCH_SECONDS
from segment_librato.queue.schedule import BatchRules
from segment_librato.queue.spooled_queue import SpooledQueue
from segment_librato.spooling import format as format_module
from segment_librato.spooling import merged
from segment_librato.spooling import spool as spool_module
from segment_librato.spooling.orphan import find_orphans
from segment_librato.spooling.quarantine import move_rest
from segment_librato.spooling.segment import WrittenSegment
from segment_librato.spooling.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segment_librato.errors import SpoolCorruptError
    from segment_librato.spooling.merged import MergedReader

LONG = 60.0
OVERFLOWING = 8  # messages of a queue whose window takes one


class JoiningClock(Clock):
    """A clock on which time passes in waits only; meanwhile, another message comes."""

    def __init__(self) -> None:
        self.time = 1_000.0
        self.waits: list[float] = []
        self.queue: SpooledQueue | None = None

    def now(self) -> float:
        return self.time

    def wait(self, changed: Waitable, deadline: float | None) -> bool:
        assert self.queue
        assert deadline is not None
        self.waits.append(deadline - self.time)
        self.time = deadline
        self.queue.put(b"joins")
        return False


@pytest.fixture
def clock() -> JoiningClock:
    return JoiningClock()


@pytest.fixture
def queue(tmp_path: Path, clock: JoiningClock) -> Iterator[SpooledQueue]:
    spool = Spool.open(SpoolConfig(tmp_path, fsync=None), "key", "host")
    clock.queue = queue = SpooledQueue(spool, 100, BatchRules(2, 100, 50, LONG), clock=clock)
    fill(queue, b"1", b"2")
    assert take(queue) == [b"1", b"2"]  # at once
    yield queue
    queue.close_files()


def make_queue_with_overflow(path: Path) -> SpooledQueue:
    """Return a queue with a window of one message, and batches of three."""
    spool = Spool.open(SpoolConfig(path, fsync=None), "key", "host")
    queue = SpooledQueue(spool, 1, BatchRules(1, 3, 500, LONG))
    fill(queue, *(b"%d" % number for number in range(OVERFLOWING)))
    return queue


def fill(queue: SpooledQueue, *messages: bytes) -> None:
    for message in messages:
        assert queue.put(message) is None


def take(queue: SpooledQueue) -> list[bytes]:
    batch = queue.take("worker")
    assert batch is not None
    return [*batch.unclaimed]


def test_soon_after_a_batch_more_messages_join_the_next_one(
    queue: SpooledQueue, clock: JoiningClock
) -> None:
    fill(queue, b"3", b"4")
    assert take(queue) == [b"3", b"4", b"joins"]
    assert clock.waits == [pytest.approx(MIN_BATCH_SECONDS)]


def test_later_a_batch_leaves_at_once(queue: SpooledQueue, clock: JoiningClock) -> None:
    clock.time += MIN_BATCH_SECONDS
    fill(queue, b"3", b"4")
    assert take(queue) == [b"3", b"4"]


def test_a_batch_that_is_full_leaves_at_once(queue: SpooledQueue) -> None:
    fill(queue, b"x" * 30, b"y" * 30)
    assert take(queue) == [b"x" * 30]


@pytest.mark.parametrize("how", ["begin_flush", "send_at_once", "close"])
def test_a_batch_that_somebody_waits_for_leaves_at_once(queue: SpooledQueue, how: str) -> None:
    fill(queue, b"3", b"4")
    getattr(queue, how)()
    assert take(queue) == [b"3", b"4"]


@pytest.mark.parametrize("is_usual", [True, False])
@pytest.mark.parametrize("is_delivered", [False, True])
def test_wherever_a_call_is_interrupted_its_message_counts_with_its_record_or_not_at_all(
    tmp_path: Path, *, is_delivered: bool, is_usual: bool
) -> None:
    place, outcomes = 0, set()
    is_struck = True
    while is_struck:
        place += 1
        spool = Spool.open(SpoolConfig(tmp_path / str(place), fsync=None), "key", "host")
        queue = SpooledQueue(spool, 100, BatchRules(2, 100, 50, LONG))
        fill(queue, b"1")
        (segment,) = queue._lane._idle  # noqa: SLF001  what is being written
        if not is_usual:
            spool.limit = -1
        queue._wake_at_messages = 0  # noqa: SLF001  so that it wakes a consumer

        def deliver(queue: SpooledQueue = queue) -> None:
            batch = queue.take_now() if is_delivered else None
            if batch:
                queue.ledger.mark_delivered(batch, len(batch.messages))

        call = partial(queue.offer, b"2")
        is_struck = strike(call, place, KeyboardInterrupt, before=deliver) is not False
        assert segment.records - segment.settled == queue.qsize(), f"place {place}"
        outcomes.add(queue.ledger.stats().accepted)
        queue.close_files()
    assert outcomes == {1, 2}


def test_wherever_an_outcome_is_interrupted_it_counts_in_the_files_or_not_at_all(
    tmp_path: Path,
) -> None:
    place, is_struck = 0, True
    outcomes = set()
    while is_struck:
        place += 1
        spool = Spool.open(SpoolConfig(tmp_path / str(place), fsync=None), "key", "host")
        queue = SpooledQueue(spool, 100, BatchRules(2, 100, 5_000, LONG))
        fill(queue, b"1", b"2")
        queue._lane.retire(all_of_them=True)  # noqa: SLF001  so that the next one has a file of its own
        fill(queue, b"3")
        batch = queue.take_now()
        assert batch
        segments = {message.segment for message in batch.messages}
        assert len(segments) == 2
        call = partial(queue.ledger.mark_delivered, batch, 3)
        is_struck = strike(call, place, KeyboardInterrupt) is not False
        delivered = queue.ledger.stats().delivered
        assert sum(segment.settled for segment in segments) == delivered, f"place {place}"
        outcomes.add(delivered)
        queue.close_files()
    assert outcomes == {0, 3}


def test_with_fsync_0_a_time_limit_during_the_sync_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool.open(SpoolConfig(tmp_path, fsync=0), "key", "host")
    queue = SpooledQueue(spool, 100, BatchRules(2, 100, 50, LONG))

    def interrupt(_: WrittenSegment) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(WrittenSegment, "sync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        queue.offer(b"1")
    assert queue.qsize() == 0
    assert [*tmp_path.rglob("*.seg")] == []
    queue.close_files()


@pytest.mark.slow
def test_a_signal_handler_may_flush_at_any_bytecode_of_a_take_from_the_overflow(
    tmp_path: Path,
) -> None:
    step = 0
    got_that_far = True
    while got_that_far:
        step += 1
        queue = make_queue_with_overflow(tmp_path / str(step))
        taken: list[bytes] = []

        def take(queue: SpooledQueue = queue, taken: list[bytes] = taken) -> None:
            if not queue.ledger.called_from_delivery() and (batch := queue.take_now()):
                taken += batch.unclaimed
                queue.ledger.mark_delivered(batch, len(batch.messages))

        take()
        assert taken == [b"0"]  # the window
        got_that_far = call_with_handler(take, step, take)
        while queue.qsize():
            take()
        assert taken == [b"%d" % number for number in range(OVERFLOWING)], f"step {step}"
        stats = queue.ledger.stats()
        assert (stats.accepted, stats.delivered, stats.pending) == (OVERFLOWING, OVERFLOWING, 0)
        queue.close_files()
    assert step > 10


@pytest.fixture
def queue_with_left(tmp_path: Path) -> SpooledQueue:
    """Make a queue with an overflow of which a batch of three is delivered."""
    queue = make_queue_with_overflow(tmp_path)
    for _ in range(2):  # the window, and the first batch of the overflow
        batch = queue.take_now()
        assert batch
        queue.ledger.mark_delivered(batch, len(batch.messages))
    return queue


def end(queue: SpooledQueue) -> list[bytes]:
    """End a shutdown; return what it has left."""
    assert queue.take_left()[0] == OVERFLOWING - 4
    queue.drop_settled()
    queue.close_files()
    (orphan,) = find_orphans(queue.spool.folder, lambda error: pytest.fail(str(error)))
    left = [payload for _, payload in orphan.messages()]
    orphan.close()
    return left


def test_a_shutdown_while_a_consumer_reads_leaves_only_what_has_no_outcome(
    queue_with_left: SpooledQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, read = queue_with_left, Overflow._read  # noqa: SLF001  in which a consumer is

    def read_during_a_shutdown(*arguments: Any) -> None:
        read(*arguments)
        queue.abandon([])

    monkeypatch.setattr(Overflow, "_read", read_during_a_shutdown)
    assert queue.take_now() is None
    assert end(queue) == [b"%d" % number for number in range(4, OVERFLOWING)]


@pytest.mark.parametrize("fails", [True, False])
def test_a_shutdown_at_the_end_of_a_read_leaves_only_what_has_no_outcome(
    queue_with_left: SpooledQueue, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """A shutdown that is interrupted leaves to the next one what was read meanwhile."""
    queue, read, make_reader = queue_with_left, Overflow._read, Overflow._make_reader  # noqa: SLF001
    is_left_soon, has_read = threading.Event(), threading.Event()
    shutdowns: list[Background] = []

    def shut_down() -> None:
        with pytest.raises(KeyboardInterrupt) if fails else contextlib.nullcontext():
            queue.abandon([])

    def read_during_a_shutdown(*arguments: Any) -> None:
        read(*arguments)
        shutdowns.append(Background(shut_down))
        assert is_left_soon.wait(10)

    def wait_for_who_reads(overflow: Overflow) -> MergedReader[WrittenSegment]:
        is_left_soon.set()
        assert has_read.wait(10)
        if fails:
            raise KeyboardInterrupt
        return make_reader(overflow)

    overflow = queue._overflow  # noqa: SLF001
    with monkeypatch.context() as patch:
        patch.setattr(Overflow, "_read", read_during_a_shutdown)
        patch.setattr(Overflow, "_make_reader", wait_for_who_reads)
        assert overflow.read_ahead(queue.lock, [], (3, 500))
        has_read.set()
        assert shutdowns[0].wait() is None
    left_over: list[tuple[InFlightBatch, tuple[bytes, ...]]] = []
    if fails:
        assert [bytes(one) for one in overflow.ahead] == [b"4", b"5", b"6"]
        queue.abandon(left_over)
    assert left_over == []
    assert end(queue) == [b"%d" % number for number in range(4, OVERFLOWING)]


@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_shutdown_knows_of_files_that_the_system_does_not_let_be_read(
    queue_with_left: SpooledQueue, monkeypatch: pytest.MonkeyPatch, *, is_deleted: bool
) -> None:
    queue = queue_with_left

    with monkeypatch.context() as patch:
        patch.setattr(merged._Open, "advance", failing(errno.EIO))  # noqa: SLF001
        assert queue.take_now() is None
    if is_deleted:
        shutil.rmtree(queue.spool.folder)
    queue.abandon([])
    if is_deleted:
        assert queue.ledger.stats().failed == OVERFLOWING - 4
    else:
        assert end(queue) == [b"%d" % number for number in range(4, OVERFLOWING)]
    queue.close_files()


def test_a_newcomer_does_not_overtake_a_call_that_waits_for_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "MIN_MEASURE_SECONDS", LONG)
    spool = Spool.open(SpoolConfig(tmp_path, fsync=None), "key", "host")
    queue = SpooledQueue(spool, 100, BatchRules(2, 100, 50, LONG))
    fill(queue, b"1")
    room, spool.run.written = spool.run.written, spool.config.max_bytes
    waits = Background(lambda: queue.put(b"waits", queue.clock.deadline(LONG)))
    assert waits.is_running()
    assert queue.offer(b"waits for no room") is REFUSED
    spool.run.written = room
    assert queue.offer(b"a newcomer") is REFUSED
    queue.tidy(InFlightBatch())  # as after a batch
    assert waits.wait() is None
    assert queue.take_now().unclaimed == (b"1", b"waits")  # type: ignore[union-attr]
    queue.close_files()


# Batches that were set aside


class Asleep(Exception):  # noqa: N818  it is no error
    """What a consumer would wait for begins."""


class SleeplessClock(JoiningClock):
    """A clock on which a wait raises `Asleep`, unless somebody has ended it already."""

    def wait(self, changed: Waitable, deadline: float | None) -> bool:
        if changed.wait(0):
            return True
        self.waits.append((deadline or 0) - self.time)
        raise Asleep


@pytest.fixture
def waiting_queue(tmp_path: Path) -> Iterator[SpooledQueue]:
    """Make a queue in which one batch more waits than may be set aside."""
    config = SpoolConfig(tmp_path, fsync=None, max_bytes=1024 * 1024)
    spool = Spool.open(config, "key", "host")
    queue = SpooledQueue(spool, 100, BatchRules(1, 1, 50, LONG), clock=SleeplessClock())
    fill(queue, *(b"%d" % n for n in range(MAX_SET_ASIDE + 1)))
    yield queue
    queue.close_files()


def set_aside(queue: SpooledQueue, count: int, retry_after: float | None = None) -> None:
    for _ in range(count):
        batch = queue.take_now()
        assert batch
        assert queue.set_aside(batch, retry_after)


def assert_asleep(queue: SpooledQueue, *, until_retry: float) -> None:
    """Check that a consumer sleeps until a batch that was set aside is due."""
    queue.register_worker("worker")
    with pytest.raises(Asleep):
        queue.take("worker")
    assert isinstance(queue.clock, SleeplessClock)
    assert queue.clock.waits[-1] == pytest.approx(until_retry, rel=0.21)


@pytest.mark.parametrize("count", [1, MAX_SET_ASIDE])
def test_a_call_that_is_rejected_has_nothing_tried_again(
    waiting_queue: SpooledQueue, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "MIN_MEASURE_SECONDS", LONG)
    queue = waiting_queue
    set_aside(queue, count, retry_after=300)
    while count < MAX_SET_ASIDE and (batch := queue.take_now()):
        queue.ledger.mark_delivered(batch, 1)
    queue.spool.run.written = 1024 * 1024  # it is full
    assert isinstance(queue.put(b"rejected"), QueueFullError)
    assert_asleep(queue, until_retry=300)


def test_the_oldest_batch_makes_room_and_no_other_one_is_tried_again(
    waiting_queue: SpooledQueue,
) -> None:
    queue = waiting_queue
    set_aside(queue, MAX_SET_ASIDE)
    oldest = queue.take_oldest(InFlightBatch())
    assert oldest
    assert oldest.unclaimed == (b"0",)
    assert queue.ledger.has_orphans() is False
    assert queue.take_now().unclaimed == (b"4",)  # type: ignore[union-attr]
    assert queue.take_now() is None


def test_batches_are_tried_again_in_their_order(waiting_queue: SpooledQueue) -> None:
    queue = waiting_queue
    set_aside(queue, MAX_SET_ASIDE)
    queue.begin_flush()
    assert [take(queue) for _ in range(MAX_SET_ASIDE)] == [[b"0"], [b"1"], [b"2"], [b"3"]]


@pytest.mark.parametrize("count", [1, MAX_SET_ASIDE])
def test_a_consumer_that_must_leave_sleeps_until_the_next_try(
    waiting_queue: SpooledQueue, count: int
) -> None:
    queue = waiting_queue
    set_aside(queue, count)
    while count < MAX_SET_ASIDE and (batch := queue.take_now()):
        queue.ledger.mark_delivered(batch, 1)
    queue.close()
    assert_asleep(queue, until_retry=FIRST_PAUSE)
    queue.abandon([])
    assert queue.take("worker") is None


def test_a_consumer_that_must_leave_sleeps_if_what_is_left_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool.open(SpoolConfig(tmp_path, fsync=None), "key", "host")
    queue = SpooledQueue(spool, 1, BatchRules(1, 1, 50, LONG), clock=SleeplessClock())
    fill(queue, b"in memory, too", b"on disk only")

    with monkeypatch.context() as patch:
        patch.setattr(merged, "_open", failing(errno.EMFILE))
        assert take(queue) == [b"in memory, too"]
        queue.close()
        assert_asleep(queue, until_retry=POLL_SECONDS)
    assert take(queue) == [b"on disk only"]
    queue.close_files()


@pytest.mark.filterwarnings("ignore:unclosed")
@pytest.mark.parametrize("opens_again", [True, False])
def test_wherever_files_are_read_an_interruption_forgets_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, opens_again: bool
) -> None:
    files = (overflow_module, merged, format_module, spooled)
    is_place = within(*[inspect.getfile(module) for module in files])
    place, is_struck = 0, True
    while is_struck:
        place += 1
        queue = make_queue_with_overflow(tmp_path / str(place))
        queue._overflow.seal()  # noqa: SLF001  so that there are two files
        fill(queue, b"%d" % OVERFLOWING)
        assert take(queue) == [b"0"]
        if opens_again:
            with monkeypatch.context() as patch:
                patch.setattr(merged, "_open", failing(errno.EMFILE))
                assert queue.take_now() is None
        call = partial(queue._read_ahead, max_messages=100)  # noqa: SLF001  as consumers do
        is_struck = strike(call, place, KeyboardInterrupt, is_place) is not False
        found: list[bytes] = []
        while batch := queue.take_now():
            found += batch.unclaimed
        assert found == [b"%d" % number for number in range(1, OVERFLOWING + 1)], f"place {place}"
        queue.close_files()
    assert place > 5


# What is lost on disk, and what is left there


@pytest.fixture
def full_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SpooledQueue]:
    """Make a queue with one message in memory, and ten on disk only."""
    monkeypatch.setattr(overflowing_queue, "POLL_SECONDS", LONG)
    spool = Spool.open(SpoolConfig(tmp_path, fsync=None), "key", "host")
    queue = SpooledQueue(spool, 1, BatchRules(1, 100, 5_000, LONG))
    fill(queue, *(b"%d" % n for n in range(11)))
    yield queue
    queue.close_files()


def overflow_segment(queue: SpooledQueue) -> WrittenSegment:
    (segment,) = queue._overflow.lane._idle  # noqa: SLF001  what is being written
    return segment


def assert_sums(queue: SpooledQueue, *, accepted: int, failed: int) -> None:
    stats = queue.ledger.stats()
    assert (stats.accepted, stats.failed, stats.pending) == (accepted, failed, accepted - failed)
    assert queue._overflow.lane.unread >= 0  # noqa: SLF001  as other sums would hide


def test_what_is_found_lost_after_it_was_left_is_not_left_any_more(
    full_queue: SpooledQueue,
) -> None:
    queue = full_queue
    segment = overflow_segment(queue)
    segment.path.unlink()
    idle = queue._overflow.lane._idle  # noqa: SLF001  a call is in the middle of a write
    idle.clear()
    queue.abandon([])
    assert queue.take_left()[0] == 11
    idle.append(segment)
    fill(queue, b"11", b"12")  # one is in memory, the other in the file that is gone
    assert take(queue) == [b"11"]
    assert queue.take_now() is None
    assert_sums(queue, accepted=13, failed=11)
    assert queue.take_left()[0] == 0


def test_what_is_left_while_it_is_given_up_as_lost_is_not_left(
    full_queue: SpooledQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = full_queue
    segment = overflow_segment(queue)
    data = bytearray(segment.path.read_bytes())
    data[-1] ^= 1  # of the last message
    segment.path.write_bytes(data)

    def leave_meanwhile(*arguments: Any) -> SpoolCorruptError:
        queue.abandon([])  # as another thread may do
        return move_rest(*arguments)

    monkeypatch.setattr(losses, "move_rest", leave_meanwhile)
    assert take(queue) == [b"0"]
    assert queue.take_now() is None
    assert_sums(queue, accepted=11, failed=1)


def test_a_call_that_writes_while_what_is_there_is_given_up_has_its_message_read(
    full_queue: SpooledQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, clock = full_queue, JoiningClock()
    queue.clock = clock
    assert take(queue) == [b"0"]
    segment = overflow_segment(queue)
    queue._overflow._reader.close()  # noqa: SLF001  so that nobody finds what is there
    assert queue.take_now() is None
    clock.time += overflow_module.MAX_FRUITLESS_SECONDS + 1
    read_ahead = Overflow.read_ahead

    def write_then(*arguments: Any, **options: Any) -> bool:
        has_tried = read_ahead(*arguments, **options)
        fill(queue, b"late")
        return has_tried

    with monkeypatch.context() as patch:
        patch.setattr(Overflow, "read_ahead", write_then)
        assert queue.take_now() is None
    assert segment.is_sealed
    assert queue.qsize() == 1
    assert take(queue) == [b"late"]
    assert queue.qsize() == 0
    assert_sums(queue, accepted=12, failed=0)


def test_what_was_read_from_a_file_that_is_gone_by_the_end_is_reported(
    full_queue: SpooledQueue,
) -> None:
    queue = full_queue
    assert take(queue) == [b"0"]
    queue._read_ahead()  # noqa: SLF001  as a consumer does before it takes a batch
    overflow_segment(queue).path.unlink()
    left_over: list[tuple[InFlightBatch, tuple[bytes, ...]]] = []
    queue.abandon(left_over)
    assert [messages for _, messages in left_over] == [tuple(b"%d" % n for n in range(1, 11))]
    for batch, messages in left_over:
        queue.ledger.mark_failed(batch, len(messages))
    assert_sums(queue, accepted=11, failed=10)


@pytest.mark.parametrize("end", ["abandon", "close_files"])
def test_who_reads_while_another_thread_lets_go_closes_the_files(
    full_queue: SpooledQueue, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    queue, read = full_queue, Overflow._read  # noqa: SLF001  what runs without the lock
    readers: list[MergedReader[WrittenSegment]] = []

    def let_go_meanwhile(
        overflow: Overflow, reader: MergedReader[WrittenSegment], *arguments: Any
    ) -> None:
        read(overflow, reader, *arguments)
        readers.append(reader)
        assert reader.has_files
        if end == "abandon":
            queue.abandon([])
        else:
            queue.close_files()
        assert reader.has_files

    assert take(queue) == [b"0"]
    with monkeypatch.context() as patch:
        patch.setattr(Overflow, "_read", let_go_meanwhile)
        assert queue.take_now() is None
    assert [reader.has_files for reader in readers] == [False]
    assert_sums(queue, accepted=11, failed=0)


def test_a_consumer_does_not_wait_for_what_another_thread_finds_lost(
    full_queue: SpooledQueue,
) -> None:
    queue = full_queue
    assert take(queue) == [b"0"]
    segment = overflow_segment(queue)
    segment.path.unlink()
    queue._overflow.is_being_read = True  # noqa: SLF001  by the keeper, which makes room
    queue.close()
    leaves = Background(lambda: queue.take("worker"))
    assert leaves.is_running()
    queue._overflow.is_being_read = False  # noqa: SLF001  the same
    assert queue.take_oldest(InFlightBatch()) is None
    assert leaves.wait() is None
    assert_sums(queue, accepted=11, failed=10)
