"""Real servers whose processes are killed with -9: their spool has what they had accepted."""

from __future__ import annotations

import http.client
import os
import random
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import server_process
from support.script import needs_fork, wait_until_ready
from support.spool import max_messages_of_segment

from segment_librato import drain_spool

if TYPE_CHECKING:
    import socket
    import subprocess
    from collections.abc import Iterator

    from segment_librato.devserver import LocalSegment

pytestmark = [pytest.mark.slow, needs_fork]

APPLICATIONS = Path(__file__).parent / "servers"
PADDING = 24_000  # bytes in a message, so that a segment has few
MAX_DUPLICATES = max_messages_of_segment(PADDING)  # of a kill


class Spooling:
    """A spool, and the applications that write to it."""

    def __init__(self, server: LocalSegment, folder: Path) -> None:
        self.server = server
        self.spool = folder / "spool"
        self.accepted = folder / "accepted"
        self.kills = 0

    @contextmanager
    def running(self, *command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Run Python with this command line in the folder of the applications."""
        environment = {
            "SPOOL": str(self.spool),
            "ACCEPTED": str(self.accepted),
            "PADDING": str(PADDING),
            "UPLOAD_INTERVAL": "0.01",
            **environment,
        }
        with server_process.running(
            self.server, APPLICATIONS, sys.executable, *command, **environment
        ) as process:
            yield process

    def kill(self, process_id: int) -> None:
        """End a process that may have ended already."""
        with suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)
        self.kills += 1

    def expect_all(self) -> None:
        """Drain, and compare what arrives to what was accepted."""
        report = drain_spool(self.spool, "test-key", host=self.server.host)
        assert (report.failed, report.left, report.quarantined) == (0, 0, 0)
        accepted = self.accepted.read_text().split()
        arrived = {message["messageId"] for message in self.server.messages}
        assert set(accepted) - arrived == set()
        assert self.server.duplicates <= self.kills * MAX_DUPLICATES
        assert [path for path in self.spool.rglob("*") if path.is_file()] == []

    def wait_for(self, accepted: int) -> None:
        """Wait until this many messages are accepted."""
        while not (self.accepted.exists() and len(self.accepted.read_text().split()) >= accepted):
            assert self.server.wait_for(0, timeout=0.01)


@pytest.fixture
def spooling(server: LocalSegment, tmp_path: Path) -> Spooling:
    return Spooling(server, tmp_path)


def request(listener: socket.socket, number: int) -> int | None:
    """Have a number tracked; return the id of the process, None if it was killed meanwhile."""
    host, port = listener.getsockname()
    connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        connection.request("GET", f"/{number}")
        return int(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


@contextmanager
def traffic(listener: socket.socket) -> Iterator[set[int]]:
    """Make requests all the time on four threads; tell the ids of the processes that respond."""
    workers: set[int] = set()
    numbers = count()
    is_over = threading.Event()

    def work() -> None:
        while not is_over.is_set():
            worker = request(listener, next(numbers))
            if worker:
                workers.add(worker)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield workers
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_what_gunicorn_accepts_survives_the_death_of_workers_and_master(
    spooling: Spooling, listener: socket.socket, worker: str
) -> None:
    pytest.importorskip("gunicorn")
    seed = random.Random(worker)  # noqa: S311  a failure can be repeated
    bind = ["--bind", f"fd://{listener.fileno()}", "--workers", "2", "--worker-class", worker]
    options = ["--preload", "--log-level", "critical", "--graceful-timeout", "1"]
    with spooling.running("-m", "gunicorn", *options, *bind, "wsgi_app") as master:
        wait_until_ready(master, 2)
        with traffic(listener) as workers:
            for lap in range(1, 9):
                spooling.wait_for(lap * 15 + seed.randrange(15))
                killed = workers.pop()
                spooling.kill(killed)
                wait_until_ready(master)
                workers.discard(killed)
            spooling.wait_for(9 * 15)
            os.killpg(master.pid, signal.SIGKILL)
            spooling.kills += 3
            listener.close()  # who waits for a response now gets none
    assert master.returncode == -signal.SIGKILL
    spooling.expect_all()
