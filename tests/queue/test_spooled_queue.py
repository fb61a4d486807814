"""When a queue with a spool lets a batch leave, without consumers or a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segment_librato.config.spool import SpoolConfig
from segment_librato.process.clock import Clock, Waitable
from segment_librato.queue.message_queue import MessageQueue
from segment_librato.queue.patient_queue import MIN_BATCH_SECONDS
from segment_librato.queue.schedule import BatchRules
from segment_librato.queue.spooled_queue import SpooledQueue
from segment_librato.spooling.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = 60.0


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
def test_what_an_interruption_ends_after_it_was_written_is_settled_at_once(
    queue: SpooledQueue, monkeypatch: pytest.MonkeyPatch, *, is_usual: bool
) -> None:
    queue.spool.measure()
    if not is_usual:
        queue.spool.limit = -1
    fill(queue, b"3")
    (segment,) = queue._lane._idle  # noqa: SLF001  what is being written
    records, settled = segment.records, segment.settled

    def interrupt(*_: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MessageQueue, "offer", interrupt)
        patch.setattr(queue, "_wake", interrupt)
        queue._wake_at_messages = 0  # noqa: SLF001  so that it is called
        with pytest.raises(KeyboardInterrupt):
            queue.offer(b"interrupted")
    assert (segment.records, segment.settled) == (records + 1, settled + 1)
    assert take(queue)[0] == b"3"
