"""A spool as somebody sees it who looks from outside."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.spool import numbers, run_by_hand, segment_of, unknown_version

from segment_librato.spooling import survey as survey_module
from segment_librato.spooling.purge import Purged, purge
from segment_librato.spooling.run import Run as WrittenRun
from segment_librato.spooling.run_folder import LOCK
from segment_librato.spooling.survey import (
    find_runs,
    is_part_of_spool,
    is_spool,
    quarantined,
    read_messages,
    survey,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ACCOUNT = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
DEAD = "20260101T000000Z-1-00000000"


class Problems(dict[str, str]):
    """Keeps what it is told of, by name."""

    def __call__(self, path: Path, reason: str) -> None:
        self[path.name] = reason


@pytest.fixture
def problems() -> Problems:
    return Problems()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make the folder of a write key and host."""
    folder = tmp_path / ACCOUNT
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def live(folder: Path) -> Iterator[WrittenRun]:
    run = WrittenRun(folder)
    run.lane().append(b'{"live": 1}')
    yield run
    run.close()


def damaged() -> bytes:
    """Return ten records, of which the third is damaged."""
    data = bytearray(segment_of(0, 10))
    data[16 + 2 * 17 + 16] ^= 0xFF
    return bytes(data)


def test_each_run_is_told_with_what_is_in_it(
    tmp_path: Path, folder: Path, live: WrittenRun, problems: Problems
) -> None:
    run_by_hand(folder, segment_of(0, 5), segment_of(100, 3), name=DEAD)
    (tmp_path / OTHER).mkdir()
    run_by_hand(tmp_path / OTHER, segment_of(0, 1), name="20260102T000000Z-77-0000beef")

    dead, alive, other = survey(tmp_path, problems)

    assert (dead.path.name, dead.process_id, dead.is_live) == (f"{DEAD}.run", 1, False)
    assert [(file.messages, file.problem) for file in dead.files] == [(5, ""), (3, "")]
    assert dead.messages == 8
    assert dead.bytes == sum(file.bytes for file in dead.files) == 2 * 16 + 5 * 17 + 3 * 19
    assert dead.files[0].written_at == dead.files[0].path.stat().st_mtime
    assert (alive.process_id, alive.is_live, alive.messages) == (os.getpid(), True, 1)
    assert (other.path.parent.name, other.process_id, other.messages) == (OTHER, 77, 1)
    assert problems == {}


@pytest.mark.parametrize(
    "data,messages,problem",
    [
        (damaged(), 2, "damaged from byte 50 on"),
        (b"something else", 0, "damaged from byte 0 on"),
        (unknown_version(), 0, "format version 2"),
        (segment_of(0, 3)[:-1], 2, ""),  # torn: its writer died
        (segment_of(0, 3) + bytes(100), 3, ""),
        (b"", 0, ""),
    ],
    ids=["damaged", "no segment", "version", "torn", "zeros", "empty"],
)
def test_a_file_is_read_as_far_as_possible(
    data: bytes, messages: int, problem: str, tmp_path: Path, folder: Path, problems: Problems
) -> None:
    run = run_by_hand(folder, data, segment_of(100, 2), name=DEAD)
    (found,) = survey(tmp_path, problems)
    assert [(file.messages, file.problem) for file in found.files] == [(messages, problem), (2, "")]
    assert len([*read_messages(run, problems)]) == messages + 2
    assert problems == ({"0000000000000000.seg": problem} if problem else {})


def test_messages_come_in_the_order_in_which_they_were_accepted(
    folder: Path, problems: Problems
) -> None:
    run = run_by_hand(folder, segment_of(0, 3), segment_of(100, 3), name=DEAD)
    assert [*read_messages(run, problems)] == [*numbers(0, 3), *numbers(100, 103)]


def test_messages_of_a_live_run_are_read_while_it_writes(
    tmp_path: Path, live: WrittenRun, problems: Problems
) -> None:
    (run,) = find_runs(tmp_path, problems)
    reading = read_messages(run, problems)
    assert next(reading) == b'{"live": 1}'
    live.lane().append(b'{"live": 2}')
    assert [*reading] in ([], [b'{"live": 2}'])
    assert [*read_messages(run, problems)] == [b'{"live": 1}', b'{"live": 2}']
    assert problems == {}


def test_what_is_no_file_is_told(tmp_path: Path, folder: Path, problems: Problems) -> None:
    run = run_by_hand(folder, name=DEAD)
    (run / "0000000000000000.seg").mkdir()
    (run / "0000000000000001.seg").symlink_to(tmp_path)
    (found,) = survey(tmp_path, problems)
    assert [file.problem for file in found.files] == ["not a file", "not a file"]
    assert [*read_messages(run, problems)] == []
    assert [*problems] == ["0000000000000000.seg", "0000000000000001.seg"]


def test_what_somebody_delivers_meanwhile_is_no_trouble(
    tmp_path: Path, folder: Path, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file between the listing and the look, a run, and its lock."""
    run = run_by_hand(folder, segment_of(0, 1), segment_of(1, 1), name=DEAD)
    gone = run_by_hand(folder, name="20260102T000000Z-2-00000000")
    look = survey_module.look  # in the middle of a survey

    def delete_and_look(path: Path) -> survey_module.File | None:
        (run / "0000000000000000.seg").unlink(missing_ok=True)
        (run / LOCK).unlink(missing_ok=True)
        (gone / LOCK).unlink(missing_ok=True)
        if gone.exists():
            gone.rmdir()
        return look(path)

    monkeypatch.setattr(survey_module, "look", delete_and_look)
    (found,) = survey(tmp_path, problems)
    assert [file.path.name for file in found.files] == ["0000000000000064.seg"]
    (found,) = survey(tmp_path, problems)
    assert not found.is_live
    (run / "0000000000000064.seg").unlink()
    run.rmdir()
    assert [*read_messages(run, problems)] == []
    assert problems == {}


@pytest.fixture
def forbid(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Have a folder belong to somebody else: root, who may run the tests, may read everything."""

    def forbid(folder: Path) -> None:
        iterdir = Path.iterdir

        def refuse(path: Path) -> Iterator[Path]:
            if path == folder:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return iterdir(path)

        monkeypatch.setattr(Path, "iterdir", refuse)

    return forbid


def test_a_run_of_somebody_else_is_told(
    tmp_path: Path, folder: Path, problems: Problems, forbid: Callable[[Path], None]
) -> None:
    run = run_by_hand(folder, segment_of(0, 1), name=DEAD)
    run_by_hand(folder, segment_of(0, 1), name="20260102T000000Z-2-00000000")
    forbid(run)
    assert [one.process_id for one in survey(tmp_path, problems)] == [2]
    assert [*read_messages(run, problems)] == []
    assert problems == {run.name: "Permission denied"}
    problems.clear()
    assert purge(tmp_path, problems).files == 1
    assert problems == {run.name: "Permission denied"}


def test_a_folder_of_somebody_else_is_told(
    tmp_path: Path, folder: Path, problems: Problems, forbid: Callable[[Path], None]
) -> None:
    run_by_hand(folder, segment_of(0, 1), name=DEAD)
    forbid(folder)
    assert [*survey(tmp_path, problems)] == []
    assert problems == {ACCOUNT: "Permission denied"}
    problems.clear()
    assert purge(tmp_path, problems) == Purged(0, 0, 0)
    assert problems == {ACCOUNT: "Permission denied"}


def test_a_quarantine_of_somebody_else_is_left_out(
    tmp_path: Path, folder: Path, forbid: Callable[[Path], None]
) -> None:
    (folder / "quarantine").mkdir()
    forbid(folder / "quarantine")
    assert quarantined(tmp_path) == []


def test_what_is_a_spool_and_what_is_a_part_of_one(tmp_path: Path) -> None:
    spool, folder = tmp_path / "spool", tmp_path / "spool" / ACCOUNT
    spool.mkdir()
    assert (is_spool(spool), is_part_of_spool(spool)) == (True, False)
    (spool / "lost+found").mkdir()
    assert not is_spool(spool)
    folder.mkdir()
    assert (is_spool(spool), is_part_of_spool(folder)) == (True, False)
    run = run_by_hand(folder, name=DEAD)
    for each in (folder, run):
        assert is_part_of_spool(each)
    assert not is_part_of_spool(spool)


class TestPurge:
    def test_what_dead_processes_left_goes_and_what_live_ones_have_stays(
        self, tmp_path: Path, folder: Path, live: WrittenRun, problems: Problems
    ) -> None:
        dead = run_by_hand(folder, segment_of(0, 5), unknown_version(), damaged(), name=DEAD)
        (dead / "0000000000000000.copy").write_bytes(segment_of(0, 1))
        moved = folder / "quarantine" / f"{DEAD}.run-0000000000000000-50"
        moved.parent.mkdir()
        moved.write_bytes(b"damaged")
        assert quarantined(tmp_path) == [moved]

        deleted = purge(tmp_path, problems)

        assert (deleted.files, deleted.messages) == (5, 5 + 2 + 1)
        assert deleted.bytes > 100
        assert problems == {}
        assert sorted(path.name for path in folder.iterdir()) == [
            *sorted([next(find_runs(tmp_path, problems)).name]),
            "quarantine",
        ]
        (run,) = survey(tmp_path, problems)
        assert (run.is_live, run.messages) == (True, 1)
        assert quarantined(tmp_path) == []

    def test_a_run_that_another_process_delivers_stays(
        self, tmp_path: Path, folder: Path, problems: Problems
    ) -> None:
        from segment_librato.spooling.orphan import find_orphans

        run = run_by_hand(folder, segment_of(0, 5), name=DEAD)
        (orphan,) = find_orphans(folder, lambda _: None)
        assert purge(tmp_path, problems) == Purged(0, 0, 0)
        assert (run / "0000000000000000.seg").exists()
        orphan.close()

    def test_other_files_stay(self, tmp_path: Path, folder: Path, problems: Problems) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        for name in (f"{DEAD}.run-0000000000000000-50", "0000000000000000.seg", "lock"):
            (elsewhere / name).write_text("mine")
        run = run_by_hand(folder, segment_of(0, 1), name=DEAD)
        (run / "notes.txt").write_text("mine")
        (folder / "notes.txt").write_text("mine")
        (folder / "quarantine").mkdir()
        (folder / "quarantine" / "notes.txt").write_text("mine")
        (folder / "quarantine" / f"{DEAD}.run-0000000000000000-7").symlink_to(elsewhere / "lock")
        (tmp_path / OTHER).symlink_to(elsewhere)
        (folder / "20260103T000000Z-3-00000000.run").symlink_to(elsewhere)
        (tmp_path / ("e" * 32)).mkdir()
        (tmp_path / ("e" * 32) / "quarantine").symlink_to(elsewhere)

        assert purge(tmp_path, problems).files == 1

        found = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
        names = sorted(path.name for path in found)
        assert names == [
            "0000000000000000.seg",
            f"{DEAD}.run-0000000000000000-50",
            *("lock", "lock", "notes.txt", "notes.txt", "notes.txt"),
        ]
        assert problems == {}

    @pytest.mark.parametrize("name", ["etl-2026-11.run", "upload.new"])
    def test_a_folder_that_is_no_spool_stays_as_it_is(
        self, name: str, tmp_path: Path, folder: Path, problems: Problems
    ) -> None:
        """A hash is a name that others use, too."""
        (folder / name).mkdir()
        run = run_by_hand(folder, segment_of(0, 1), name=DEAD)
        assert purge(tmp_path, problems) == Purged(0, 0, 0)
        assert (folder / name).exists()
        assert (run / "0000000000000000.seg").exists()
        assert problems == {ACCOUNT: f"{name} is not of a spool; nothing here was deleted"}

    def test_what_cannot_be_deleted_is_told(
        self, tmp_path: Path, folder: Path, problems: Problems
    ) -> None:
        run = run_by_hand(folder, segment_of(0, 1), name=DEAD)
        (run / "0000000000000007.seg").mkdir()
        assert purge(tmp_path, problems).files == 1
        assert [*problems] == ["0000000000000007.seg"]
        assert run.exists()
