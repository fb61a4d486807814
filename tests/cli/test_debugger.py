"""The commands debugger and tail, as processes; and the server's own command with its page."""

from __future__ import annotations

import json
import re
import select
import signal
import subprocess
import sys
import webbrowser
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from rich.cells import cell_len
from support.debugger import Elsewhere, Running, ask, get, start
from support.local_server import batch, exchange, post, track
from support.marks import needs_dev_full, needs_signals
from support.raw_server import RawServer
from support.waiting import wait_until

from segment_librato.cli.app import run
from segment_librato.cli.tail import read_events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segment_librato.devserver.page.debugger import Debugger

pytestmark = [pytest.mark.once, needs_signals]

COMMAND = ("-m", "segment_librato", "debugger")
SERVER = ("-m", "segment_librato.devserver", "--page")
TIME = re.compile(r"^\d\d:\d\d:\d\d  ", re.MULTILINE)


@pytest.mark.parametrize("command", [COMMAND, SERVER])
class TestBothCommands:
    def test_it_serves_until_a_signal(self, command: tuple[str, ...]) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with start(
                *command, "--port", "0", "--quiet" if command is SERVER else "--"
            ) as running:
                there: Any = Elsewhere(running)
                wait_until(lambda running=running: len(running.lines) == 2)  # type: ignore[misc]
                assert running.lines == [
                    f"The debugger is at {there.host} (press Ctrl-C to stop).\n",
                    f'Point a client at it: segment_librato.host = "{there.host}"\n',
                ]
                assert post(there, batch(track()))[0] == 200
                assert get(there, "/events")["kept"] == 1
                assert running.end(number) == (0, "")
                assert running.lines[-1] == (
                    "events: 1, forgotten now; --db FILE would keep them\n"
                )

    def test_a_file_keeps_everything(self, command: tuple[str, ...], tmp_path: Path) -> None:
        file = tmp_path / "events.db"
        for expected in (0, 1):
            with start(*command, "--port", "0", "--db", str(file)) as running:
                there: Any = Elsewhere(running)
                assert get(there, "/events")["kept"] == expected
                post(there, batch(track()))
                assert running.end() == (0, "")
                assert running.lines[-1] == f"events: {expected + 1}, kept in {file}\n"

    def test_what_was_received_survives_a_kill(
        self, command: tuple[str, ...], tmp_path: Path
    ) -> None:
        file = tmp_path / "events.db"
        for expected in (0, 1, 2):
            with start(*command, "--port", "0", "--db", str(file)) as running:
                there: Any = Elsewhere(running)
                assert get(there, "/events")["kept"] == expected
                post(there, batch(track()))
                assert running.end(signal.SIGKILL)[0] == -signal.SIGKILL

    def test_a_file_that_is_no_journal(self, command: tuple[str, ...], tmp_path: Path) -> None:
        file = tmp_path / "notes.txt"
        file.write_text("text")
        with start(*command, "--port", "0", "--db", str(file)) as running:
            status, errors = running.wait()
        assert status == (1 if command is SERVER else 2)
        assert errors.rstrip(".\n").endswith(f"{file}: not a journal of the debugger")
        assert file.read_text() == "text"

    def test_a_port_that_is_taken(self, command: tuple[str, ...], debugger: Debugger) -> None:
        with start(*command, "--port", str(debugger.server.port)) as running:
            status, errors = running.wait()
        assert (status, running.lines) == (1, [])
        assert "Address already in use" in errors
        assert ("--port 0 picks a free one" in errors) is (command is COMMAND)
        assert len(errors.splitlines()) == 1


class TestDebugger:
    def test_json_is_for_scripts(self) -> None:
        with start(*COMMAND, "--port", "0", "--json") as running:
            there = Elsewhere(running)
            assert running.end() == (0, "")
        first, last = map(json.loads, running.lines)
        assert first == {"host": there.host, "database": None}
        assert last == {"events": 0}

    @pytest.mark.parametrize("command", [COMMAND, SERVER])
    def test_it_can_open_a_browser(
        self, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        browser = tmp_path / "browser"
        browser.write_text(
            f'#!/bin/sh\necho "$1" > {tmp_path}/opened\nexec sleep 9 > /dev/null 2>&1\n'
        )
        browser.chmod(0o755)
        monkeypatch.setenv("BROWSER", str(browser))
        opened = tmp_path / "opened"
        with start(*command, "--port", "0", "--open") as running:
            there = Elsewhere(running)
            wait_until(lambda: opened.exists() and bool(opened.read_text()))
            assert opened.read_text() == f"{there.host}\n"
            assert running.end() == (0, "")

    def test_the_servers_own_command_opens_it_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        opened: list[str] = []
        monkeypatch.setattr(webbrowser, "open", opened.append)
        from segment_librato.devserver import command

        command.open_page("http://127.0.0.1:8765")
        wait_until(lambda: opened == ["http://127.0.0.1:8765"])

    @pytest.mark.parametrize("arguments", [["--db", "x"], ["--open"]])
    def test_options_of_the_page_need_it(self, arguments: list[str]) -> None:
        with start("-m", "segment_librato.devserver", *arguments) as running:
            status, errors = running.wait()
        assert status == 2
        assert errors.splitlines()[-1].endswith("--db and --open need --page")


@needs_dev_full
def test_a_full_disk_is_not_taken_for_something_else(debugger: Debugger) -> None:
    for arguments in (["debugger", "--port", "0"], ["tail", "--host", debugger.host]):
        with open("/dev/full", "wb") as full:  # noqa: PTH123  the same
            process = subprocess.Popen(  # noqa: S603  the command that is tested
                [sys.executable, "-m", "segment_librato", *arguments],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
            )

        def has_ended(process: subprocess.Popen[str] = process) -> bool:
            post(debugger.server, batch(track()))
            return process.poll() is not None

        wait_until(has_ended)
        _, errors = process.communicate()
        text = "segment-librato: cannot write the output: No space left on device\n"
        assert (process.returncode, errors) == (1, text)


FILL_THE_DISK_THEN_END = """
import os, signal, sys
from segment_librato.cli.app import run

def fill(*_):
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGUSR1, fill)
sys.exit(run(["debugger", "--port", "0"]))
"""


@needs_dev_full
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_disk_that_is_full_at_the_end_is_one_line(
    monkeypatch: pytest.MonkeyPatch, unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    text = "segment-librato: cannot write the output: No space left on device\n"
    with start("-c", FILL_THE_DISK_THEN_END) as running:
        wait_until(lambda: len(running.lines) == 2)
        assert running.end(signal.SIGUSR1) == (1, text)


class TestTail:
    @pytest.fixture
    def tail(self, debugger: Debugger) -> Iterator[Running]:
        post(debugger.server, batch(track(event="before")))
        with self.follow(debugger) as running:
            yield running

    @contextmanager
    def follow(self, debugger: Debugger, *arguments: str) -> Iterator[Running]:
        tail = ("-m", "segment_librato", "tail", "--host", debugger.host)
        with start(*tail, *arguments) as running:

            def is_following() -> bool:
                ask(debugger, "/send", {"message": track(event="hello")})
                return bool(running.lines)

            wait_until(is_following)  # it shows what comes after it has begun
            ask(debugger, "/send", {"message": track(event="ready")})
            wait_until(lambda: "ready" in running.lines[-1])
            running.lines.clear()
            yield running

    def test_each_event_is_a_line(self, debugger: Debugger, tail: Running) -> None:
        post(
            debugger.server,
            batch(
                track("a", event="Signed Up", userId="ada", properties={"value": 7}),
                track("a", event="Signed Up", userId="ada"),
                {"type": "identify", "userId": "bob"},
            ),
        )
        post(debugger.server, batch(track(event=None)))
        wait_until(lambda: len(tail.lines) == 4)

        assert all(TIME.match(line) for line in tail.lines)
        assert [re.sub(" {2,}", "|", line[10:].rstrip()) for line in tail.lines] == [
            "track|Signed Up|ada|accepted|Signed-Up = 7 from Signed-Up",
            "track|Signed Up|ada|duplicate|Event dropped during deduplication",
            "identify|-|bob|accepted",
            "track|-|user|rejected|Track event is missing name: track needs a string event",
        ]

    def test_nothing_of_an_event_controls_the_terminal(
        self, debugger: Debugger, tail: Running
    ) -> None:
        post(debugger.server, batch(track(event="\x1b[2J\r\n\u202e", userId="x" * 100)))
        wait_until(lambda: len(tail.lines) == 1)

        assert "\\x1b[2J\\r\\n\\u202e" in tail.lines[0]
        assert tail.lines[0].isprintable() or tail.lines[0].rstrip("\n").isprintable()

    def test_more_than_one_page_of_events_comes_in_order(self, debugger: Debugger) -> None:
        with self.follow(debugger, "--json") as tail:
            body = b"\n".join(json.dumps(track(event=f"e{n}")).encode() for n in range(2_500))
            ask(debugger, "/events", body)
            wait_until(lambda: len(tail.lines) >= 2_500)

            found = [json.loads(line) for line in tail.lines]
        assert [event["event"] for event in found] == [f"e{n}" for n in range(2_500)]
        assert set(found[0]) >= {"id", "at", "type", "event", "user", "verdict", "gauge"}

    def test_clearing_is_no_end(self, debugger: Debugger, tail: Running) -> None:
        ask(debugger, "/events", method="DELETE")
        post(debugger.server, batch(track(event="after")))
        wait_until(lambda: len(tail.lines) == 1)
        assert "after" in tail.lines[0]

    def test_it_ends_when_nobody_reads_any_more(self, debugger: Debugger) -> None:
        tail = [sys.executable, "-m", "segment_librato", "tail", "--host", debugger.host]
        with subprocess.Popen(  # noqa: S603  the command that is tested
            tail, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            stdout, stderr = process.stdout, process.stderr
            assert stdout
            assert stderr

            def has_line() -> bool:
                post(debugger.server, batch(track()))
                return bool(select.select([stdout], [], [], 0.1)[0])

            wait_until(has_line)
            stdout.close()

            def has_ended() -> bool:
                post(debugger.server, batch(track()))
                return process.poll() is not None

            wait_until(has_ended)
            assert (process.returncode, stderr.read()) == (0, "")

    def test_ctrl_c_ends_it(self, tail: Running) -> None:
        status, errors = tail.end()
        assert (status, errors.strip()) == (130, "segment-librato: interrupted")

    def test_it_ends_with_the_debugger(self, debugger: Debugger, tail: Running) -> None:
        debugger.close()
        assert tail.wait() == (1, f"segment-librato: {debugger.host}: the debugger has ended\n")

    def test_events_that_are_gone_meanwhile_are_left_out(self, debugger: Debugger) -> None:
        post(debugger.server, batch(track(), track()))
        address = debugger.host.removeprefix("http://")
        assert [event["id"] for event in read_events(address, 0, 2)] == [1, 2]
        ask(debugger, "/events", method="DELETE")
        assert list(read_events(address, 0, 2)) == []

    def test_nobody_answers(self, debugger: Debugger, capsys: pytest.CaptureFixture[str]) -> None:
        debugger.close()
        assert run(["tail", "--host", debugger.host]) == 1
        assert capsys.readouterr().err == (
            f"segment-librato: {debugger.host}: no debugger answers: Connection refused; "
            "segment-librato debugger starts one\n"
        )

    @pytest.mark.parametrize(
        "host",
        [
            *("https://127.0.0.1:1", "http://evil.example", "ftp://localhost", "[", "http://"),
            *("127.0.0.1:99999", "127.0.0.1:x", "http://me:secret@127.0.0.1:1"),
        ],
    )
    def test_a_debugger_is_on_this_machine(
        self, host: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["tail", "--host", host]) == 2
        assert "--host is not the address of a debugger" in capsys.readouterr().err

    def test_a_server_without_the_page_is_none(
        self, server: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["tail", "--host", server.host]) == 1
        assert capsys.readouterr().err == (
            f"segment-librato: {server.host}: what answers is not a debugger; "
            "segment-librato debugger starts one\n"
        )

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n<p>",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: hello\n\n",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {}\n\n",
            b"hello\r\n\r\n",
        ],
    )
    def test_another_server_is_none(
        self, answer: bytes, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with RawServer(lambda: [answer]) as server:
            assert run(["tail", "--host", server.host]) == 1
        assert "what answers is not a debugger" in capsys.readouterr().err

    def test_wide_characters_keep_the_columns(self, debugger: Debugger, tail: Running) -> None:
        post(
            debugger.server,
            batch(track(userId="あ" * 30, event="あ" * 30), track(userId="ada", event="あ")),
        )
        wait_until(lambda: len(tail.lines) == 2)
        assert len({cell_len(line.partition("accepted")[0]) for line in tail.lines}) == 1


def test_the_page_of_a_debugger_is_told_from_the_status(debugger: Debugger) -> None:
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert b'"messages": 0' in exchange(debugger.server, head)
