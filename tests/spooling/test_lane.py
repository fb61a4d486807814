"""Lanes: which segment a call writes to, and when one is sealed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from support.spool import Corruption, drain, settle_one

from segment_librato.spooling import lane as lane_module
from segment_librato.spooling.lane import MAX_SEGMENT_AGE
from segment_librato.spooling.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.spooling.lane import Lane
    from segment_librato.spooling.segment import WrittenSegment


class Time:
    """The clock of lanes, which goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(lane_module, "monotonic", time)
    monkeypatch.setattr("segment_librato.spooling.run.monotonic", time)
    return time


def burst(lane: Lane, count: int) -> list[WrittenSegment]:
    """Write messages at the same time, as threads do; return their segments."""
    found: list[WrittenSegment] = []
    left = iter(range(1, count))

    def write_after_the_others(descriptor: int, data: bytes) -> int:
        found.extend(lane.append(b"other") for _ in left)
        return os.write(descriptor, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lane_module, "write", write_after_the_others)
        found.append(lane.append(b"first"))
    return found


def test_segments_of_a_burst_do_not_stay_open_while_there_is_always_something_to_write(
    tmp_path: Path, time: Time
) -> None:
    run = Run(tmp_path)
    lane = run.lane()
    segments = burst(lane, 5)
    assert len({*segments}) == 5
    for segment in segments:
        settle_one(segment)
    for _ in range(3):
        time.now += MAX_SEGMENT_AGE / 2
        latest = lane.append(b"more")
        settle_one(latest)
    assert [segment.is_sealed for segment in segments] == [True] * 5
    assert [*tmp_path.rglob("*.seg")] == [latest.path]
    run.close()


def test_a_new_segment_seals_no_other_that_is_young(tmp_path: Path, time: Time) -> None:
    run = Run(tmp_path)
    lane = run.lane()
    lane.append(b"first")
    time.now += MAX_SEGMENT_AGE - 1
    *others, oldest = burst(lane, 3)
    time.now += 1
    lane.append(b"more")
    assert (oldest.is_sealed, [one.is_sealed for one in others]) == (True, [False, False])
    run.close()


def test_a_child_that_is_forked_when_the_record_is_written_does_not_count_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    lane = run.lane()
    lane.append(b"0")
    assert lane.unread == 1

    def write_and_fork(descriptor: int, data: bytes) -> int:
        written = os.write(descriptor, data)
        run.reset_after_fork()
        return written

    with monkeypatch.context() as patch:
        patch.setattr(lane_module, "write", write_and_fork)
        assert lane.append(b"1").is_of_parent
    assert lane.unread == 0
    lane.append(b"2")
    assert lane.unread == 1
    run.close()


def test_a_disk_without_room_for_a_header_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    lane = run.lane()
    (folder,) = {lane.append(b"0").path.parent}
    lane.retire(all_of_them=True)
    really_write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: really_write(descriptor, data[:4]))
        with pytest.raises(OSError, match="No space left on device"):
            lane.append(b"1")
    assert len([*folder.glob("*.seg")]) == 1
    lane.append(b"2")
    run.close()
    assert drain(tmp_path, Corruption()) == [b"0", b"2"]


def test_a_segment_that_an_interruption_keeps_from_its_owner_is_closed_and_deleted(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path)
    segments: list[WrittenSegment] = []

    def interrupt(segment: WrittenSegment, _: int) -> None:
        segments.append(segment)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.lane(interrupt).append(b"0")
    (segment,) = segments
    assert segment.descriptor < 0
    assert not segment.path.exists()
    run.close()
