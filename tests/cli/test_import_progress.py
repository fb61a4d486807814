"""What an import shows while it runs, run as a command against a local server."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import threading
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import IO, TYPE_CHECKING, Any

import pytest
from support.command import (
    COMMAND,
    KEY,
    account,
    clean_environment,
    on_terminal,
    records,
    run,
    start,
)

from segment_librato.bulk.dry_run import DryRun
from segment_librato.bulk.file_import import FileImport
from segment_librato.bulk.report import ImportReport
from segment_librato.bulk.rules import RowRules

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

pytestmark = pytest.mark.once

TIME = (datetime.now(timezone.utc) - timedelta(days=4)).isoformat()  # nothing to warn of


def write(path: Path, count: int) -> Path:
    row = {"userId": "u", "event": "E", "timestamp": TIME}
    path.write_text(
        "".join(json.dumps({**row, "messageId": f"{path.name}-{n}"}) + "\n" for n in range(count))
    )
    return path


def test_files_that_are_done_count_as_read(tmp_path: Path, server: LocalSegment) -> None:
    first, second = write(tmp_path / "a.jsonl", 1000), write(tmp_path / "b.jsonl", 1000)
    run("import", str(first), server=server)
    arguments = ("--progress", "0", "--json", "--concurrency", "1", "--rate", "500")
    found = records(run("import", str(tmp_path / "*.jsonl"), *arguments, server=server))
    done = [one["bytes"] for one in found if one["event"] == "progress"]
    total = first.stat().st_size + second.stat().st_size
    assert done[0] >= first.stat().st_size
    assert done[-1] == total == found[0]["total_bytes"]


def test_it_is_shown_while_nothing_settles(tmp_path: Path, server: LocalSegment) -> None:
    """A wait that the server asks for takes up to five minutes."""
    path = write(tmp_path / "a.jsonl", 10)
    with server.hold():
        process = start("import", str(path), "--progress", "0.05", server=server)
        shown = [process.stdout.readline() for _ in range(4)]
    output, errors = process.communicate(timeout=240)
    assert (process.returncode, errors) == (0, "")
    shape = r"0 rows, [\d.]+ \wB? of [\d.]+ \wB?, 0/s(, \d+ s left)?, rejected: 0\n"
    assert all(re.fullmatch(shape, line) for line in shown[1:]), shown
    assert "delivered               10\n" in output


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_retries_are_told_unless_it_is_quiet(
    quiet: tuple[str, ...], tmp_path: Path, server: LocalSegment
) -> None:
    server.respond(503, times=1)
    result = run("import", str(write(tmp_path / "a.jsonl", 1)), *quiet, server=server)
    assert ("503" in result.stderr) == (not quiet)
    assert result.stderr.count("\n") == (0 if quiet else 1)


def start_on_terminal(
    path: Path, stderr: int | IO[bytes], server: LocalSegment
) -> tuple[subprocess.Popen[bytes], int]:
    """Start an import whose stdout is a terminal; return it, and the other end of that."""
    import pty  # Windows has none

    mine, its = pty.openpty()
    process = subprocess.Popen(  # noqa: S603  the command that is tested
        [*COMMAND, "import", str(path), "--yes"],
        stdout=its,
        stderr=stderr,
        env=clean_environment(TERM="xterm", **account(server)),
    )
    os.close(its)
    return process, mine


def read(screen: int) -> bytes:
    """Return what a terminal shows, up to its end."""
    shown = b""
    with suppress(OSError):  # Linux says so that nobody has it open any more
        while piece := os.read(screen, 65_536):
            shown += piece
    os.close(screen)
    return shown


def test_stderr_in_a_file_has_its_lines(tmp_path: Path, server: LocalSegment) -> None:
    """Even if the bar is on a terminal."""
    server.respond(503, times=1)
    path = tmp_path / "errors.log"
    with path.open("wb") as errors:
        process, screen = start_on_terminal(write(tmp_path / "a.jsonl", 1), errors, server)
    shown = read(screen)
    assert process.wait(240) == 0
    assert "503" in path.read_text()
    assert b"503" not in shown


def test_the_second_ctrl_c_leaves_a_terminal_in_order(tmp_path: Path, server: LocalSegment) -> None:
    """The bar has hidden its cursor."""
    path = write(tmp_path / "a.jsonl", 1)
    with server.hold():
        process, screen = start_on_terminal(path, subprocess.PIPE, server)
        assert server.wait_until(lambda: server.held == 1)
        process.send_signal(2)
        assert process.stderr
        assert b"Ctrl-C again quits" in process.stderr.readline()
        process.send_signal(2)
        shown = read(screen)
        assert process.wait(240) == 130
    process.communicate()
    hidden, shown_again = shown.rfind(b"\x1b[?25l"), shown.rfind(b"\x1b[?25h")
    assert 0 < hidden < shown_again


def test_a_limit_is_what_progress_is_measured_by(tmp_path: Path, server: LocalSegment) -> None:
    path = write(tmp_path / "a.jsonl", 3000)
    options = ("--limit", "1000", "--progress", "0", "--concurrency", "1")
    first = run("import", str(path), *options, server=server).stdout.splitlines()
    size = r"[\d.]+ \w+"
    assert re.fullmatch(rf"about to send at most 1,000 rows of {path} \({size}\) to .*", first[0])
    assert re.fullmatch(r"1,000 rows of 1,000 at most, [\d,]+/s, 0 s left, rejected: 0", first[-7])
    second = run("import", str(path), *options, server=server).stdout
    assert ": 1,000 rows already done, at most 1,000 more now\n" in second
    assert len(server.messages) == 2000


def test_a_narrow_terminal_shows_what_matters(tmp_path: Path, server: LocalSegment) -> None:
    path = write(tmp_path / "a.jsonl", 3000)
    arguments = ("import", str(path), "--yes", "--rate", "2000")
    environment = {"TERM": "xterm", "COLUMNS": "40", **account(server)}
    status, shown = on_terminal(*arguments, **environment)
    assert status == 0
    assert re.search(r"[\d,]+ rows, [\d.]+ \w+ left, rejected: 0", shown), shown


def test_one_thread_shows_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler writes above the bar, and must not interrupt what holds the bar's locks."""
    from rich import console, progress  # only these tests need the extra

    from segment_librato.cli.importing.progress import Progress
    from segment_librato.cli.output import Output

    shown_by, is_shown = set(), threading.Event()
    update = progress.Progress.update

    def note_thread(*arguments: Any, **named: Any) -> None:
        update(*arguments, **named)
        shown_by.add(threading.current_thread())
        if "1,234 rows" in screen.getvalue():
            is_shown.set()

    monkeypatch.setattr(progress.Progress, "update", note_thread)
    monkeypatch.setattr(Output, "is_terminal", True)
    screen, output = io.StringIO(), Output()
    output.console = console.Console(file=screen, force_terminal=True, _environ={"TERM": "xterm"})
    work = FileImport([], [], DryRun(KEY, RowRules()))
    others = {*threading.enumerate()}
    with Progress(work, output, 0, 0.0, None, is_dry=False).shown() as note:
        note(ImportReport(1234, 1234))
        assert is_shown.wait(10)
        assert {*threading.enumerate()} - others == shown_by
        assert len(shown_by) == 1


def test_a_dumb_terminal_gets_lines(tmp_path: Path, server: LocalSegment) -> None:
    path = write(tmp_path / "a.jsonl", 3000)
    arguments = ("import", str(path), "--yes", "--progress", "0")
    status, shown = on_terminal(*arguments, TERM="dumb", **account(server))
    assert status == 0
    assert re.search(r"^3,000 rows, .* rejected: 0\r$", shown, re.MULTILINE), shown


def test_a_limit_waits_for_no_row_more(server: LocalSegment) -> None:
    row = json.dumps({"userId": "u", "event": "E", "timestamp": TIME})
    process = start("import", "-", "--format", "jsonl", "--limit", "2", "--json", server=server)
    process.stdin.write(f"{row}\n{row}\n")
    process.stdin.flush()
    assert process.wait(240) == 0
    process.communicate()
    assert len(server.messages) == 2
