"""Segments of which a part has its outcome, when the rest is kept and when that fails."""

from __future__ import annotations

import errno
import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from support.disk import failing
from support.spool import Corruption, drain, numbers, unknown_version

from segment_librato.queue.spooled import SpooledMessage, keep_only
from segment_librato.spooling.rest import keep_rest, write_anew
from segment_librato.spooling.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segment_librato.spooling.segment import WrittenSegment


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path)
    yield run
    run.close()


@pytest.fixture
def segment(run: Run) -> WrittenSegment:
    """Write five messages, of which two have their outcome."""
    lane = run.lane()
    *_, segment = [lane.append(payload) for payload in numbers(0, 5)]
    lane.retire(all_of_them=True)
    segment.settled += 2
    os.utime(segment.path, (1000, 1000))
    return segment


def left(tmp_path: Path, run: Run) -> list[bytes]:
    run.close()
    corruption = Corruption()
    found = drain(tmp_path, corruption)
    assert corruption.errors == []
    return found


def test_only_what_was_left_is_kept_with_its_age(
    tmp_path: Path, run: Run, segment: WrittenSegment
) -> None:
    keep_rest(segment, Counter([b"1", b"3", b"4"]))
    assert (segment.records, segment.settled) == (3, 0)
    assert segment.path.stat().st_mtime == 1000
    assert left(tmp_path, run) == [b"1", b"3", b"4"]


def test_of_messages_that_say_the_same_as_many_are_kept_as_were_left(
    tmp_path: Path, run: Run
) -> None:
    lane = run.lane()
    payloads = [b"same", b"same", b"another", b"same", b"on disk only"]
    *_, segment = [lane.append(payload) for payload in payloads]
    lane.retire(all_of_them=True)
    segment.settled += 2
    segment.read = 4
    keep_only([SpooledMessage(payload, segment) for payload in (b"another", b"same")], [])
    assert left(tmp_path, run) == payloads[2:]


@pytest.mark.parametrize("reported", [{b"3"}, {b"0", b"1", b"3", b"4"}, set()])
def test_what_somebody_still_reports_is_kept_too(
    tmp_path: Path, run: Run, segment: WrittenSegment, reported: set[bytes]
) -> None:
    keep_rest(segment, Counter(reported))
    assert (segment.records, segment.settled) == (5, 2)
    assert left(tmp_path, run) == numbers(0, 5)


def test_a_file_is_not_rewritten_if_it_is_not_what_was_counted(
    tmp_path: Path, run: Run, segment: WrittenSegment
) -> None:
    keep_rest(segment, Counter([b"1", b"3", b"not in it"]))
    assert (segment.records, segment.settled) == (5, 2)
    assert left(tmp_path, run) == numbers(0, 5)


@pytest.mark.parametrize("data", [b"", b"no segment", unknown_version()])
def test_what_somebody_has_put_in_the_place_of_a_file_stays(
    segment: WrittenSegment, data: bytes
) -> None:
    segment.path.write_bytes(data)
    keep_rest(segment, Counter([b"1", b"3", b"4"]))
    assert segment.path.read_bytes() == data


@pytest.mark.parametrize("is_sealed", [True, False])
def test_a_file_that_a_thread_writes_is_not_rewritten(
    tmp_path: Path, run: Run, segment: WrittenSegment, *, is_sealed: bool
) -> None:
    segment.is_sealed = is_sealed
    keep_only([SpooledMessage(payload, segment) for payload in (b"1", b"3", b"4")], [])
    assert left(tmp_path, run) == ([b"1", b"3", b"4"] if is_sealed else numbers(0, 5))


@pytest.mark.parametrize("step", ["fsync", "utime"])
def test_without_room_for_a_copy_all_of_it_stays(
    tmp_path: Path,
    run: Run,
    segment: WrittenSegment,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, step, failing(errno.ENOSPC))
        keep_rest(segment, Counter([b"1", b"3", b"4"]))
    assert (segment.records, segment.settled) == (5, 2)
    assert {path.suffix for path in segment.path.parent.iterdir()} == {"", ".seg"}  # no copy
    assert left(tmp_path, run) == numbers(0, 5)


def test_what_interrupts_the_copy_reaches_the_caller_and_leaves_none(
    tmp_path: Path, run: Run, segment: WrittenSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            keep_rest(segment, Counter([b"1", b"3", b"4"]))
    assert {path.suffix for path in segment.path.parent.iterdir()} == {"", ".seg"}
    assert left(tmp_path, run) == numbers(0, 5)


def test_a_damaged_file_stays_for_who_reads_it_next(
    tmp_path: Path, run: Run, segment: WrittenSegment
) -> None:
    data = bytearray(segment.path.read_bytes())
    data[-1] ^= 1
    data += b"more, so that it is no torn end"
    segment.path.write_bytes(data)
    keep_rest(segment, Counter([b"1", b"3", b"4"]))
    assert segment.path.read_bytes() == data
    run.close()
    corruption = Corruption()
    assert drain(tmp_path, corruption) == numbers(0, 4)
    assert len(corruption.errors) == 1


@pytest.mark.parametrize("step", ["", "open", "fsync", "utime"])
def test_messages_are_written_anew_all_of_them_or_none(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    run.lane().append(b"0")
    with monkeypatch.context() as patch:
        if step:
            patch.setattr(os, step, failing(errno.EMFILE))
        assert write_anew(run, numbers(1, 4)) is not bool(step)
    (folder,) = tmp_path.iterdir()
    assert {path.suffix for path in folder.iterdir()} == {"", ".seg"}  # no copy
    assert left(tmp_path, run) == numbers(0, 1 if step else 4)
