"""uWSGI, which forks its workers in C: Python's hooks for a fork do not run.

A message is tracked while the application is imported, so that the process that forks has a
client, a thread and a stock of ids. What is left at the end of a worker is not tested: one that
uWSGI takes for busy ends without Python's exit hooks.
"""

from __future__ import annotations

import http.client
import sys
import textwrap
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.server_process import running

if TYPE_CHECKING:
    import socket
    import subprocess
    from collections.abc import Iterator

    from segment_librato.devserver import LocalSegment

PROJECT = str(Path(__file__).parents[2])
UWSGI = Path(sys.executable).with_name("uwsgi")
APPLICATION = """
    import os
    import segment_librato as analytics

    def on_error(error, messages):
        print("on_error", error, len(messages), flush=True)

    analytics.write_key, analytics.host = "test-key", os.environ["SEGMENT_HOST"]
    analytics.on_error = on_error
    analytics.track("user", "Imported", {"n": -1, "process": os.getpid()})

    def application(environment, start_response):
        number = int(environment["PATH_INFO"].strip("/"))
        analytics.track("user", "Requested", {"n": number, "process": os.getpid()})
        flushed = environment["QUERY_STRING"] != "flush" or analytics.flush(30)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{os.getpid()} {flushed}".encode()]
"""


@contextmanager
def uwsgi(
    server: LocalSegment, folder: Path, listener: socket.socket, *options: str
) -> Iterator[subprocess.Popen[str]]:
    """Run the application with two workers."""
    (folder / "application.py").write_text(textwrap.dedent(APPLICATION))
    command = [
        *(str(UWSGI), "--http-socket", f"fd://{listener.fileno()}", "--module", "application"),
        *("--master", "--processes", "2", "--enable-threads", "--die-on-term"),
        *("--disable-logging", "--virtualenv", sys.prefix, *options),
    ]
    with running(server, folder, *command, PYTHONPATH=PROJECT) as process:
        yield process


def request_of_each_worker(listener: socket.socket, query: str) -> dict[str, list[int]]:
    """Make requests until both workers have responded; return the numbers that each tracked."""
    numbers: dict[str, list[int]] = defaultdict(list)
    host, port = listener.getsockname()
    number = 0
    while len(numbers) < 2 or number < 20:
        connection = http.client.HTTPConnection(host, port, timeout=30)
        connection.request("GET", f"/{number}?{query}")
        worker, flushed = connection.getresponse().read().decode().split()
        connection.close()
        assert flushed == "True", f"worker {worker}"
        numbers[worker].append(number)
        number += 1
    return numbers


@pytest.mark.parametrize(
    "options",
    [[], ["--lazy-apps"], ["--threads", "4"], ["--py-call-osafterfork"]],
    ids=" ".join,
)
@pytest.mark.parametrize("query", ["flush", ""])
def test_each_worker_delivers_what_it_tracks_with_ids_of_its_own(
    server: LocalSegment,
    tmp_path: Path,
    listener: socket.socket,
    options: list[str],
    query: str,
) -> None:
    imports = 2 if options == ["--lazy-apps"] else 1
    with uwsgi(server, tmp_path, listener, *options) as process:
        tracked = request_of_each_worker(listener, query)
        assert server.wait_for(imports + sum(map(len, tracked.values())))
        process.terminate()
        output, errors = process.communicate(timeout=240)
    assert "on_error" not in output + errors
    arrived: dict[str, list[int]] = defaultdict(list)
    for message in server.messages:
        if message["properties"]["n"] >= 0:
            arrived[str(message["properties"]["process"])].append(message["properties"]["n"])
    assert {worker: sorted(numbers) for worker, numbers in arrived.items()} == tracked
    ids = [message["messageId"] for message in server.messages]
    assert len(set(ids)) == len(ids) == imports + sum(map(len, tracked.values()))
