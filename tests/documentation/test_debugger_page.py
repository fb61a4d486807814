"""What docs/debugger.md shows of terminals: a debugger, `tail`, a program and `curl`."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from support.debugger import Elsewhere, ask, get, start
from support.local_server import batch, post, track
from support.marks import needs_signals
from support.pages import blocks_for
from support.programs import programs, run
from support.sessions import Shell, Step, steps
from support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from support.debugger import Running

pytestmark = [
    pytest.mark.once,
    needs_signals,
    pytest.mark.skipif(not shutil.which("curl"), reason="needs curl"),
]

BEGIN, END, TAIL, WATCH, CURL, DUPLICATES, TUTORIAL = blocks_for(__file__)
SIGNED_UP = {
    "event": "Signed Up",
    "userId": "ada",
    "properties": {"value": 7},
    "context": {"source": "web-1"},
}
UNTIL_IT_IS_REPORTED = """
import time, urllib.request

reported = b"[]"
while reported == b"[]":
    time.sleep(0.05)
    with urllib.request.urlopen("http://127.0.0.1:8765/clients") as response:
        reported = response.read().strip()
"""
TIME = re.compile(r"^\d\d:\d\d:\d\d  ", re.MULTILINE)


def arguments(step: Step) -> list[str]:
    """Return what this interpreter needs for a command of ours."""
    name, *options = step.command.split()
    assert name == "segment-librato"
    return ["-m", "segment_librato", *options]


def test_the_terminals_show_what_the_page_says(tmp_path: Path) -> None:
    (begin,), (tail,), (again,), curl = map(steps, ([BEGIN], [TAIL], [DUPLICATES], [CURL]))
    with start(*arguments(begin), "--port", "0") as running:
        there: Any = Elsewhere(running)
        wait_until(lambda: len(running.lines) == 2)
        shown = "".join(running.lines).replace(there.host, "http://127.0.0.1:8765")
        assert shown == begin.output
        with start(*arguments(tail), "--host", there.host) as following:
            twice = [track("b", userId="ada")] * 2
            assert follow(there, following, twice) == TIME.sub("", again.output or "")
            messages = [track("a", **SIGNED_UP)] * 2 + [track(event=None, userId="ada")]
            assert follow(there, following, messages) == TIME.sub("", tail.output or "")
        (watch,) = programs([WATCH])
        live = watch._replace(source=watch.source + UNTIL_IT_IS_REPORTED)
        assert run(live, tmp_path, there.port) == ""
        assert [client["name"] for client in get(there, "/clients")] == ["checkout"]
        shell = Shell(tmp_path, there)
        assert comparable(shell.run(curl[0])) == comparable(curl[0].output or "")
        post(there, batch(track("c", **SIGNED_UP)))
        assert comparable(shell.run(curl[1])) == comparable(curl[1].output or "")
        assert running.end() == (0, "")
    assert running.lines[-1] == END.text


def follow(there: Any, following: Running, messages: list[dict[str, Any]]) -> str:
    """Have messages of ada arrive once `tail` follows; return what it shows, without the times."""

    def is_following() -> bool:
        ask(there, "/send", {"message": track(event="hello")})
        return bool(following.lines)

    def lines() -> list[str]:
        return [line for line in following.lines if "  ada  " in line]

    wait_until(is_following)
    following.lines.clear()
    ask(there, "/events", method="DELETE")
    for message in messages:
        post(there, batch(message))
    wait_until(lambda: len(lines()) == len(messages))
    return TIME.sub("", "".join(lines()))


def test_the_tutorial_opens_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    (step,) = steps([TUTORIAL])
    with start(*arguments(step), "--port", "0") as running:
        wait_until((tmp_path / "opened").exists)
        assert running.end() == (0, "")


def comparable(text: str) -> Any:
    """Return an answer with what differs from run to run as nothing."""
    answer = json.loads(text)
    for event in answer.get("events", ()):
        event.update(dict.fromkeys(("id", "at", "request")))
    return answer
