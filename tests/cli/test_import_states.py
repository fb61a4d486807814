"""Which state an import goes on from, whatever became of the files and from wherever it is run."""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from support.command import complaint, run
from support.script import sequence_numbers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.command import Result

    from segment_librato.devserver import LocalSegment

pytestmark = pytest.mark.once

TIME = (datetime.now(timezone.utc) - timedelta(days=4)).isoformat()  # nothing to warn of
NOTHING = "nothing to send: every row was already imported"


def write(path: Path, *numbers: int) -> None:
    path.parent.mkdir(exist_ok=True)
    row = {"userId": "u", "event": "E", "timestamp": TIME}
    rows = ({**row, "properties": {"n": n}} for n in numbers)
    path.write_text("".join(f"{json.dumps(one)}\n" for one in rows))


def do_import(*arguments: object, status: int = 0, **more: Any) -> Result:
    return run("import", *map(str, arguments), "--yes", status=status, **more)


def said(result: Result) -> list[str]:
    """Return what is said first and last, and the state."""
    first, *_, last = result.stdout.splitlines()
    return [first, last.removeprefix("state: ")]


KEYS = ("--key", "properties")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files of three rows."""
    for n in range(3):
        write(tmp_path / "events" / f"{n}.jsonl", *range(3 * n, 3 * n + 3))
    return tmp_path / "events"


def test_the_first_files_may_be_moved_away(folder: Path, server: LocalSegment) -> None:
    do_import(folder / "*.jsonl", *KEYS, "--limit", 7, server=server)
    for name in ("0.jsonl", "1.jsonl"):
        (folder / name).rename(folder.parent / name)
    result = do_import(folder / "*.jsonl", *KEYS, server=server)
    size = (folder / "2.jsonl").stat().st_size
    assert said(result) == [
        f"resuming {folder}/2.jsonl ({size} B) to 127.0.0.1:{server.port}: 1 rows already done",
        f"{folder}/0.jsonl.import-state",
    ]
    assert (sorted(sequence_numbers(server)), server.duplicates) == ([*range(9)], 0)


def test_files_whose_rows_count_may_not(folder: Path, server: LocalSegment) -> None:
    do_import(folder / "*.jsonl", "--limit", 7, server=server)
    (folder / "0.jsonl").unlink()
    result = do_import(folder / "*.jsonl", status=2, server=server)
    assert complaint(result).startswith(f"{folder}/0.jsonl is missing: ids of equal rows depend")


def test_one_of_several_files_is_known(folder: Path, server: LocalSegment) -> None:
    do_import(folder / "*.jsonl", *KEYS, server=server)
    result = do_import(folder / "1.jsonl", *KEYS, server=server)
    assert said(result) == [NOTHING, f"{folder}/0.jsonl.import-state"]


def test_a_restart_leaves_the_states_of_others(folder: Path, server: LocalSegment) -> None:
    do_import(folder / "*.jsonl", *KEYS, server=server)
    result = do_import(folder / "1.jsonl", *KEYS, "--restart", server=server)
    assert said(result)[1] == f"{folder}/1.jsonl.import-state"
    assert server.duplicates == 3
    assert said(do_import(folder / "2.jsonl", *KEYS, server=server))[0] == NOTHING


def test_a_copy_is_another_file(folder: Path, server: LocalSegment) -> None:
    do_import(folder / "0.jsonl", *KEYS, server=server)
    shutil.copy(folder / "0.jsonl", folder / "copy.jsonl")
    do_import(folder / "copy.jsonl", *KEYS, server=server)
    assert server.duplicates == 3


def test_a_file_may_be_renamed(folder: Path, server: LocalSegment) -> None:
    do_import(folder / "0.jsonl", *KEYS, server=server)
    (folder / "0.jsonl").rename(folder / "new.jsonl")
    result = do_import(folder / "new.jsonl", *KEYS, server=server)
    assert said(result) == [NOTHING, f"{folder}/0.jsonl.import-state"]


def test_a_file_is_the_same_from_any_folder(
    folder: Path, server: LocalSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    do_import("events/0.jsonl", server=server)
    monkeypatch.chdir(folder)
    assert said(do_import("0.jsonl", server=server)) == [NOTHING, "0.jsonl.import-state"]
    write(folder / "0.jsonl", 0, 1, 2, 3)
    result = do_import("0.jsonl", status=2, server=server)
    assert complaint(result).startswith(f"{folder}/0.jsonl has changed since its import began")


def test_several_states_that_know_a_file(folder: Path, server: LocalSegment) -> None:
    do_import(folder / "0.jsonl", folder / "2.jsonl", *KEYS, server=server)
    arguments = (folder / "1.jsonl", folder / "2.jsonl", *KEYS)
    do_import(*arguments, "--restart", server=server)
    result = do_import(folder / "2.jsonl", *KEYS, status=2, server=server)
    states = " and ".join(f"{folder}/{n}.jsonl.import-state" for n in (0, 1))
    text = f"these files have several states, {states}: choose one with --state"
    assert complaint(result) == text


def test_what_is_no_state_is_left_alone(folder: Path, server: LocalSegment) -> None:
    (folder / "mine.import-state").write_text("precious" * 100)
    assert said(do_import(folder / "1.jsonl", server=server))[1].endswith("/1.jsonl.import-state")
    assert (folder / "mine.import-state").read_text() == "precious" * 100


@pytest.mark.parametrize("name,text", [("a.jsonl", ""), ("a.csv", "userId,event,timestamp\n")])
def test_a_file_without_rows_is_done_too(
    name: str, text: str, tmp_path: Path, server: LocalSegment
) -> None:
    path = tmp_path / name
    path.write_text(text)
    do_import(path, server=server)
    assert said(do_import(path, server=server))[0] == NOTHING
    row = {"userId": "u", "event": "E", "timestamp": TIME}
    line = ",".join(row.values()) if text else json.dumps(row)
    path.write_text(f"{text}{line}\n")
    do_import(path, server=server)
    assert len(server.messages) == 1


@pytest.mark.skipif(os.name == "nt", reason="the name is none there")
def test_no_secret_of_a_url_is_written_or_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reject: Callable[..., str]
) -> None:
    import fsspec

    monkeypatch.chdir(tmp_path)
    url = "memory://ada:secret@bucket/a.jsonl"
    memory = fsspec.filesystem("memory")
    memory.pipe("/ada:secret@bucket/a.jsonl", b"[1]")
    text = reject("import", url, "--dry-run")
    assert text.startswith("memory://ada@bucket/a.jsonl: it is one JSON array")
    memory.rm("/ada:secret@bucket", recursive=True)
    text = reject("import", url, "--dry-run")
    assert text.startswith("cannot read memory://ada@bucket/a.jsonl: ")
    assert "secret" not in text
