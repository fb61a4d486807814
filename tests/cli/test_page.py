"""The commands of docs/command-line.md, and what they write."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.command import KEY
from support.local_server import batch, post, track
from support.marks import needs_shell
from support.pages import ROOT, blocks_for
from support.programs import FOLDER
from support.sessions import Shell, Step, steps

from segment_librato.cli import app
from segment_librato.cli.tail import read_events
from segment_librato.config.client import Config
from segment_librato.spooling.folder import open_spool

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment
    from segment_librato.devserver.page.debugger import Debugger

pytestmark = [pytest.mark.once, needs_shell]

PAGE = ROOT / "docs/command-line.md"
STEPS = steps(blocks_for(__file__))

# Of the packages, the processes that left messages, and their folders.
VOLATILE = (
    (r"^ok +python .*", "ok python"),
    (r"(?<=[ (])\d[\w.]+(?=,|$)", "VERSION"),
    (r"^[0-9a-f]{8}  (\d+ +)(?=left|live)", "ACCOUNT  PROCESS  "),
    (r" +(age|\d+ s|\d+ min)$", "  AGE"),
)

LEAVE = """
import os, signal, sys
from segment_librato import Client, SpoolConfig
client = Client(sys.argv[1], sys.argv[2], spool=SpoolConfig(sys.argv[3], deliver=False))
for n in range(int(sys.argv[4])):
    client.track(f"user-{n}", "Order Completed", {"value": n})
if sys.argv[5:]:
    print("ready", flush=True)
    signal.pause()
os.kill(os.getpid(), signal.SIGKILL)
"""


def leave(folder: Path, server: LocalSegment, key: str, count: int, *more: str) -> Any:
    """Have a process leave messages: one that is killed, or that says it is ready."""
    arguments = (key, server.host, str(folder / "spool"), str(count), *more)
    process = subprocess.Popen(  # noqa: S603  the tests' own script
        [sys.executable, "-c", LEAVE, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    process.stdout.readline()
    return process


def key_listed_after(folder: Path, server: LocalSegment) -> str:
    """Return a write key whose account comes after that of `KEY` in a listing."""

    def account(key: str) -> str:
        return open_spool(folder, key, Config(key, server.host).batch_url).name

    return next(key for key in map(str, range(1000)) if account(key) > account(KEY))


def test_each_command_writes_what_the_page_says(tmp_path: Path, server: LocalSegment) -> None:
    another = key_listed_after(tmp_path / "listing", server)
    for key, count in ((KEY, 1000), (another, 12)):
        killed = leave(tmp_path, server, key, count)
        killed.communicate(timeout=240)
        assert killed.returncode == -signal.SIGKILL
    live = leave(tmp_path, server, KEY, 3, "live")
    try:
        Shell(tmp_path, server).check(STEPS, *VOLATILE)
    finally:
        live.kill()
        live.communicate()


def test_each_command_is_on_the_page() -> None:
    commands = {
        name for step in STEPS for name in re.findall(r"segment-librato (\w+)", step.command)
    }
    text = PAGE.read_text(encoding="utf-8")
    assert all(name in commands or f"`{name}`" in text for name in app.COMMANDS)


def rows_of_names() -> dict[str, set[str]]:
    """Return the names that each row of the page has; without those of values, in parentheses."""
    found: dict[str, set[str]] = {}
    command = ""
    _, _, text = PAGE.read_text(encoding="utf-8").partition("## In scripts")
    text, _, _ = text.partition("## Shell completion")
    for row, names in re.findall(r"^\| (.*?) \| (`.*) \|$", text, re.MULTILINE):
        command = f"{command} at the end" if row == "and at the end" else row
        found[command] = {*re.findall("`([a-z_A-Z]+)`", re.sub(r"\(.*?\)", "", names))}
    return found


def names_in(record: dict[str, object]) -> set[str]:
    """Return the names in a record, and in the error that it may have."""
    error = record.get("error")
    return {*record, *(error if isinstance(error, dict) else ())}


CALLS = "`track` and the other calls"
NAMES = (
    ("track --user-id ada --event X --json", CALLS, ""),
    ("track --user-id ada --event X --json --timeout 1 --host http://127.0.0.1:1", CALLS, ""),
    ("gauge n 1 --json --dry-run", "the same with `--dry-run`", ""),
    ("explain --json events.jsonl", "`explain`, for each line", ""),
    ("check --json odd.jsonl", "", "`check`, for each problem"),
    ("doctor --json", "`doctor`, for each finding", ""),
    (f"spool ls --json {FOLDER}", "", "`spool ls`, for each run"),
    (f"spool verify --json {FOLDER}", "", "`spool verify`, for each problem"),
    (f"spool drain --json {FOLDER}", "`spool drain`", ""),
    (f"spool purge --json --yes {FOLDER}", "`spool purge`", ""),
)


def test_the_names_in_json_are_those_of_the_page(tmp_path: Path, server: LocalSegment) -> None:
    """What each command writes has the names of its row, and the row has no others."""
    shell = Shell(tmp_path, server)
    (tmp_path / "events.jsonl").write_text('{"type": "identify", "userId": "ada"}\n')
    (tmp_path / "odd.jsonl").write_text('{"type": "identify"}\n')
    for key in (KEY, "another"):
        leave(tmp_path, server, key, 5).communicate()
    file = min((tmp_path / "spool").rglob("*.seg"))
    file.write_bytes(file.read_bytes()[:-1] + b"?")  # a problem for `verify`
    shell.run(Step("", f"export SEGMENT_WRITE_KEY={KEY} SEGMENT_HOST={server.host}", None))
    found: dict[str, set[str]] = {}
    for command, row, first_rows in NAMES:
        lines = shell.run(Step("", f"segment-librato {command}", "")).splitlines()
        records = [json.loads(one) for one in lines if one.startswith("{")]
        assert records, command
        if first_rows:
            found[f"{first_rows} at the end"] = names_in(records.pop())
        for record in records:
            found.setdefault(row or first_rows, set()).update(names_in(record))
    rows = rows_of_names()
    assert found == {row: rows[row] for row in found}
    elsewhere = {"`spool cat`", "`debugger`, at the beginning", "`tail`, for each event"}
    assert rows.keys() - found.keys() - elsewhere == {"`debugger`, at the beginning at the end"}


def test_the_names_that_a_debugger_and_tail_write(debugger: Debugger) -> None:
    post(debugger.server, batch(track()))
    (event,) = read_events(debugger.host.removeprefix("http://"), 0, 1)
    assert event.keys() == rows_of_names()["`tail`, for each event"]
