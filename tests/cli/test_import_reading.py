"""What an import makes of a file that is not what its name says, or does not stay as it is."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from support.command import complaint, records, run, start
from support.script import sequence_numbers

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

pytestmark = pytest.mark.once

TIME = (datetime.now(timezone.utc) - timedelta(days=4)).isoformat()  # nothing to warn of
ROWS = 20_000
KEY = ("--key", "properties")


def lines(*numbers: int) -> bytes:
    row = {"userId": "u", "event": "E", "timestamp": TIME}
    rows = ({**row, "properties": {"n": n}} for n in numbers)
    return b"".join(f"{json.dumps(one)}\n".encode() for one in rows)


def test_another_format_settles_nothing(tmp_path: Path, server: LocalSegment) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(gzip.compress(lines(1)))
    result = run("import", str(path), "--yes", status=2, server=server)
    advice = "rename it to end in .gz, or pipe it through gunzip -c"
    assert complaint(result) == f"{path}: it is compressed with gzip: {advice}"
    assert [*tmp_path.iterdir()] == [path]
    path = path.rename(f"{path}.gz")
    run("import", str(path), "--yes", status=0, server=server)
    assert sorted(sequence_numbers(server)) == [1]


def test_what_others_add_meanwhile_can_be_imported_by_itself(
    tmp_path: Path, server: LocalSegment
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(*range(ROWS)) + lines(ROWS)[:20])
    size = path.stat().st_size
    with server.hold():
        command = ("import", str(path), *KEY, "--json", "--concurrency", "1")
        process = start(*command, "--progress", "60", server=server)
        assert server.wait_until(lambda: server.held == 1)
        with path.open("ab") as stream:
            stream.write(lines(ROWS)[20:] + lines(ROWS + 1))
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 1
    end = size - 20
    problem = (
        f"it grew from {size:,} to {path.stat().st_size:,} bytes while it was read: what was added"
        f" was not imported; make a file of it with tail -c +{end + 1}"
    )
    assert errors == f"segment-librato: {path}: {problem}\n"
    report = json.loads(output.splitlines()[-1])
    assert (report["delivered"], report["rejected"]) == (ROWS, 0)

    again = complaint(run(*command, status=2, server=server))
    assert "if rows were added, import them from a file of their own" in again
    rest = tmp_path / "rest.jsonl"
    rest.write_bytes(path.read_bytes()[end:])
    (report,) = records(run("import", str(rest), *KEY, "--json", status=0, server=server))
    assert report["delivered"] == 2
    assert sorted(sequence_numbers(server)) == [*range(ROWS + 2)]


def test_a_file_that_was_cut_off_goes_on_when_it_is_whole_again(
    tmp_path: Path, server: LocalSegment
) -> None:
    path = tmp_path / "a.jsonl"
    data = lines(*range(ROWS))
    path.write_bytes(data)
    with server.hold():
        command = ("import", str(path), *KEY, "--json", "--concurrency", "1")
        process = start(*command, "--progress", "60", server=server)
        assert server.wait_until(lambda: server.held == 1)
        path.write_bytes(data[: -len(data) // 4].rpartition(b"\n")[0] + b"\n")
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "it shrank from" in errors
    assert errors.endswith("restore the whole file, and run the same command again\n")
    path.write_bytes(data)
    run(*command, status=0, server=server)
    assert sorted(sequence_numbers(server)) == [*range(ROWS)]
    assert server.duplicates == 0
