"""The command line of the local server."""

from __future__ import annotations

import array
import http.client
import io
import json
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from support.local_server import (
    KEY,
    batch,
    track,
)
from support.marks import needs_signals
from support.pages import blocks_for
from support.ports import reserved_port

from segment_librato.devserver import LocalSegment
from segment_librato.devserver import __main__ as command_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = 4_096
(QUICKSTART,) = blocks_for(__file__)
PYTHON, *OPTIONS = QUICKSTART.text.split()  # python -m ...


def wait_until_full(pipe: int) -> None:
    """Wait until nothing more fits into a pipe: what is in it, a page at least, stays the same."""
    import fcntl  # Windows has neither
    import termios

    before, now = -1, 0
    while before < now or now < PAGE:
        time.sleep(0.05)  # a writer that is stuck tells nobody
        waiting = array.array("i", [0])
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)
        before, now = now, waiting[0]


class TestCommandLine:
    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 - this interpreter and fixed arguments
            [sys.executable, "-W", "error", *OPTIONS, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @needs_signals
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_it_shows_requests_and_gauges_until_it_is_interrupted(
        self, number: signal.Signals
    ) -> None:
        with self.start("--port", "0") as process:
            assert process.stdout is not None
            where, how = process.stdout.readline(), process.stdout.readline()
            port = int(where.split("http://127.0.0.1:")[1].split()[0])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", "/v1/batch", json.dumps(batch(track(), {**track(), "x": 1})))
            assert connection.getresponse().status == 200
            process.send_signal(number)
            output, errors = process.communicate(timeout=240)
            connection.close()

        assert f'segment_librato.host = "http://127.0.0.1:{port}"' in how
        line, *gauges, _, summary = output.splitlines()
        assert line.split()[1:] == ["POST", "/v1/batch", "2", "messages", "0.2", "KB", "200"]
        assert (
            gauges
            == [
                "          track  Signed Up  user  Signed-Up = 1  from Signed-Up",
            ]
            * 2
        )
        assert summary == "1 request, 2 messages, 2 gauges; 0 duplicates, 0 dropped."
        assert (process.returncode, errors) == (0, "")

    @needs_signals
    @pytest.mark.parametrize("times", [1, 3])
    def test_ctrl_c_ends_it_although_nobody_reads_what_it_shows(self, times: int) -> None:
        with self.start("--port", "0", "--verbose") as process:
            assert process.stdout is not None
            where = process.stdout.readline()
            port = int(where.split("http://127.0.0.1:")[1].split()[0])
            body = json.dumps(batch(*(track(str(n), properties={"n": n}) for n in range(2_000))))
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                head = f"POST /v1/batch HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.sendall(f"{head}{body}".encode())
                wait_until_full(process.stdout.fileno())
                for _ in range(times):
                    process.send_signal(signal.SIGINT)
            assert process.wait(240) == 0
            assert process.stderr is not None
            assert process.stderr.read() == ""

    def test_a_taken_port_gives_one_line_and_status_1(self, server: LocalSegment) -> None:
        with self.start("--port", str(server.port)) as process:
            output, errors = process.communicate(timeout=240)

        assert (process.returncode, output) == (1, "")
        assert errors == f"Cannot listen on port {server.port}: Address already in use.\n"


class TestMain:
    """The command line inside this process, where its output can be made to go wrong."""

    @pytest.fixture(autouse=True)
    def _restore_signal_handlers(self) -> Iterator[None]:
        handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
        yield
        for number, handler in handlers.items():
            signal.signal(number, handler)

    @pytest.fixture
    def port(self) -> Iterator[int]:
        with reserved_port() as port:
            yield port

    @pytest.fixture
    def run(self, monkeypatch: pytest.MonkeyPatch, port: int) -> Callable[..., int]:
        """The command line, which is sent three requests while it sleeps, then interrupted."""

        def use_and_interrupt(_: float) -> None:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                page, identify = (
                    {"type": "page", "userId": "u"},
                    {"type": "identify", "userId": "u"},
                )
                for path, body in [
                    ("/v1/batch", batch(track("a"), track("a"), page, identify)),
                    ("/v1/identify", {"writeKey": KEY}),
                    ("/\x1b[31m", {}),
                ]:
                    data = json.dumps(body).encode()
                    head = f"POST {path} HTTP/1.1\r\nContent-Length: {len(data)}\r\n\r\n"
                    connection.sendall(head.encode() + data)
                    connection.recv(65_536)
            signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(time, "sleep", use_and_interrupt)
        return lambda *arguments: command_line.main(["--port", str(port), *arguments])

    def test_each_request_has_a_line_with_what_matters_about_it(
        self, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run() == 0

        output, errors = capsys.readouterr()
        assert errors == ""
        lines = output.splitlines()[2:]
        assert lines[0].split()[1:] == ["POST", "/v1/batch", "4", "messages", "0.3", "KB", "200"]
        assert lines[1:5] == [
            "          track     Signed Up  user  Signed-Up = 1  from Signed-Up",
            "          track     Signed Up  user  not kept: a duplicate, or dropped",
            "          page      -          u     Loaded-a-Page = 1  from Loaded-a-Page",
            "          identify  -          u     no gauge",
        ]
        assert lines[5].endswith("400  message 0: userId or anonymousId is needed")
        assert "/\\x1b[31m " in lines[6]
        assert lines[-1] == "3 requests, 3 messages, 2 gauges; 1 duplicate, 0 dropped."

    def test_verbose_shows_each_payload_and_what_becomes_of_it(
        self, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("--verbose") == 0

        lines = capsys.readouterr().out.splitlines()
        start = lines.index("          identify  -          u     no gauge")
        assert lines[start + 1 : start + 6] == [
            "            {",
            '              "type": "identify",',
            '              "userId": "u"',
            "            }",
            "            No measurement: its type is not track, page or screen.",
        ]

    def test_quiet_and_verbose_do_not_go_together(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as exited:
            command_line.main(["--quiet", "--verbose"])

        assert exited.value.code == 2
        assert "not allowed with argument" in capsys.readouterr().err

    def test_quiet_shows_where_it_listens_and_the_summary_only(
        self, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("--quiet") == 0

        assert len(capsys.readouterr().out.splitlines()) == 4

    def test_a_reader_that_left_is_no_error(
        self, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class ClosedPipe(io.StringIO):
            def write(self, _: str) -> int:
                raise BrokenPipeError

        monkeypatch.setattr(sys, "stdout", ClosedPipe())
        assert run() == 0

    def test_a_taken_port_is_reported(
        self, server: LocalSegment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert command_line.main(["--port", str(server.port)]) == 1
        assert f"Cannot listen on port {server.port}: " in capsys.readouterr().err

    @pytest.mark.parametrize("port", ["65536", "-1", "x", "9" * 5_000])
    def test_a_port_that_cannot_be_is_a_wrong_argument(
        self, port: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as exited:
            command_line.main([f"--port={port}"])

        assert exited.value.code == 2
        assert f"'{port}' is not a number from 0 to 65535" in capsys.readouterr().err
