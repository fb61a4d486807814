"""The backlog: what dead processes left, in batches, whatever the clocks say."""

from __future__ import annotations

import os
import shutil
import time
import tracemalloc
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.spool import Corruption, numbers, run_by_hand, segment_of, settle_one

from segment_librato.spooling import age
from segment_librato.spooling.backlog import MAX_RUNS, Backlog
from segment_librato.spooling.format import HEADER, pack
from segment_librato.spooling.lock import FileLock
from segment_librato.spooling.orphan import count_left
from segment_librato.spooling.run import Run
from segment_librato.spooling.run_folder import LOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.spooling.backlog import LeftBatch

DAY = 24 * 3600.0
WEEK = 7 * DAY


@pytest.fixture
def corruption() -> Corruption:
    return Corruption()


def backlog_of(
    folder: Path,
    corruption: Corruption,
    max_messages: int = 100,
    max_bytes: int = 10_000,
    max_age: float | None = None,
) -> Backlog:
    return Backlog(folder, max_messages, max_bytes, corruption, max_age)


def settle(batch: LeftBatch) -> list[bytes]:
    for segment, _ in batch.messages:
        settle_one(segment)
    return [payload for _, payload in batch.messages]


def batches(backlog: Backlog) -> Iterator[list[bytes]]:
    """Settle one batch after another."""
    while batch := backlog.take():
        yield settle(batch)


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def test_batches_are_as_full_as_they_may_be_and_in_order(
    tmp_path: Path, corruption: Corruption
) -> None:
    run_by_hand(tmp_path, segment_of(50, 5), name="2-1-1")
    run_by_hand(tmp_path, segment_of(0, 12), segment_of(100, 20), name="1-1-1")
    found = list(batches(backlog_of(tmp_path, corruption, max_messages=10)))
    assert [len(one) for one in found] == [10, 10, 10, 7]
    assert [*chain.from_iterable(found)] == [*numbers(0, 12), *numbers(100, 120), *numbers(50, 55)]
    assert list(tmp_path.iterdir()) == []


def test_a_batch_has_no_more_bytes_than_it_may_but_at_least_one_message(
    tmp_path: Path, corruption: Corruption
) -> None:
    payloads = [b"1" * 9, b"2" * 9, b"3" * 10, b"4" * 50, b"5" * 4]
    run_by_hand(tmp_path, HEADER + b"".join(map(pack, range(5), payloads)))
    found = list(batches(backlog_of(tmp_path, corruption, max_bytes=20)))
    assert found == [payloads[:2], payloads[2:3], payloads[3:4], payloads[4:]]


def test_runs_of_short_processes_share_batches_and_few_are_open(
    tmp_path: Path, corruption: Corruption
) -> None:
    for n in range(3 * MAX_RUNS):
        run_by_hand(tmp_path, segment_of(n, 1), name=f"{n:04}-1-1")
    run_by_hand(tmp_path, name="0050-1-2")  # and one that is empty
    before = open_files()
    sizes, found = [], []
    for batch in batches(backlog_of(tmp_path, corruption)):
        assert open_files() - before <= MAX_RUNS + 2  # the next one, and its segment
        sizes.append(len(batch))
        found += batch
    assert sizes == [MAX_RUNS] * 3
    assert found == numbers(0, 3 * MAX_RUNS)
    assert open_files() == before
    assert list(tmp_path.iterdir()) == []


def test_runs_that_cannot_be_read_do_not_stay_open(tmp_path: Path, corruption: Corruption) -> None:
    for n in range(2 * MAX_RUNS):
        (run_by_hand(tmp_path, name=f"{n:04}-1-1") / "0000000000000000.seg").mkdir()
    run_by_hand(tmp_path, segment_of(0, 1), name="9999-1-1")
    before = open_files()
    backlog = backlog_of(tmp_path, corruption)
    batch = backlog.take()
    assert batch
    assert open_files() - before <= 2
    settle(batch)
    assert backlog.take() is None


def test_a_run_that_somebody_deletes_as_it_is_taken_costs_no_other(
    tmp_path: Path, corruption: Corruption, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_by_hand(tmp_path, segment_of(0, 3), name="1-1-1")
    run_by_hand(tmp_path, segment_of(10, 3), name="2-1-1")
    take = FileLock.take

    def take_and_delete(path: Path) -> FileLock | None:
        monkeypatch.undo()
        lock = take(path)
        shutil.rmtree(run)
        return lock

    monkeypatch.setattr(FileLock, "take", take_and_delete)
    assert list(batches(backlog_of(tmp_path, corruption))) == [numbers(10, 13)]


def test_memory_holds_a_batch_however_much_is_left(tmp_path: Path, corruption: Corruption) -> None:
    payload = b"x" * 400
    size = 0
    for n in range(16):
        records = b"".join(pack(n * 2000 + i, payload) for i in range(1200))
        size += len(records)
        run = run_by_hand(tmp_path, name=f"{n:04}-1-1")
        (run / f"{n * 2000:016x}.seg").write_bytes(HEADER + records)
    del records
    backlog = backlog_of(tmp_path, corruption, max_messages=100, max_bytes=50_000)
    tracemalloc.start()
    count = sum(map(len, batches(backlog)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 16 * 1200
    assert size > 7_000_000
    assert peak < 500_000


def large_segment(first: int) -> bytes:
    """Return a segment of 300,000 bytes."""
    return HEADER + b"".join(pack(n, b"x" * 29_984) for n in range(first, first + 10))


def test_a_batch_does_not_go_on_with_a_file_if_both_are_large(
    tmp_path: Path, corruption: Corruption
) -> None:
    small = [segment_of(200, 3), segment_of(300, 3)]
    run_by_hand(tmp_path, large_segment(0), large_segment(100), *small, large_segment(400))
    found = list(batches(backlog_of(tmp_path, corruption, max_bytes=500_000)))
    assert [len(one) for one in found] == [10, 16, 10]


def test_a_batch_goes_on_with_files_that_were_written_at_the_same_time(
    tmp_path: Path, corruption: Corruption
) -> None:
    even = HEADER + b"".join(pack(n, b"x" * 29_984) for n in range(0, 30, 2))
    odd = HEADER + b"".join(pack(n, b"x" * 29_984) for n in range(1, 30, 2))
    run = run_by_hand(tmp_path, even)
    (run / f"{1:016x}.seg").write_bytes(odd)
    found = list(batches(backlog_of(tmp_path, corruption, max_bytes=300_000)))
    assert [len(one) for one in found] == [1, 10, 10, 9]


def test_what_has_no_outcome_stays_and_comes_again(tmp_path: Path, corruption: Corruption) -> None:
    run_by_hand(tmp_path, segment_of(0, 5), name="1-1-1")
    run_by_hand(tmp_path, segment_of(5, 5), name="2-1-1")
    backlog = backlog_of(tmp_path, corruption, max_messages=3)
    first, second = backlog.take(), backlog.take()
    assert first
    assert second
    settle(first)
    backlog.close()
    assert count_left(tmp_path) == 7
    assert [*chain.from_iterable(batches(backlog))] == numbers(3, 10)
    assert count_left(tmp_path) == 0


def test_it_looks_again_after_the_end(tmp_path: Path, corruption: Corruption) -> None:
    backlog = backlog_of(tmp_path, corruption)
    assert backlog.take() is None
    run_by_hand(tmp_path, segment_of(0, 5))
    assert list(batches(backlog)) == [numbers(0, 5)]
    run_by_hand(tmp_path, segment_of(5, 5))
    assert list(batches(backlog)) == [numbers(5, 10)]


def test_two_never_take_the_same(tmp_path: Path, corruption: Corruption) -> None:
    for n in range(4):
        run_by_hand(tmp_path, segment_of(n * 5, 5), name=f"{n}-1-1")
    first = backlog_of(tmp_path, corruption, max_messages=6)
    second = backlog_of(tmp_path, corruption, max_messages=6)
    of_first, of_second = first.take(), second.take()
    assert of_first
    assert of_second
    found = settle(of_first) + settle(of_second)
    found += [*chain.from_iterable(batches(first)), *chain.from_iterable(batches(second))]
    assert sorted(found, key=int) == numbers(0, 20)


def test_what_live_processes_write_is_theirs(tmp_path: Path, corruption: Corruption) -> None:
    run = Run(tmp_path)
    run.lane().append(b"0")
    backlog = backlog_of(tmp_path, corruption)
    assert backlog.take() is None
    assert count_left(tmp_path) == 0
    run.close()
    assert count_left(tmp_path) == 1
    assert list(batches(backlog)) == [[b"0"]]


def test_damage_is_told_of_and_costs_no_other_file(tmp_path: Path, corruption: Corruption) -> None:
    run_by_hand(tmp_path, segment_of(0, 3) + b"damage!!", segment_of(100, 3))
    found = [*chain.from_iterable(batches(backlog_of(tmp_path, corruption)))]
    assert found == [*numbers(0, 3), *numbers(100, 103)]
    assert [error.bytes for error in corruption.errors] == [8]


def test_a_folder_that_is_gone_raises(tmp_path: Path, corruption: Corruption) -> None:
    backlog = backlog_of(tmp_path / "gone", corruption)
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            backlog.take()


def test_a_forked_child_leaves_all_to_its_parent(tmp_path: Path, corruption: Corruption) -> None:
    run_by_hand(tmp_path, segment_of(0, 5))
    backlog = backlog_of(tmp_path, corruption, max_messages=3)
    batch = backlog.take()
    assert batch
    before = open_files()
    backlog.reset_after_fork()  # as in a child: the lock and the segment
    assert open_files() == before - 2


# The age


def wrote(folder: Path, seconds_ago: float, mark: bytes) -> None:
    """Make a run with this mark, whose segment was last written some time ago."""
    run = run_by_hand(folder, segment_of(0, 3))
    (run / LOCK).write_bytes(mark)
    then = time.time() - seconds_ago
    for path in run.glob("*.seg"):
        os.utime(path, (then, then))


def mark(seconds_ago: float) -> bytes:
    """Return the mark of a run that began some time ago, by the clock of the system's start."""
    boot, now = age.boot_mark().split()
    return b"%s %.3f\n" % (boot, float(now) - seconds_ago)


OTHER_BOOT = b"00000000-0000-0000-0000-000000000000 5.000\n"


@pytest.mark.skipif(not age.boot_mark(), reason="there is no such clock")
@pytest.mark.parametrize(
    "seconds_ago, began, is_expired",
    [
        (8 * DAY, 9 * DAY, True),
        (6 * DAY, 9 * DAY, False),
        (-100 * DAY, 9 * DAY, False),  # the clock was set back
        (1000 * DAY, 60, False),  # it was set forward
    ],
)
def test_what_is_too_old_by_all_clocks_is_expired(
    tmp_path: Path, corruption: Corruption, seconds_ago: float, began: float, *, is_expired: bool
) -> None:
    wrote(tmp_path, seconds_ago, mark(began))
    batch = backlog_of(tmp_path, corruption, max_age=WEEK).take()
    assert batch
    assert batch.is_expired is is_expired
    assert len(batch.messages) == 3


@pytest.mark.parametrize("of_run", [b"", b"damage", b"a b", OTHER_BOOT])
def test_without_a_mark_of_this_start_the_wall_clock_tells(
    tmp_path: Path, corruption: Corruption, of_run: bytes
) -> None:
    wrote(tmp_path, 8 * DAY, of_run)
    batch = backlog_of(tmp_path, corruption, max_age=WEEK).take()
    assert batch
    assert batch.is_expired


def test_without_a_bound_nothing_expires(tmp_path: Path, corruption: Corruption) -> None:
    wrote(tmp_path, 1000 * DAY, b"")
    batch = backlog_of(tmp_path, corruption).take()
    assert batch
    assert not batch.is_expired


def test_what_is_expired_has_batches_of_its_own(tmp_path: Path, corruption: Corruption) -> None:
    wrote(tmp_path, 8 * DAY, b"")
    run_by_hand(tmp_path, segment_of(10, 3), name="3-1-1")
    backlog = backlog_of(tmp_path, corruption, max_age=WEEK)
    first = backlog.take()
    assert first
    assert (first.is_expired, settle(first)) == (True, numbers(0, 3))
    second = backlog.take()
    assert second
    assert (second.is_expired, settle(second)) == (False, numbers(10, 13))


def test_each_run_has_a_mark(tmp_path: Path) -> None:
    run = Run(tmp_path)
    folder = run.lane().append(b"1").path.parent
    assert (folder / LOCK).read_bytes().split()[:1] == age.boot_mark().split()[:1]
    run.close()


def test_a_system_without_such_a_clock_has_no_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(age, "BOOT_ID", tmp_path / "nothing")
    age._boot_id.cache_clear()  # noqa: SLF001  as in a process of its own
    assert age.boot_mark() == b""
    age._boot_id.cache_clear()  # noqa: SLF001
