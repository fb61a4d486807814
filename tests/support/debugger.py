"""A debugger, a client that sends to it, and how tests ask it: real HTTP, JSON in and out."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

from segment_librato import Client
from segment_librato.devserver.page.debugger import Debugger
from segment_librato.devserver.page.outlines import outline
from support.local_server import track
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

AT_ONCE = 1000

__all__ = [
    "Answer",
    "Elsewhere",
    "Running",
    "ask",
    "events",
    "fill",
    "follow",
    "get",
    "json_lines",
    "start",
]


@pytest.fixture
def debugger() -> Iterator[Debugger]:
    with Debugger() as running:
        yield running


@pytest.fixture
def client(debugger: Debugger) -> Iterator[Client]:
    with Client("test-key", host=debugger.host, shutdown_timeout=1) as made:
        yield made


class Answer:
    """What came back: status, headers and body."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    debugger: Debugger,
    path: str,
    body: object = None,
    *,
    method: str | None = None,
    headers: dict[str, str] | None = None,
    query: Mapping[str, object] | None = None,
) -> Answer:
    """Ask a path; a body makes it a POST, of JSON unless it is bytes."""
    if query:
        path = f"{path}?{urlencode(query, doseq=True)}"
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    method = method or ("GET" if body is None else "POST")
    address = urlsplit(debugger.host).netloc
    with closing(http.client.HTTPConnection(address, timeout=30)) as connection:
        connection.request(method, quote(path, safe="/?&=%+."), data, headers or {})
        return Answer(connection.getresponse())


def get(debugger: Debugger, path: str, **query: object) -> Any:
    """Return the JSON of a path that exists."""
    answer = ask(debugger, path, query=query)
    assert answer.status == 200, answer.body
    return answer.json


def events(debugger: Debugger, **query: object) -> list[dict[str, Any]]:
    """Return the outlines of the matching events, newest first."""
    found: list[dict[str, Any]] = get(debugger, "/events", **query)["events"]
    return found


def json_lines(debugger: Debugger, **query: object) -> list[Any]:
    """Return the matching events as they are exported."""
    answer = ask(debugger, "/events.jsonl", query=query)
    assert answer.status == 200
    return [json.loads(line) for line in answer.body.splitlines()]


def fill(debugger: Debugger, count: int) -> None:
    """Keep events as a hundred users make them, one a second."""
    began = time.time() - count
    event, measured = outline(track(event="Event 0"), began, "accepted", "")
    assert measured
    for start in range(0, count, AT_ONCE):
        events, measurements = [], []
        for number in range(start, min(start + AT_ONCE, count)):
            at, name = began + number, f"Event {number % 50}"
            message = f'{{"type":"track","event":"{name}","number":{number}}}'
            user = f"user-{number % 100}"
            events.append(event._replace(at=at, event=name, user=user, message=message))
            gauge, source = name.replace(" ", "-"), f"s{number % 4}"
            measurements.append(measured._replace(at=at, name=gauge, source=source))
        debugger.journal.add(None, events, measurements)


def follow(debugger: Debugger) -> Generator[dict[str, Any], None, None]:
    """Yield each state of the stream; close it to leave."""
    address = urlsplit(debugger.host).netloc
    with closing(http.client.HTTPConnection(address, timeout=30)) as connection:
        connection.request("GET", "/stream")
        response = connection.getresponse()
        while line := response.readline():
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


class Running:
    """A process, and what it has written so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Send a signal; return the exit status, and what came on stderr."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        self._reader.join(60)
        assert self.process.stderr is not None
        errors = self.process.stderr.read()
        return self.process.wait(240), errors


@contextmanager
def start(*arguments: str) -> Iterator[Running]:
    with subprocess.Popen(  # noqa: S603  this interpreter, and the tests' arguments
        [sys.executable, "-W", "error", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    ) as process:
        running = Running(process)
        try:
            yield running
        finally:
            with suppress(subprocess.TimeoutExpired):
                process.send_signal(signal.SIGINT)
                process.wait(10)
            process.kill()
            running.wait()


class Elsewhere:
    """A debugger in another process, as the helpers take one."""

    def __init__(self, running: Running) -> None:
        wait_until(lambda: len(running.lines) >= 1)
        found = re.search(r"http://127\.0\.0\.1:(\d+)", running.lines[0])
        assert found
        self.host = found[0]
        self.port = int(found[1])
