"""Runs: what a process writes, and what others find when it is gone, however it went."""

from __future__ import annotations

import io
import os
import signal
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from support.marks import needs_fork
from support.python import run_python
from support.script import fork_warning
from support.spool import Corruption, drain, numbers, run_by_hand, segment_of, settle_one

from segment_librato.spooling import lane as lane_module
from segment_librato.spooling import lock as lock_module
from segment_librato.spooling.format import SegmentReader
from segment_librato.spooling.lock import FileLock
from segment_librato.spooling.orphan import find_orphans
from segment_librato.spooling.run import Run
from segment_librato.spooling.run_folder import LOCK, RunFolder
from segment_librato.spooling.segment import WrittenSegment


@pytest.fixture
def corruption() -> Corruption:
    return Corruption()


def run_script(folder: Path, script: str, status: int = 0) -> str:
    """Run a process that writes in a folder; check how it ended."""
    preamble = """
        import os, signal, sys, threading
        from pathlib import Path
        from segment_librato.spooling.run import Run
        run = Run(Path(sys.argv[1]))
        lane = run.lane()
        def write(first, last):
            for number in range(first, last):
                lane.append(b"%d" % number)
    """
    source = textwrap.dedent(preamble) + textwrap.dedent(script)
    return run_python(source, folder, options=fork_warning, status=status)


def test_a_process_that_is_killed_leaves_all_it_wrote(
    tmp_path: Path, corruption: Corruption
) -> None:
    run_script(tmp_path, "write(0, 1000); os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL)
    assert drain(tmp_path, corruption) == numbers(0, 1000)
    assert list(tmp_path.iterdir()) == []
    assert corruption.errors == []


def test_what_is_settled_is_deleted(tmp_path: Path) -> None:
    run = Run(tmp_path)
    lane = run.lane()
    segments = [lane.append(payload) for payload in numbers(0, 10)]
    for segment in segments:
        settle_one(segment)
    run.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_settled_stays_when_its_run_is_closed(
    tmp_path: Path, corruption: Corruption
) -> None:
    run = Run(tmp_path)
    lane = run.lane()
    segments = [lane.append(payload) for payload in numbers(0, 10)]
    for segment in segments[:9]:
        settle_one(segment)
    run.close()
    assert drain(tmp_path, corruption) == numbers(0, 10)


def test_nobody_takes_the_run_of_a_live_process(tmp_path: Path, corruption: Corruption) -> None:
    run = Run(tmp_path)
    run.lane().append(b"1")
    assert drain(tmp_path, corruption) == []
    run.close()
    assert drain(tmp_path, corruption) == [b"1"]


def test_a_run_that_was_taken_is_not_taken_again(tmp_path: Path, corruption: Corruption) -> None:
    run = Run(tmp_path)
    run.lane().append(b"1")
    run.close()
    with_first = find_orphans(tmp_path, corruption)
    first = next(with_first)
    assert list(find_orphans(tmp_path, corruption)) == []
    first.close()
    assert len(list(find_orphans(tmp_path, corruption))) == 1


def test_a_run_without_a_message_makes_no_folder(tmp_path: Path) -> None:
    Run(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


def test_files_and_folders_are_private(tmp_path: Path) -> None:
    run = Run(tmp_path)
    segment = run.lane().append(b"1")
    modes = [oct(path.stat().st_mode & 0o777) for path in (segment.path, segment.path.parent)]
    assert modes == ["0o600", "0o700"]
    assert oct((segment.path.parent / LOCK).stat().st_mode & 0o777) == "0o600"
    run.close()


def test_segments_rotate_and_are_read_in_order(
    tmp_path: Path, corruption: Corruption, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "MAX_SEGMENT_BYTES", 200)
    run = Run(tmp_path)
    made: list[int] = []
    lane = run.lane(lambda _, first: made.append(first))
    for payload in numbers(0, 100):
        lane.append(payload)
    assert len(made) > 5
    run.close()
    assert drain(tmp_path, corruption) == numbers(0, 100)
    assert list(tmp_path.iterdir()) == []


def test_segments_rotate_by_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path)
    lane = run.lane()
    first = lane.append(b"1")
    assert lane.append(b"2") is first
    monkeypatch.setattr(lane_module, "MAX_SEGMENT_AGE", 0)
    assert lane.append(b"3") is not first
    assert first.is_sealed
    run.close()


def test_the_messages_of_each_thread_stay_in_order(tmp_path: Path, corruption: Corruption) -> None:
    run = Run(tmp_path)
    lane = run.lane()

    def write(name: bytes) -> None:
        for number in range(500):
            lane.append(b"%s %d" % (name, number))

    threads = [threading.Thread(target=write, args=(b"%d" % n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.close()
    found = drain(tmp_path, corruption)
    assert len(found) == 8 * 500
    for n in range(8):
        mine = [payload.split()[1] for payload in found if payload.split()[0] == b"%d" % n]
        assert mine == numbers(0, 500)


@needs_fork
def test_a_forked_child_has_a_run_of_its_own(tmp_path: Path, corruption: Corruption) -> None:
    script = """
        write(0, 10)
        if os.fork() == 0:
            write(10, 20)
            os.kill(os.getpid(), signal.SIGKILL)
        os.wait()
        write(20, 30)
        os._exit(0)
    """
    run_script(tmp_path, script)
    assert len(list(tmp_path.iterdir())) == 2
    assert sorted(drain(tmp_path, corruption), key=int) == numbers(0, 30)


@needs_fork
def test_the_lock_of_a_parent_does_not_outlive_it_in_a_child(
    tmp_path: Path, corruption: Corruption
) -> None:
    script = """
        write(0, 10)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            os.write(writer, b"1")
            signal.pause()
        os.read(reader, 1)
        print(child, flush=True)
        os._exit(0)
    """
    child = int(run_script(tmp_path, script))
    try:
        assert drain(tmp_path, corruption) == numbers(0, 10)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_disk_that_is_full_raises_and_leaves_the_file_whole(
    tmp_path: Path, corruption: Corruption
) -> None:
    script = """
        import resource
        write(0, 10)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
        written = 10
        try:
            for number in range(10, 1000):
                lane.append(b"%d" % number)
                written += 1
        except OSError as error:
            print(written, error.strerror, flush=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        write(written, 30)
        os._exit(0)
    """
    output = run_script(tmp_path, script)
    assert output.split(maxsplit=1)[1] in {"No space left on device\n", "File too large\n"}
    assert 10 < int(output.split()[0]) < 30
    for path in tmp_path.rglob("*.seg"):
        data = path.read_bytes()
        reader = SegmentReader(io.BytesIO(data))
        assert sum(1 for _ in reader) >= 10
        assert reader.offset == len(data)
    assert drain(tmp_path, corruption) == numbers(0, 30)


def test_damage_costs_the_end_of_its_file_which_is_kept(
    tmp_path: Path, corruption: Corruption
) -> None:
    damaged = bytearray(segment_of(0, 10))
    behind = len(segment_of(0, 4))
    damaged[behind + 10] ^= 1
    run_by_hand(tmp_path, bytes(damaged), segment_of(100, 10))
    assert drain(tmp_path, corruption) == numbers(0, 4) + numbers(100, 110)
    (error,) = corruption.errors
    assert Path(error.path).parent == tmp_path / "quarantine"
    assert Path(error.path).read_bytes() == damaged[behind:]
    assert error.bytes == len(damaged) - behind
    assert [path.name for path in tmp_path.iterdir()] == ["quarantine"]


def test_strange_files_do_no_harm(tmp_path: Path, corruption: Corruption) -> None:
    run = run_by_hand(tmp_path, segment_of(0, 3))
    (run / "notes.txt").write_text("mine")
    (run / "0000000000000064.seg").mkdir()
    (run / "0000000000000065.seg").symlink_to("/etc/passwd")
    (tmp_path / "file.run").write_text("not a folder")
    (tmp_path / "link.run").symlink_to(run)
    (tmp_path / "other").mkdir()
    assert drain(tmp_path, corruption) == numbers(0, 3)
    assert corruption.errors == []
    assert (run / "notes.txt").read_text() == "mine"


@needs_fork
def test_a_full_disk_keeps_the_damage_where_it_is(
    tmp_path: Path, corruption: Corruption, caplog: pytest.LogCaptureFixture
) -> None:
    run = run_by_hand(tmp_path, segment_of(0, 3) + b"damage!!")
    (tmp_path / "quarantine").write_text("not a folder")
    assert drain(tmp_path, corruption) == numbers(0, 3)
    assert corruption.errors == []
    assert "is damaged, and stays: File exists" in caplog.text
    assert len(list(run.glob("*.seg"))) == 1


def test_a_run_that_two_threads_close_is_free_when_either_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    run.lane().append(b"0")
    folder: Any = run._folders[""]  # noqa: SLF001  a thread is stopped in the middle of it
    remove = type(folder).remove
    is_stopped, may_go_on = threading.Event(), threading.Event()

    def stop_the_first(folder: object) -> None:
        if not is_stopped.is_set():
            is_stopped.set()
            assert may_go_on.wait(10)
        remove(folder)

    monkeypatch.setattr(type(folder), "remove", stop_the_first)
    other = threading.Thread(target=run.close)
    other.start()
    assert is_stopped.wait(10)
    run.close()
    assert drain(tmp_path, Corruption()) == [b"0"]
    may_go_on.set()
    other.join()


def test_a_run_that_two_threads_tidy_keeps_its_lock_while_it_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    lane = run.lane()
    folder = lane.append(b"0").path.parent
    both = threading.Barrier(2)
    really_make = FileLock.make

    def make_at_the_same_time(path: Path, content: bytes = b"") -> FileLock:
        both.wait(10)
        return really_make(path, content)

    # As if the folder had been empty, and the segment was made before it is removed.
    (folder / LOCK).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(FileLock, "make", make_at_the_same_time)
        threads = [threading.Thread(target=run.tidy) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert FileLock.take(folder / LOCK) is None
    assert lane.append(b"1").path.parent == folder
    assert drain(tmp_path, Corruption()) == []
    run.close()
    assert drain(tmp_path, Corruption()) == numbers(0, 2)


def test_two_threads_that_begin_at_the_same_time_share_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    lane = run.lane()
    both = threading.Barrier(2)

    def make_at_the_same_time(parent: Path) -> RunFolder:
        both.wait(10)
        return RunFolder(parent)

    monkeypatch.setattr("segment_librato.spooling.run.RunFolder", make_at_the_same_time)
    threads = [threading.Thread(target=lane.append, args=(b"%d" % n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([*tmp_path.iterdir()]) == 1
    assert drain(tmp_path, Corruption()) == []
    run.close()
    assert sorted(drain(tmp_path, Corruption())) == numbers(0, 2)


def test_a_call_does_not_write_to_a_run_that_is_closed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    run.lane().append(b"0")

    def close_and_make(*arguments: Any) -> WrittenSegment:
        monkeypatch.undo()
        run.close()
        return WrittenSegment(*arguments)

    monkeypatch.setattr("segment_librato.spooling.run.WrittenSegment", close_and_make)
    run.lane().append(b"1")
    assert drain(tmp_path, Corruption()) == [b"0"]
    run.close()
    assert drain(tmp_path, Corruption()) == [b"1"]


@pytest.mark.parametrize("what", ["folder", "lock"])
def test_a_run_can_be_made_though_somebody_removes_what_is_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    really_lock = lock_module._lock  # noqa: SLF001  the seam between systems

    def lock_after_removal(descriptor: int) -> None:
        monkeypatch.undo()
        really_lock(descriptor)
        (made,) = tmp_path.glob("*.new")
        (made / LOCK).unlink()
        if what == "folder":
            made.rmdir()
        else:
            (made / LOCK).touch()

    monkeypatch.setattr(lock_module, "_lock", lock_after_removal)
    run = Run(tmp_path)
    segment = run.lane().append(b"0")
    assert [*tmp_path.iterdir()] == [segment.path.parent]
    assert drain(tmp_path, Corruption()) == []
    run.close()
    assert drain(tmp_path, Corruption()) == [b"0"]


def test_a_run_whose_folder_is_moved_away_before_it_has_its_name_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def rename_after_another(path: Path, target: Path) -> Path:
        monkeypatch.undo()
        rename(path, tmp_path / "elsewhere")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", rename_after_another)
    run = Run(tmp_path)
    run.lane().append(b"0")
    run.close()
    assert drain(tmp_path, Corruption()) == [b"0"]


def test_a_folder_that_cannot_be_made_raises(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(OSError, match="Not a directory"):
        Run(tmp_path / "spool" / "hash").lane().append(b"0")
