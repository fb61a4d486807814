"""What a queue that only writes could not write for a while, without a pipeline."""

from __future__ import annotations

import errno
import gc
import inspect
import os
import shutil
from functools import partial
from typing import TYPE_CHECKING

import pytest
from support.background import Background
from support.disk import failing
from support.interruptions import INTERRUPTIONS, interrupted, strike, within
from support.signal_handlers import call_with_handler
from support.spool import Corruption, drain, numbers

from segment_librato.config.spool import SpoolConfig
from segment_librato.queue import unwritten
from segment_librato.queue.message_queue import REFUSED
from segment_librato.queue.overflow import Overflow
from segment_librato.queue.schedule import BatchRules
from segment_librato.queue.spooled import SpooledMessage
from segment_librato.queue.spooled_queue import SpooledQueue
from segment_librato.spooling import lane as lane_module
from segment_librato.spooling.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from segment_librato.queue.in_flight import InFlightBatch

ALWAYS = float("inf")
NOW = 1e-9


def make_queue(path: Path, max_size: int = 100, fsync: float | None = None) -> SpooledQueue:
    config = SpoolConfig(path, fsync=fsync, deliver=False, max_bytes=1024 * 1024)
    return SpooledQueue(Spool.open(config, "key", "host"), max_size, BatchRules(2, 100, 50, 60))


def try_the_disk(queue: SpooledQueue, at: float) -> None:
    """Have the disk be in trouble, and be tried again at this time."""
    queue.spool._retry_at = at  # noqa: SLF001  as after a failed write


def fill(queue: SpooledQueue, messages: list[bytes]) -> None:
    for message in messages:
        assert queue.put(message) is None


def give_up(queue: SpooledQueue, failed: list[bytes]) -> None:
    """Do what a shutdown does in the end; append what it reports."""
    left_over: list[tuple[InFlightBatch, tuple[bytes, ...]]] = []
    try:
        queue.abandon(left_over)
    finally:
        for batch, unclaimed in left_over:
            failed += unclaimed
            queue.ledger.mark_failed(batch, len(unclaimed))


def end(queue: SpooledQueue) -> tuple[list[bytes], list[bytes]]:
    """Shut down; return what is on disk, and what was reported."""
    failed: list[bytes] = []
    give_up(queue, failed)
    queue.drop_settled()
    stats = queue.ledger.stats()
    queue.close_files()
    corruption = Corruption()
    on_disk = drain(queue.spool.folder, corruption)
    assert corruption.errors == []
    assert stats.pending == len({*on_disk})
    assert stats.accepted - stats.pending == stats.failed
    return on_disk, failed


@pytest.mark.parametrize("exceptions", INTERRUPTIONS)
def test_an_interruption_while_what_waits_is_written_loses_nothing(
    tmp_path: Path, exceptions: Sequence[type[BaseException]]
) -> None:
    place, is_struck = 0, True
    while is_struck:
        place += 1
        queue = make_queue(tmp_path / str(place))
        fill(queue, numbers(0, 1))
        try_the_disk(queue, ALWAYS)
        fill(queue, numbers(1, 4))
        try_the_disk(queue, NOW)
        is_struck = interrupted(queue.write_what_waits, place, exceptions)
        assert queue.ledger.stats().accepted == 4
        assert queue.write_what_waits()
        on_disk, failed = end(queue)
        assert (sorted({*on_disk}), failed) == (numbers(0, 4), [])
        assert len(on_disk) <= 5  # what was being written may be written twice
    assert on_disk == numbers(0, 4)
    assert place > 10


def test_a_message_whose_call_is_interrupted_is_written_later_if_it_was_accepted(
    tmp_path: Path,
) -> None:
    place, is_struck = 0, True
    outcomes = set()
    while is_struck:
        place += 1
        queue = make_queue(tmp_path / str(place))
        try_the_disk(queue, ALWAYS)
        fill(queue, numbers(0, 1))
        is_struck = strike(partial(queue.offer, b"1"), place, KeyboardInterrupt) is not False
        fill(queue, numbers(2, 3))
        accepted = queue.ledger.stats().accepted
        try_the_disk(queue, NOW)
        assert queue.write_what_waits(), f"place {place}"
        on_disk, failed = end(queue)
        assert (len(on_disk), failed) == (accepted, [])
        assert {b"0", b"2"} <= {*on_disk}
        outcomes.add(accepted)
    assert outcomes == {2, 3}


def test_memory_is_free_as_soon_as_what_waited_is_written(tmp_path: Path) -> None:
    queue = make_queue(tmp_path, max_size=3)
    for first in (0, 3, 6):
        try_the_disk(queue, ALWAYS)
        fill(queue, numbers(first, first + 3))
        assert queue.offer(b"one too many") is REFUSED
        assert "3 messages are waiting, 6 bytes in all" in str(queue.put(b"one too many"))
        try_the_disk(queue, NOW)
        queue.unwritten.write(10)  # as a call does
    assert end(queue) == (numbers(0, 9), [])


@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.parametrize("can_write", [True, False])
@pytest.mark.parametrize("ends", ["before", "after"])
def test_a_message_that_is_being_written_when_its_queue_is_given_up_has_one_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, ends: str, can_write: bool, closes: bool
) -> None:
    """Usually: not if it shares its file with some that were written before."""
    queue = make_queue(tmp_path)
    fill(queue, numbers(0, 1))
    try_the_disk(queue, ALWAYS)
    fill(queue, numbers(1, 4))
    try_the_disk(queue, NOW)
    write = os.write
    failed: list[bytes] = []

    def shut_down() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(lane_module, "write", write if can_write else failing(errno.ENOSPC))
            assert not queue.write_what_waits()
        give_up(queue, failed)
        if closes:
            queue.close_files()

    def write_during_a_shutdown(descriptor: int, data: bytes) -> int:
        monkeypatch.setattr(lane_module, "write", write)
        written = write(descriptor, data) if ends == "after" else 0
        assert Background(shut_down).wait() is None
        return written or write(descriptor, data)

    monkeypatch.setattr(lane_module, "write", write_during_a_shutdown)
    queue.write_what_waits()
    on_disk, failed_later = (drain(queue.spool.folder, Corruption()), []) if closes else end(queue)
    assert failed_later == []
    assert failed == (numbers(1, 2) if can_write else numbers(1, 4))
    assert sorted(on_disk + failed) == numbers(0, 4)


def test_a_write_that_fails_after_its_queue_was_given_up_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make_queue(tmp_path)
    try_the_disk(queue, ALWAYS)
    fill(queue, numbers(0, 1))
    try_the_disk(queue, NOW)
    failed: list[bytes] = []

    def fail(descriptor: int, data: bytes) -> int:
        give_up(queue, failed)
        return failing(errno.ENOSPC)()

    with monkeypatch.context() as patch:
        patch.setattr(lane_module, "write", fail)
        queue.write_what_waits()
    try_the_disk(queue, NOW)
    assert queue.write_what_waits()
    assert (end(queue), failed) == (([], []), numbers(0, 1))


def test_a_signal_handler_may_flush_at_any_line_of_a_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes two more messages, and fails again."""
    write = os.write

    def write_some(descriptor: int, data: bytes) -> int:
        return failing(errno.ENOSPC)() if data.endswith(b"3") else write(descriptor, data)

    monkeypatch.setattr(lane_module, "write", write_some)
    step, got_that_far = 0, True
    while got_that_far:
        step += 1
        queue = make_queue(tmp_path / str(step))
        try_the_disk(queue, ALWAYS)
        fill(queue, numbers(1, 5))
        try_the_disk(queue, NOW)
        flush = queue.write_what_waits
        got_that_far = call_with_handler(flush, step, flush, step="line")
        assert not queue.write_what_waits()
        on_disk, failed = end(queue)
        assert sorted(on_disk + failed) == numbers(1, 5), f"step {step}"
    assert step > 10


def test_what_waits_is_written_only_as_far_as_there_is_room(tmp_path: Path) -> None:
    queue = make_queue(tmp_path)
    try_the_disk(queue, ALWAYS)
    messages = [b"%d" % number + b" " * 30_000 for number in range(10, 60)]
    fill(queue, messages)
    try_the_disk(queue, NOW)
    assert not queue.write_what_waits()
    size = sum(path.stat().st_size for path in tmp_path.rglob("*.seg"))
    assert size <= queue.spool.config.max_bytes < size + 31_000
    on_disk, failed = end(queue)
    assert on_disk + failed == messages


@pytest.mark.parametrize("before", ["nothing", "a flush", "a shutdown"])
def test_wherever_a_shutdown_is_interrupted_the_next_one_tells_what_is_in_memory_only(
    tmp_path: Path, before: str
) -> None:
    is_place = within(inspect.getfile(SpooledQueue), inspect.getfile(Overflow), unwritten.__file__)
    place, is_struck = 0, True
    while is_struck:
        place += 1
        queue = make_queue(tmp_path / str(place))
        fill(queue, numbers(0, 1))
        try_the_disk(queue, ALWAYS)
        fill(queue, numbers(1, 4))
        failed: list[bytes] = []

        def shut_down(queue: SpooledQueue = queue, failed: list[bytes] = failed) -> None:
            give_up(queue, failed)

        def flush(queue: SpooledQueue = queue) -> None:
            try_the_disk(queue, NOW)
            queue.write_what_waits()

        handlers: dict[str, Callable[[], object]] = {
            "nothing": lambda: None,
            "a flush": flush,
            "a shutdown": shut_down,
        }
        handler = handlers[before]
        struck = strike(shut_down, place, KeyboardInterrupt, is_place, before=handler)
        is_struck = struck is not False
        if isinstance(struck, KeyboardInterrupt):
            shut_down()
        on_disk, failed_later = end(queue)
        assert sorted(on_disk + failed + failed_later) == numbers(0, 4), f"place {place}"
    assert place > 10


@pytest.mark.parametrize("left_before", [0, 4])
def test_what_waited_and_was_deleted_later_is_told_like_the_rest(
    tmp_path: Path, left_before: int
) -> None:
    """Also if the exit had left what was written before."""
    queue = make_queue(tmp_path)
    lost: list[int] = []
    queue.spool.on_loss = lambda error: lost.append(error.lost)
    for count in (left_before, 6):
        try_the_disk(queue, ALWAYS)
        fill(queue, numbers(0, count))
        try_the_disk(queue, NOW)
        assert queue.write_what_waits()
        if count == 6:
            shutil.rmtree(queue.spool.folder)
        give_up(queue, [])
    assert lost == [6]
    assert queue.qsize() == 0
    stats = queue.ledger.stats()
    assert (stats.failed, stats.pending) == (6, left_before)


def test_what_an_interruption_kept_from_being_forgotten_is_lost_once(tmp_path: Path) -> None:
    place, is_struck = 0, True
    while is_struck:
        place += 1
        queue = make_queue(tmp_path / str(place), fsync=60)
        lost: list[int] = []
        queue.spool.on_loss = lambda error, lost=lost: lost.append(error.lost)  # type: ignore[misc]
        try_the_disk(queue, ALWAYS)
        fill(queue, numbers(0, 4))
        try_the_disk(queue, NOW)
        is_place = within(unwritten.__file__)
        is_struck = interrupted(queue.write_what_waits, place, is_place=is_place)
        try_the_disk(queue, ALWAYS)
        is_written = queue.write_what_waits()
        shutil.rmtree(tmp_path / str(place))
        queue.spool.sync()  # which finds that out
        failed: list[bytes] = []
        give_up(queue, failed)
        assert is_written is (failed == [])
        assert sum(lost) + len(failed) == 4, f"place {place}"
        assert queue.ledger.stats()[:5] == (4, 0, 4, 0, 0)
    assert place > 10


def test_an_interruption_after_a_write_that_a_shutdown_overtook_leaves_no_second_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    place, is_struck = 0, True
    while is_struck:
        place += 1
        queue = make_queue(tmp_path / str(place))
        try_the_disk(queue, ALWAYS)
        fill(queue, numbers(0, 1))
        try_the_disk(queue, NOW)
        failed: list[bytes] = []

        def write_and_shut_down(
            descriptor: int,
            data: bytes,
            queue: SpooledQueue = queue,
            failed: list[bytes] = failed,
        ) -> int:
            written = write(descriptor, data)
            assert Background(partial(give_up, queue, failed)).wait() is None
            return written

        monkeypatch.setattr(lane_module, "write", write_and_shut_down)
        code = queue.unwritten.write.__func__.__code__  # type: ignore[attr-defined]
        is_struck = interrupted(
            queue.write_what_waits,
            place,
            is_place=lambda one, code=code: one is code,  # type: ignore[misc]
        )
        monkeypatch.setattr(lane_module, "write", write)
        on_disk, failed_later = end(queue)
        assert on_disk + failed + failed_later == numbers(0, 1), f"place {place}"
    assert place > 2


@pytest.mark.parametrize("tried_at", [NOW, ALWAYS])
def test_a_shutdown_frees_the_memory_of_what_it_reports(tmp_path: Path, tried_at: float) -> None:
    queue = make_queue(tmp_path)
    try_the_disk(queue, ALWAYS)
    fill(queue, numbers(0, 4))
    try_the_disk(queue, tried_at)
    give_up(queue, [])
    gc.collect()
    messages = [one for one in gc.get_objects() if type(one) is SpooledMessage]
    assert [one.data for one in messages if one.segment is unwritten.NEVER] == []


@pytest.mark.slow
@pytest.mark.parametrize("tried_at", [NOW, ALWAYS])
def test_the_garbage_collector_may_run_a_finalizer_that_tracks_anywhere_in_a_shutdown(
    tmp_path: Path, tried_at: float
) -> None:
    run, is_reached = 0, True
    while is_reached:
        run += 1
        queue = make_queue(tmp_path / str(run))
        fill(queue, numbers(0, 1))
        try_the_disk(queue, ALWAYS)
        fill(queue, numbers(1, 3))
        try_the_disk(queue, tried_at)
        failed: list[bytes] = []
        is_reached = _call_while_collecting(
            partial(give_up, queue, failed), run, partial(fill, queue, numbers(3, 4))
        )
        on_disk, failed_later = end(queue)
        messages = numbers(0, 4 if is_reached else 3)
        assert sorted(on_disk + failed + failed_later) == messages, f"run {run}"


def _call_while_collecting(
    call: Callable[[], object], run: int, finalizer: Callable[[], object]
) -> bool:
    """Make a call during which the n-th run of the collector calls this; return whether it did."""

    def collect(phase: str, _: object) -> None:
        nonlocal run
        run -= phase == "start"
        if phase == "start" and run == 0:
            finalizer()

    # CPython keeps some of these in stock, and does not collect when it takes one from there.
    kept = [[[n], {n: n}, (n,), (n, n), (n, n, n), (n, n, n, n)] for n in range(3_000)]
    threshold = gc.get_threshold()
    gc.callbacks.append(collect)
    gc.set_threshold(1)
    try:
        call()
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(collect)
    assert kept
    return run <= 0
