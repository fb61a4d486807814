"""The programs of `examples/`, run by the commands of their READMEs."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from segment_librato.events import check
from support import server_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from segment_librato.devserver import LocalSegment
    from segment_librato.devserver.http.exchange import JsonObject

__all__ = [
    "EXAMPLES",
    "Reply",
    "by_event",
    "check_messages",
    "command",
    "request",
    "run",
    "running",
    "serving",
    "stop",
]

EXAMPLES = Path(__file__).parents[2] / "examples"
PORT_IN_READMES = "8000"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
MAX_START = 60.0  # seconds


class Reply(NamedTuple):
    """A response of an example's server."""

    status: int
    body: str
    cookie: str


def command(example: str, start: str, port: int | None = None) -> list[str]:
    """Return the one command of a README that starts like this, for another port."""
    text = (EXAMPLES / example / "README.md").read_text(encoding="utf-8")
    lines = "".join(BLOCK.findall(text)).replace("\\\n", "").splitlines()
    (line,) = [line for line in lines if line.startswith(start)]
    words = shlex.split(line, comments=True)
    return [word.replace(PORT_IN_READMES, str(port)) for word in words]


@contextmanager
def running(
    server: LocalSegment, example: str | Path, *words: str, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a command in the folder of an example."""
    variables = {**_environment(server.host), **variables}
    with server_process.running(server, EXAMPLES / example, *words, **variables) as process:
        yield process


@contextmanager
def serving(
    server: LocalSegment, example: str, start: str, port: int, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Run the server of an example, and wait until it listens."""
    words = command(example, start, port)
    with running(server, example, *words, **variables) as process:
        deadline = time.monotonic() + MAX_START
        while True:
            with suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "it does not listen"
            time.sleep(0.05)
        yield process


def stop(
    process: subprocess.Popen[str],
    server: LocalSegment,
    number: signal.Signals = signal.SIGTERM,
    status: int | None = 0,
) -> str:
    """Stop an example's server while its events wait for `server`; return what it wrote.

    Args:
        process: the example's server.
        server: holds the requests of events, and releases them once it is stopped.
        number: the signal that stops it.
        status: how it has to end; None if that is its own affair.
    """
    assert server.messages == []
    process.send_signal(number)
    server.release()
    output, errors = process.communicate(timeout=240)
    assert status is None or process.returncode == status, output + errors
    return output + errors


def run(
    host: str,
    folder: Path,
    *words: str,
    variables: Mapping[str, str] | None = None,
    expected_status: int = 0,
) -> tuple[str, str]:
    """Run a command to its end; return what it wrote to stdout and stderr."""
    done = subprocess.run(  # noqa: S603  our own examples
        words,
        cwd=folder,
        env={**os.environ, **_environment(host), **(variables or {})},
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == expected_status, done
    return done.stdout, done.stderr


def request(
    port: int, path: str, payload: object, *, headers: Mapping[str, str] | None = None
) -> Reply:
    """Post JSON to an example's server."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        all_headers = {"Content-Type": "application/json", **(headers or {})}
        connection.request("POST", path, json.dumps(payload), all_headers)
        response = connection.getresponse()
        cookie = "; ".join(
            one.split(";")[0] for one in response.headers.get_all("Set-Cookie") or []
        )
        return Reply(response.status, response.read().decode(), cookie)
    finally:
        connection.close()


def by_event(server: LocalSegment, *names: str) -> list[JsonObject]:
    """Return the messages, one for each event or type; those of other processes may come first."""
    found = {message.get("event", message["type"]): message for message in server.messages}
    assert len(server.messages) == len(found)
    assert found.keys() == set(names)
    return [found[name] for name in names]


def check_messages(server: LocalSegment) -> None:
    """Check that no message came twice, that none was dropped, and that all follow the spec."""
    assert (server.duplicates, server.dropped) == (0, [])
    assert [problem for message in server.messages for problem in check(message)] == []


def _environment(host: str) -> dict[str, str]:
    """Return what an example needs to know, and programs of this environment first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "SEGMENT_WRITE_KEY": "test-key", "SEGMENT_HOST": host}
