"""Time limits of the application, which raise an OSError, in the middle of reading and writing."""

from __future__ import annotations

import inspect
import os
import signal
from collections import Counter
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.interruptions import OF_ALL_TYPES, OURS, interrupted, within
from support.spool import Corruption, run_by_hand, segment_of, settle_one

from segment_librato import ConfigError, SpoolConfig
from segment_librato.queue import losses
from segment_librato.queue.losses import Losses
from segment_librato.spooling import age, orphan, quarantine
from segment_librato.spooling import format as format_module
from segment_librato.spooling.backlog import Backlog
from segment_librato.spooling.folder import find_spool, make_folder, open_spool
from segment_librato.spooling.format import HEADER
from segment_librato.spooling.rest import drop_first, keep_rest, write_anew
from segment_librato.spooling.run import Run
from segment_librato.spooling.run_folder import LOCK
from segment_librato.spooling.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable


WEEK = 7 * 24 * 3600.0


def deliver_all(folder: Path, corruption: Corruption) -> list[bytes]:
    backlog = Backlog(folder, 2, 1000, corruption, WEEK)
    found = []
    try:
        while batch := backlog.take():
            for segment, payload in batch.messages:
                found.append(payload)
                settle_one(segment)
    finally:
        backlog.close()
    return found


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="there is no alarm")
def test_a_time_limit_that_strikes_while_a_file_is_read_puts_nothing_into_quarantine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(format_module, "READ_BYTES", 40)
    numbers_read = count()
    fill = format_module.SegmentReader._fill  # noqa: SLF001  where it reads

    def fill_until_the_time_is_up(reader: format_module.SegmentReader, size: int) -> bool:
        if next(numbers_read) == 5:
            signal.raise_signal(signal.SIGALRM)
        return fill(reader, size)

    def time_is_up(_signal: int, _frame: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(format_module.SegmentReader, "_fill", fill_until_the_time_is_up)
    run_by_hand(tmp_path, segment_of(0, 20))
    corruption = Corruption()
    before = signal.signal(signal.SIGALRM, time_is_up)
    try:
        with pytest.raises(TimeoutError):
            deliver_all(tmp_path, corruption)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert corruption.errors == []
    assert deliver_all(tmp_path, corruption)[-1] == b"19"
    assert list(tmp_path.iterdir()) == []


def test_a_handler_that_raises_while_a_sync_is_asked_for_has_the_next_message_ask(
    tmp_path: Path,
) -> None:
    run, asked = Run(tmp_path), []
    lane = run.lane()

    def ask() -> None:
        asked.append(1)
        if len(asked) == 1:
            raise KeyboardInterrupt

    run.on_dirty = ask
    with pytest.raises(KeyboardInterrupt):
        lane.append(b"0")
    lane.append(b"1")
    assert len(asked) == 2
    run.close()


def test_a_relative_path_in_a_folder_that_is_gone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigError, match="path: expected an absolute one"):
        SpoolConfig("spool")


def test_a_time_limit_passes_through_the_making_of_a_folder(tmp_path: Path) -> None:
    place, is_struck = 0, True
    while is_struck:
        place += 1
        call = partial(make_folder, tmp_path / str(place))
        is_struck = interrupted(call, place, (TimeoutError,), within(inspect.getfile(Path)))
    assert place > 2


# At each place: made in a folder of its own, and called


def write(folder: Path) -> Callable[[], object]:
    def call() -> None:
        run = Run(folder)
        lane = run.lane()
        segment = lane.append(b"0")
        run.sync()
        settle_one(segment)
        run.tidy()
        lane.append(b"1")
        run.close()

    return call


def tidy_without_a_lock(folder: Path) -> Callable[[], object]:
    run = Run(folder)
    (run.lane().append(b"0").path.parent / LOCK).unlink()
    return run.tidy


def deliver(folder: Path) -> Callable[[], object]:
    run_by_hand(folder, segment_of(0, 3), name="1-1-1")
    run = run_by_hand(folder, segment_of(10, 3), name="2-1-1")
    (run / "0000000000000000.copy").touch()
    (run / LOCK).unlink()
    run_by_hand(folder, segment_of(20, 3) + b"damage!!", name="3-1-1")
    run_by_hand(folder, name="4-1-1").rename(folder / "4-1-1.new")
    return lambda: deliver_all(folder, Corruption())


def keep_the_rest(folder: Path) -> Callable[[], object]:
    run = Run(folder)
    lane = run.lane()
    *_, segment = [lane.append(b"%d" % n) for n in range(5)]
    lane.retire(all_of_them=True)
    segment.settled += 2

    def call() -> None:
        keep_rest(segment, Counter([b"1", b"3", b"4"]))
        drop_first(segment.path, 1)
        write_anew(run, [b"5", b"6"])
        run.close()

    return call


def sync(folder: Path) -> Callable[[], object]:
    spool = Spool(SpoolConfig(folder, fsync=1), folder)
    spool.write(spool.run.lane(), b"0")
    return spool.sync


def give_up_what_is_lost(folder: Path) -> Callable[[], object]:
    run = Run(folder)
    segments = []
    for _ in range(2):
        lane = run.lane()
        segments.append(lane.append(b"0"))
        lane.retire(all_of_them=True)
    found = Losses()
    found.add_damaged(segments[0], len(HEADER))
    found.add_gone(segments[1:])

    def call() -> None:
        while loss := found.claim():
            loss.give_up()

    return call


def find_and_open(folder: Path) -> Callable[[], object]:
    def call() -> None:
        assert find_spool(folder / "none", "key", "host") is None
        open_spool(folder / "spool", "key", "host")
        assert find_spool(folder / "spool", "key", "host")

    return call


def tell_the_age(_folder: Path) -> Callable[[], object]:
    age._boot_id.cache_clear()  # noqa: SLF001  as in a process of its own
    return lambda: age.is_older(0, age.boot_mark(), WEEK)


@pytest.mark.filterwarnings("ignore:unclosed")  # what is open then is left to the collector
@pytest.mark.parametrize(
    "make",
    [
        *(write, tidy_without_a_lock, deliver, keep_the_rest, sync, give_up_what_is_lost),
        *(find_and_open, tell_the_age),
    ],
)
def test_a_time_limit_reaches_the_caller_whatever_its_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Callable[[], object]]
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(quarantine, "_warned_of", set())
    monkeypatch.setattr(orphan, "_settled", {})
    for place in count(1):
        folder = tmp_path / str(place)
        folder.mkdir(mode=0o700)
        is_place = within(os.path.join(OURS, "spooling", ""), losses.__file__)  # noqa: PTH118  text
        if not interrupted(make(folder), place, OF_ALL_TYPES, is_place):
            break
    assert place > 5
