"""What dead processes left, in a folder where anything may have happened meanwhile."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
from support.disk import failing
from support.marks import needs_fork
from support.script import fork_warning
from support.spool import Corruption, drain, numbers, run_by_hand, segment_of, settle_one

from segment_librato.spooling import lane as lane_module
from segment_librato.spooling import lock as lock_module
from segment_librato.spooling import orphan as orphan_module
from segment_librato.spooling import quarantine, run_folder
from segment_librato.spooling.folder import open_spool
from segment_librato.spooling.lock import FileLock
from segment_librato.spooling.merged import MergedReader
from segment_librato.spooling.orphan import find_orphans
from segment_librato.spooling.run import Run
from segment_librato.spooling.run_folder import LOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.spooling.orphan import Orphan
    from segment_librato.spooling.segment import Segment


@pytest.fixture
def corruption() -> Corruption:
    return Corruption()


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "_warned_of", set())
    monkeypatch.setattr(orphan_module, "_settled", {})


def only_orphan(folder: Path, corruption: Corruption) -> Orphan:
    (orphan,) = find_orphans(folder, corruption)
    return orphan


def take(messages: Iterator[tuple[Segment, bytes]], count: int) -> list[bytes]:
    """Read messages, and settle them."""
    found = []
    for _ in range(count):
        segment, payload = next(messages)
        settle_one(segment)
        found.append(payload)
    return found


# Runs that are not whole


@pytest.mark.parametrize("has_lock", [True, False])
def test_a_run_that_was_never_finished_is_removed(
    tmp_path: Path, corruption: Corruption, *, has_lock: bool
) -> None:
    made = tmp_path / "20260101T000000Z-1-00000000.new"
    made.mkdir()
    if has_lock:
        (made / LOCK).touch()
    assert drain(tmp_path, corruption) == []
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_being_made_is_left_alone(tmp_path: Path, corruption: Corruption) -> None:
    made = tmp_path / "20260101T000000Z-1-00000000.new"
    made.mkdir()
    lock = FileLock.make(made / LOCK)
    assert drain(tmp_path, corruption) == []
    assert (made / LOCK).exists()
    lock.release()


@pytest.mark.parametrize("has_lock", [True, False])
def test_a_run_without_a_segment_is_removed(
    tmp_path: Path, corruption: Corruption, *, has_lock: bool
) -> None:
    run = run_by_hand(tmp_path)
    if not has_lock:
        (run / LOCK).unlink()
    assert drain(tmp_path, corruption) == []
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_lock_somebody_has_removed_is_read(
    tmp_path: Path, corruption: Corruption
) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])  # so that its id is nobody's
    process.wait()
    run = run_by_hand(tmp_path, segment_of(0, 3), name=f"20260101T000000Z-{process.pid}-00000000")
    (run / LOCK).unlink()
    assert drain(tmp_path, corruption) == numbers(0, 3)
    assert list(tmp_path.iterdir()) == []


def test_two_drains_may_find_a_run_without_a_lock_at_the_same_time(
    tmp_path: Path,
    corruption: Corruption,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = run_by_hand(tmp_path, segment_of(0, 3), name="a name of somebody")
    (run / LOCK).unlink()
    others: list[FileLock] = []
    really_make = FileLock.make

    def make_after_another(path: Path) -> FileLock:
        monkeypatch.undo()
        others.append(really_make(path))
        return really_make(path)

    monkeypatch.setattr(FileLock, "make", make_after_another)
    assert drain(tmp_path, corruption) == drain(tmp_path, corruption) == []
    others.pop().release()
    assert drain(tmp_path, corruption) == numbers(0, 3)
    assert caplog.messages == []


def test_a_run_whose_lock_somebody_replaces_at_the_same_time_is_not_taken(
    tmp_path: Path, corruption: Corruption, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_by_hand(tmp_path, segment_of(0, 3))
    really_lock = lock_module._lock  # noqa: SLF001  the seam between systems

    def lock_after_replacement(descriptor: int) -> None:
        monkeypatch.undo()
        (run / LOCK).unlink()
        (run / LOCK).touch()
        really_lock(descriptor)

    monkeypatch.setattr(lock_module, "_lock", lock_after_replacement)
    assert drain(tmp_path, corruption) == []
    assert drain(tmp_path, corruption) == numbers(0, 3)


@pytest.mark.parametrize("is_read", [True, False])
def test_a_run_that_somebody_deletes_costs_no_other(
    tmp_path: Path, corruption: Corruption, caplog: pytest.LogCaptureFixture, *, is_read: bool
) -> None:
    run = run_by_hand(tmp_path, segment_of(0, 3), name="1-1-1")
    run_by_hand(tmp_path, segment_of(10, 3), name="2-1-1")
    first, second = find_orphans(tmp_path, corruption)
    if is_read:
        segment, _ = next(first.messages())
    shutil.rmtree(run)
    if is_read:
        assert not first.is_older(segment, 0)
    first.close()
    assert take(second.messages(), 3) == numbers(10, 13)
    second.close()
    problem = "cannot be read, and stays: No such file or directory"
    assert caplog.messages == [f"the spool's folder {run} {problem}"]


def test_a_live_run_whose_lock_somebody_has_removed_is_left_alone(
    tmp_path: Path, corruption: Corruption
) -> None:
    run = Run(tmp_path)
    segment = run.lane().append(b"1")
    (segment.path.parent / LOCK).unlink()
    assert drain(tmp_path, corruption) == []
    run.close()


def test_a_run_that_its_holder_removes_at_the_same_time_is_not_taken(
    tmp_path: Path, corruption: Corruption, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_by_hand(tmp_path)

    def lock_after_removal(descriptor: int) -> None:
        if run.exists():
            shutil.rmtree(run)
        really_lock(descriptor)

    really_lock = lock_module._lock  # noqa: SLF001  the seam between systems
    monkeypatch.setattr(lock_module, "_lock", lock_after_removal)
    assert list(find_orphans(tmp_path, corruption)) == []


def test_a_run_can_be_made_while_somebody_cleans_up(
    tmp_path: Path, corruption: Corruption, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaned: list[list[bytes]] = []

    def make_after_cleaning(path: Path, content: bytes) -> FileLock:
        if not cleaned:
            cleaned.append(drain(tmp_path, corruption))
        return really_make(path, content)

    really_make = FileLock.make
    monkeypatch.setattr(FileLock, "make", make_after_cleaning)
    run = Run(tmp_path)
    run.lane().append(b"1")
    run.close()
    assert cleaned == [[]]
    assert drain(tmp_path, corruption) == [b"1"]


def test_a_run_goes_on_if_somebody_removes_the_whole_spool(
    tmp_path: Path, corruption: Corruption
) -> None:
    folder = open_spool(tmp_path / "spool", "key", "https://host")
    run = Run(folder)
    lane = run.lane()
    lane.append(b"1")
    lane.retire(all_of_them=True)
    shutil.rmtree(tmp_path / "spool")
    lane.append(b"2")
    run.sync()
    run.close()
    assert drain(folder, corruption) == [b"2"]


# Strange files


def test_a_named_pipe_holds_nobody_up(tmp_path: Path, corruption: Corruption) -> None:
    run = run_by_hand(tmp_path, segment_of(0, 3))
    os.mkfifo(run / "0000000000000001.seg")
    assert drain(tmp_path, corruption) == numbers(0, 3)
    assert (run / "0000000000000001.seg").exists()


def test_a_link_in_place_of_the_quarantine_is_not_followed(
    tmp_path: Path, corruption: Corruption, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "quarantine").symlink_to(tmp_path / "elsewhere")
    run = run_by_hand(tmp_path, segment_of(0, 3) + b"damage!!")
    assert drain(tmp_path, corruption) == numbers(0, 3)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    (path,) = run.glob("*.seg")
    assert caplog.messages == [f"the spool's file {path} is damaged, and stays: Not a directory"]


def test_damage_that_cannot_be_moved_stays_and_is_told_of_once(
    tmp_path: Path, corruption: Corruption, caplog: pytest.LogCaptureFixture
) -> None:
    quarantine = tmp_path / "quarantine"
    quarantine.write_text("not a folder")
    run = run_by_hand(tmp_path, segment_of(0, 3) + b"damage!!")
    assert drain(tmp_path, corruption) == numbers(0, 3)
    assert drain(tmp_path, corruption) == drain(tmp_path, corruption) == []
    (path,) = run.glob("*.seg")
    assert caplog.messages == [f"the spool's file {path} is damaged, and stays: File exists"]
    assert corruption.errors == []
    quarantine.unlink()
    assert drain(tmp_path, corruption) == []
    assert [error.bytes for error in corruption.errors] == [8]
    assert [each.read_bytes() for each in quarantine.iterdir()] == [b"damage!!"]


def test_a_run_that_cannot_be_opened_is_told_of_once(
    tmp_path: Path, corruption: Corruption, caplog: pytest.LogCaptureFixture
) -> None:
    run = run_by_hand(tmp_path, segment_of(0, 3))
    (run / LOCK).unlink()
    (run / LOCK).symlink_to("/etc/passwd")
    assert drain(tmp_path, corruption) == drain(tmp_path, corruption) == []
    assert caplog.text.count(f"the spool's folder {run} cannot be read, and stays: ") == 1


@pytest.mark.skipif(os.name == "nt", reason="the owner is not in the status there")
def test_a_run_of_another_user_is_left_alone_and_told_of_once(
    tmp_path: Path,
    corruption: Corruption,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, owner = run_by_hand(tmp_path, segment_of(0, 3)), os.geteuid()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: owner + 1)
        assert drain(tmp_path, corruption) == drain(tmp_path, corruption) == []
    problem = f"it belongs to another user, with the id {owner}"
    assert caplog.messages == [f"the spool's folder {run} cannot be read, and stays: {problem}"]
    assert drain(tmp_path, corruption) == numbers(0, 3)


@pytest.mark.skipif(getattr(os, "geteuid", int)() != 0, reason="only root can give files away")
def test_a_run_that_another_user_has_planted_is_not_delivered(
    tmp_path: Path, corruption: Corruption
) -> None:
    run_by_hand(tmp_path, segment_of(0, 3), name="1-1-1")
    planted = run_by_hand(tmp_path, segment_of(100, 3), name="2-1-1")
    os.chown(planted, 12345, -1)
    assert drain(tmp_path, corruption) == numbers(0, 3)
    assert [*tmp_path.iterdir()] == [planted]


def test_another_version_is_left_alone_and_told_of_once(
    tmp_path: Path, corruption: Corruption, caplog: pytest.LogCaptureFixture
) -> None:
    start = struct.pack("<8sHH", b"segspool", 2, 0)
    of_version_2 = start + struct.pack("<I", crc32(start)) + b"anything"
    run = run_by_hand(tmp_path, of_version_2, segment_of(100, 3))
    assert drain(tmp_path, corruption) == numbers(100, 103)
    assert drain(tmp_path, corruption) == []
    assert [each.read_bytes() for each in run.glob("*.seg")] == [of_version_2]
    (path,) = run.glob("*.seg")
    warning = f"the spool's file {path} cannot be read, and stays: format version 2"
    assert caplog.text.count(warning) == 1
    assert corruption.errors == []


def test_a_file_that_somebody_deletes_before_it_is_read_costs_no_other(
    tmp_path: Path, corruption: Corruption, caplog: pytest.LogCaptureFixture
) -> None:
    run_by_hand(tmp_path, segment_of(0, 3), segment_of(100, 3), segment_of(200, 3))
    (orphan,) = find_orphans(tmp_path, corruption)
    found: list[bytes] = []
    for segment, payload in orphan.messages():
        if not found:
            gone = sorted(orphan.path.glob("*.seg"))[1]
            gone.unlink()
        found.append(payload)
        settle_one(segment)
    orphan.close()
    assert found == numbers(0, 3) + numbers(200, 203)
    assert caplog.messages == [f"somebody deleted {gone} before it was read"]
    assert list(tmp_path.iterdir()) == []


# Damage


SMALL = segment_of(0, 4)
ENDS = [len(segment_of(0, count)) for count in range(5)]


@pytest.mark.once
def test_a_flipped_bit_costs_the_rest_of_its_file_and_no_other(
    tmp_path: Path, corruption: Corruption
) -> None:
    for bit in range(8 * len(SMALL)):
        damaged = bytearray(SMALL)
        damaged[bit // 8] ^= 1 << bit % 8
        folder = tmp_path / str(bit)
        folder.mkdir()
        run_by_hand(folder, bytes(damaged), segment_of(100, 2))
        whole = sum(end <= bit // 8 for end in ENDS) - 1
        assert drain(folder, corruption) == [*numbers(0, max(0, whole)), *numbers(100, 102)]
        rest = bytes(damaged[ENDS[whole] :] if whole >= 0 else damaged)
        error = corruption.errors.pop()
        assert (Path(error.path).read_bytes(), error.bytes) == (rest, len(rest))
        assert [each.name for each in folder.iterdir()] == ["quarantine"]
    assert corruption.errors == []


def test_wherever_a_file_ends_what_is_whole_is_read_and_nothing_stays(
    tmp_path: Path, corruption: Corruption
) -> None:
    for size in range(len(SMALL) + 1):
        run_by_hand(tmp_path, SMALL[:size], segment_of(100, 2))
        whole = sum(end <= size for end in ENDS[1:])
        assert drain(tmp_path, corruption) == [*numbers(0, whole), *numbers(100, 102)]
        assert list(tmp_path.iterdir()) == []
    assert corruption.errors == []


# Files that cannot be read or deleted


class FailingDisk:
    """Reads up to an offset."""

    def __init__(self, file: Any, size: int) -> None:
        self._file = file
        self._size = size

    def read(self, _: int) -> bytes:
        if not self._size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        piece: bytes = self._file.read(self._size)
        self._size -= len(piece)
        return piece

    def close(self) -> None:
        self._file.close()


def test_what_the_disk_cannot_read_is_moved_away(
    tmp_path: Path, corruption: Corruption, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = segment_of(0, 10)
    run_by_hand(tmp_path, data, segment_of(1000, 3))
    sizes = iter([len(segment_of(0, 4)) + 1, 1 << 20])
    really_open = open
    monkeypatch.setitem(
        MergedReader.__init__.__globals__,
        "open",
        lambda *args, **options: FailingDisk(really_open(*args, **options), next(sizes)),
    )
    assert drain(tmp_path, corruption) == [*numbers(0, 4), *numbers(1000, 1003)]
    (error,) = corruption.errors
    assert Path(error.path).read_bytes() == data
    assert error.bytes == len(data)
    assert [each.name for each in tmp_path.iterdir()] == ["quarantine"]


def test_what_cannot_be_deleted_is_not_read_twice(
    tmp_path: Path, corruption: Corruption, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_by_hand(tmp_path, segment_of(0, 3))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", failing(errno.EACCES))
        assert drain(tmp_path, corruption) == numbers(0, 3)
        assert drain(tmp_path, corruption) == []
    assert drain(tmp_path, corruption) == []
    assert list(tmp_path.iterdir()) == []


# A run that is left before its end


@pytest.mark.parametrize("count", range(1, 10))
def test_what_was_settled_before_a_run_is_left_is_not_read_again(
    tmp_path: Path, corruption: Corruption, count: int
) -> None:
    run = run_by_hand(tmp_path, segment_of(0, 5), segment_of(100, 5))
    os.utime(run / f"{0:016x}.seg", (1000, 1000))
    all_of_them = [*numbers(0, 5), *numbers(100, 105)]
    orphan = only_orphan(tmp_path, corruption)
    assert take(orphan.messages(), count) == all_of_them[:count]
    orphan.close()
    if count < 5:
        assert (run / f"{0:016x}.seg").stat().st_mtime == 1000
    assert drain(tmp_path, corruption) == all_of_them[count:]
    assert list(tmp_path.iterdir()) == []


def test_what_was_read_and_not_settled_is_read_again(
    tmp_path: Path, corruption: Corruption
) -> None:
    run_by_hand(tmp_path, segment_of(0, 5))
    orphan = only_orphan(tmp_path, corruption)
    messages = orphan.messages()
    next(messages)
    next(messages)
    orphan.close()
    assert drain(tmp_path, corruption) == numbers(0, 5)


def test_without_room_for_a_copy_it_is_remembered_what_was_settled(
    tmp_path: Path, corruption: Corruption, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_by_hand(tmp_path, segment_of(0, 5))
    orphan = only_orphan(tmp_path, corruption)
    assert take(orphan.messages(), 2) == numbers(0, 2)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.ENOSPC))
        orphan.close()
    assert sorted(each.suffix for each in run.iterdir()) == ["", ".seg"]
    assert drain(tmp_path, corruption) == numbers(2, 5)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_was_never_finished_is_removed(tmp_path: Path, corruption: Corruption) -> None:
    run = run_by_hand(tmp_path, segment_of(0, 5))
    (run / "0000000000000000.copy").write_bytes(segment_of(3, 1))
    assert drain(tmp_path, corruption) == numbers(0, 5)
    assert list(tmp_path.iterdir()) == []


# Interruptions and forks


def test_what_ctrl_c_interrupted_is_not_written_on(
    tmp_path: Path, corruption: Corruption, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size of the file is not known any more, and a full disk would cut it off too early."""

    def write_and_raise(descriptor: int, data: bytes) -> int:
        really_write(descriptor, data)
        raise KeyboardInterrupt

    really_write = os.write
    run = Run(tmp_path)
    lane = run.lane()
    interrupted = lane.append(b"0")
    with monkeypatch.context() as patch:
        patch.setattr(lane_module, "write", write_and_raise)
        with pytest.raises(KeyboardInterrupt):
            lane.append(b"1")
    assert interrupted.is_sealed
    assert lane.append(b"2") is not interrupted
    run.close()
    assert drain(tmp_path, corruption) == numbers(0, 3)


@needs_fork
def test_the_lock_of_what_a_parent_adopts_does_not_outlive_it_in_a_child(tmp_path: Path) -> None:
    run_by_hand(tmp_path, segment_of(0, 10))
    script = """
import os, sys
from pathlib import Path
from segment_librato.spooling.orphan import find_orphans
orphans = list(find_orphans(Path(sys.argv[1]), print))
reader, writer = os.pipe()
if os.fork() == 0:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    os.write(writer, b"1")
    os.read(0, 1)
    os._exit(0)
os.read(reader, 1)
os._exit(len(orphans))
"""
    process = subprocess.Popen(  # noqa: S603  the tests' own script
        [sys.executable, "-W", "error", *fork_warning, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.wait(240) == 1
    assert drain(tmp_path, Corruption()) == numbers(0, 10)
    process.communicate()


@needs_fork
def test_a_child_does_not_read_what_its_parent_reads(
    tmp_path: Path, corruption: Corruption, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share where they are in the file."""
    monkeypatch.setattr("segment_librato.spooling.format.READ_BYTES", 8)
    run_by_hand(tmp_path, segment_of(0, 10))
    orphan = only_orphan(tmp_path, corruption)
    messages = orphan.messages()
    found = take(messages, 2)
    child = os.fork()
    if child == 0:
        del messages, orphan
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    found += take(messages, 8)
    orphan.close()
    assert (found, corruption.errors) == (numbers(0, 10), [])


def test_the_names_of_folders_are_synced_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(run_folder, "sync_folder", lambda folder, _: synced.append(folder))
    run = Run(tmp_path)
    lane = run.lane()
    folder = lane.append(b"1").path.parent
    run.sync()
    assert synced == [folder, *[*folder.parents][:3]]
    lane.append(b"2")
    run.sync()
    assert synced[4:] == [folder]
    run.close()
