"""Real servers whose processes are killed with -9: their spool has what they had accepted."""

from __future__ import annotations

import http.client
import os
import random
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support import server_process
from support.marks import needs_fork
from support.script import wait_until_ready
from support.spool import max_messages_of_segment, wait_until_released
from support.waiting import wait_until

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
FIRST_OF_ENDLESS = 1_000_000  # the numbers of a task that ends only when it is killed


class Accepted(NamedTuple):
    """A message whose call has returned."""

    message_id: str
    process_id: int
    number: int


class Spooling:
    """A spool, and the applications that write to it."""

    def __init__(self, server: LocalSegment, folder: Path) -> None:
        self.server = server
        self.spool = folder / "spool"
        self.notes = folder / "accepted"
        self.kills = 0

    @contextmanager
    def running(self, *command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Run Python with this command line in the folder of the applications."""
        environment = {
            "SPOOL": str(self.spool),
            "ACCEPTED": str(self.notes),
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

    def accepted(self) -> list[Accepted]:
        """Return what was accepted so far."""
        text = self.notes.read_text() if self.notes.exists() else ""
        lines = [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [Accepted(one, int(process_id), int(number)) for one, process_id, number in lines]

    def wait_for_other(self, than: set[int], count: int, first: int = 0) -> int:
        """Wait until other processes have this many messages more; return the one of the last.

        Only numbers from `first` on count.
        """
        before = len(self.accepted())

        def others() -> list[int]:
            later = [one for one in self.accepted()[before:] if one.number >= first]
            return [one.process_id for one in later if one.process_id not in than]

        wait_until(lambda: len(others()) >= count)
        return others()[-1]

    def expect_all(self) -> None:
        """Drain, and compare what arrives to what was accepted."""
        wait_until_released(self.spool)
        report = drain_spool(self.spool, "test-key", host=self.server.host)
        assert (report.failed, report.left, report.quarantined) == (0, 0, 0)
        arrived = {message["messageId"] for message in self.server.messages}
        assert {one.message_id for one in self.accepted()} - arrived == set()
        assert self.server.duplicates <= self.kills * MAX_DUPLICATES
        assert [path for path in self.spool.rglob("*") if path.is_file()] == []


@pytest.fixture
def spooling(server: LocalSegment, tmp_path: Path) -> Spooling:
    return Spooling(server, tmp_path)


def request(host: str, port: int, number: int) -> None:
    """Have a number tracked, by a process that may be killed meanwhile."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", f"/{number}")
        connection.getresponse().read()
    connection.close()


@contextmanager
def traffic(listener: socket.socket) -> Iterator[None]:
    """Make requests all the time on four threads; the listener may be closed meanwhile."""
    host, port = listener.getsockname()
    numbers = count()
    is_over = threading.Event()

    def work() -> None:
        while not is_over.is_set():
            request(host, port, next(numbers))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
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
        with traffic(listener):
            killed = {master.pid}
            for _ in range(8):
                process_id = spooling.wait_for_other(killed, seed.randrange(15, 30))
                spooling.kill(process_id)
                killed.add(process_id)
                wait_until_ready(master)
            spooling.wait_for_other(killed, seed.randrange(15, 30))
            os.killpg(master.pid, signal.SIGKILL)
            spooling.kills += 3
            listener.close()  # who waits for a response now gets none
    assert master.returncode == -signal.SIGKILL
    spooling.expect_all()


@pytest.mark.parametrize("upload_interval", ["0.01", "60"])
def test_what_celery_accepts_survives_the_death_of_a_child(
    spooling: Spooling, tmp_path: Path, upload_interval: str
) -> None:
    pytest.importorskip("celery")
    broker = tmp_path / "broker"
    broker.mkdir()
    environment = {"BROKER": str(broker), "UPLOAD_INTERVAL": upload_interval, "KILLS": "4"}
    with spooling.running("celery_app.py", "20", **environment) as producer:
        assert producer.wait(60) == 0
    # Celery warns of the user root
    celery = ["-W", "ignore", "-m", "celery", "--app", "celery_app", "worker"]
    quiet = ["--loglevel", "FATAL", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    pool = ["--pool", "prefork", "--concurrency", "2"]
    seed = random.Random(upload_interval)  # noqa: S311  a failure can be repeated
    with spooling.running(*celery, *quiet, *pool, **environment) as worker:
        killed = {producer.pid, worker.pid}
        for _ in range(4):
            # A child that is killed between two tasks may block the pool of Celery.
            process_id = spooling.wait_for_other(killed, seed.randrange(20, 50), FIRST_OF_ENDLESS)
            spooling.kill(process_id)
            killed.add(process_id)
        assert worker.stdout
        tracked = (line for line in worker.stdout if line == "tracked\n")
        assert len(list(islice(tracked, 20))) == 20
        os.killpg(worker.pid, signal.SIGKILL)
        spooling.kills += 3
    processes = {one.process_id for one in spooling.accepted()}
    assert len(processes) >= 2 + 4  # producer, worker, and the children
    spooling.expect_all()
