"""Real servers that fork, retire and patch: gunicorn, uvicorn, Celery, gevent.

They take the real seconds in which they start and stop; a worker of Celery polls for seconds.
"""

from __future__ import annotations

import http.client
import signal
import sys
import textwrap
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import server_process
from support.marks import needs_fork
from support.script import fork_warning, sequence_numbers, wait_until_ready

if TYPE_CHECKING:
    import socket
    import subprocess
    from collections.abc import Iterator

    from segment_librato.devserver import LocalSegment

pytestmark = [
    pytest.mark.slow,
    needs_fork,
]

APPLICATIONS = Path(__file__).parent / "servers"
AT_THE_END = "60"  # seconds of upload_interval: longer than a test, so that the exit delivers
IMPORTED = -1  # the number of the message that each import of an application tracks


@contextmanager
def running(
    server: LocalSegment, *command: str, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """Run Python with this command line in the folder of the applications."""
    environment = {"UPLOAD_INTERVAL": AT_THE_END, **environment}
    with server_process.running(
        server, APPLICATIONS, sys.executable, *command, **environment
    ) as process:
        yield process


def expect_success(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a process, which must not complain; return its output."""
    output, errors = process.communicate(timeout=240)
    assert errors == ""
    assert process.returncode == 0
    return output


def stop(process: subprocess.Popen[str]) -> None:
    """Stop a server gracefully."""
    process.terminate()
    expect_success(process)


# gunicorn


@contextmanager
def gunicorn(
    server: LocalSegment, listener: socket.socket, *options: str, workers: int = 2
) -> Iterator[subprocess.Popen[str]]:
    pytest.importorskip("gunicorn")
    # gevent warns of every import before it patches, and with --preload there are some
    warnings = ["-W", "ignore"] if "gevent" in options else []
    command = [*warnings, "-m", "gunicorn", *options, "--log-level", "warning", "wsgi_app"]
    bind = ["--bind", f"fd://{listener.fileno()}", "--workers", str(workers)]
    with running(server, *command, *bind) as process:
        yield process


def make_requests(listener: socket.socket, numbers: range) -> list[bytes]:
    """Have each number tracked by a request; return the ids of the processes that responded."""

    def request(number: int) -> bytes:
        host, port = listener.getsockname()
        connection = http.client.HTTPConnection(host, port, timeout=60)
        try:
            connection.request("GET", f"/{number}")
            return connection.getresponse().read()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(request, numbers))


@pytest.mark.parametrize("preload", [True, False])
@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_gunicorn_delivers_what_arbiter_and_workers_track(
    server: LocalSegment, listener: socket.socket, worker: str, preload: bool
) -> None:
    pytest.importorskip("gevent" if worker == "gevent" else "gunicorn")
    options = ["--worker-class", worker, *(["--preload"] if preload else [])]
    with gunicorn(server, listener, *options) as process:
        wait_until_ready(process, 2)
        make_requests(listener, range(30))
        assert sorted(sequence_numbers(server)) == []
        stop(process)
    imports = 1 if preload else 2
    assert sorted(sequence_numbers(server)) == [IMPORTED] * imports + list(range(30))
    assert server.duplicates == 0


@pytest.mark.parametrize("preload", [True, False])
def test_workers_that_gunicorn_retires_deliver(
    server: LocalSegment, listener: socket.socket, preload: bool
) -> None:
    options = ["--max-requests", "5", *(["--preload"] if preload else [])]
    with gunicorn(server, listener, *options, workers=1) as process:
        served = Counter(make_requests(listener, range(20)))
        assert set(served.values()) == {5}
        wait_until_ready(process, 5)
        stop(process)
    imports = 1 if preload else 5
    assert sorted(sequence_numbers(server)) == [IMPORTED] * imports + list(range(20))
    assert server.duplicates == 0


# uvicorn


@pytest.mark.parametrize("deliver", ["on SIGTERM", "at the end of the lifespan"])
def test_uvicorn_delivers_if_it_is_told_to(
    server: LocalSegment, listener: socket.socket, deliver: str
) -> None:
    """When it has shut down it ends itself by the signal that it got, without any exit hooks."""
    pytest.importorskip("uvicorn")
    command = ["-m", "uvicorn", "asgi_app:application", "--fd", str(listener.fileno())]
    with running(server, *command, "--log-level", "error", DELIVER=deliver) as process:
        make_requests(listener, range(10))
        process.terminate()
        _, errors = process.communicate(timeout=240)
    assert (process.returncode, errors) == (-signal.SIGTERM, "")
    assert sorted(sequence_numbers(server)) == list(range(10))
    assert server.duplicates == 0


# Celery


@contextmanager
def celery_worker(
    server: LocalSegment, broker: Path, *options: str, tasks: int, upload_interval: str = AT_THE_END
) -> Iterator[subprocess.Popen[str]]:
    """Send tasks, and run a worker until it has run them."""
    pytest.importorskip("celery")
    environment = {"BROKER": str(broker), "UPLOAD_INTERVAL": upload_interval}
    with running(server, "celery_app.py", str(tasks), **environment) as producer:
        expect_success(producer)
    # Celery warns of the user root
    celery = ["-W", "ignore", "-m", "celery", "--app", "celery_app", "worker"]
    quiet = ["--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    with running(server, *celery, *quiet, *options, **environment) as worker:
        assert worker.stdout
        tracked = (line for line in worker.stdout if line == "tracked\n")
        assert len(list(islice(tracked, tasks))) == tasks
        yield worker


@pytest.mark.parametrize(
    "options",
    [
        ["prefork", "--concurrency", "2"],
        ["prefork", "--concurrency", "2", "--max-tasks-per-child", "1"],
        ["gevent", "--concurrency", "2"],
    ],
    ids=" ".join,
)
def test_workers_of_celery_deliver_when_they_end(
    server: LocalSegment, tmp_path: Path, options: list[str]
) -> None:
    pytest.importorskip("gevent" if "gevent" in options else "celery")
    with celery_worker(server, tmp_path, "--pool", *options, tasks=6) as worker:
        stop(worker)
    assert server.wait_for(2 + 6)  # Celery itself may end before a child of it
    assert sorted(sequence_numbers(server)) == [IMPORTED, IMPORTED, *range(6)]
    assert server.duplicates == 0


def test_children_of_celery_deliver_while_they_run(server: LocalSegment, tmp_path: Path) -> None:
    options = ["--pool", "prefork", "--concurrency", "2"]
    with celery_worker(server, tmp_path, *options, tasks=20, upload_interval="0.1"):
        assert server.wait_for(2 + 20)
    assert sorted(sequence_numbers(server)) == [IMPORTED, IMPORTED, *range(20)]
    assert server.duplicates == 0


def test_a_process_of_billiard_delivers_when_it_ends(server: LocalSegment) -> None:
    pytest.importorskip("billiard")
    script = """
import os, billiard
from segment_librato import Client
client = Client("test-key", host=os.environ["SEGMENT_HOST"], upload_interval=60)
client.track("user", "event", {"n": 1})
child = billiard.Process(target=client.track, args=("user", "event", {"n": 2}))
child.start()
child.join()
"""
    with running(server, *fork_warning, "-c", script) as process:
        expect_success(process)
    assert sorted(sequence_numbers(server)) == [1, 2]
    assert server.duplicates == 0


# gevent

CLIENT = """
import os, sys
from reporting_client import client

def track(numbers):
    for number in numbers:
        client.track("user", "event", {"n": number})
"""
PATCH = "from gevent import monkey; monkey.patch_all()"
# gevent may patch at any time, except while a consumer runs in a thread.
SCRIPTS = {
    "before the import": [PATCH, CLIENT],
    "after the import": ["import segment_librato", PATCH, CLIENT],
    "after a client was made": [CLIENT, PATCH],
    "after a client was used and joined": [CLIENT, "track([-1]); assert client.join(10)", PATCH],
}


@contextmanager
def script(
    server: LocalSegment, *parts: str, warnings: str = "ignore", upload_interval: str = AT_THE_END
) -> Iterator[subprocess.Popen[str]]:
    pytest.importorskip("gevent")
    source = "\n".join(textwrap.dedent(part) for part in parts)
    command = ["-W", warnings, "-c", source]
    with running(server, *command, UPLOAD_INTERVAL=upload_interval) as process:
        yield process


@pytest.mark.parametrize(
    "upload_interval, ending", [("0.01", "assert client.shutdown(10)"), (AT_THE_END, "")]
)
@pytest.mark.parametrize("patched", SCRIPTS)
def test_greenlets_track_and_flush(
    server: LocalSegment, patched: str, upload_interval: str, ending: str
) -> None:
    server.respond(200, delay=0.02, times=None)
    body = """
    import gevent

    def work(first):
        for number in range(first, first + 50):
            track([number])
            gevent.sleep(0)
        assert client.flush(50)

    gevent.joinall([gevent.spawn(work, first) for first in range(0, 500, 50)], raise_error=True)
    assert client.stats.delivered >= 500
    track([500])
    """
    parts = [*SCRIPTS[patched], body, ending]
    with script(server, *parts, upload_interval=upload_interval) as process:
        expect_success(process)
    assert [number for number in sorted(sequence_numbers(server)) if number >= 0] == list(
        range(501)
    )
    assert server.duplicates == 0


@pytest.mark.parametrize("patched", ["before the import", "after a client was made"])
def test_a_consumer_whose_greenlet_is_killed_while_it_sends_ends_and_is_replaced(
    server: LocalSegment, patched: str
) -> None:
    body = """
    import gc, gevent

    def consumers():
        greenlets = [one for one in gc.get_objects() if isinstance(one, gevent.Greenlet)]
        return [one for one in greenlets if not one.dead]

    track(range(3))
    client.queue.begin_flush()
    while not client.stats.requests and client.queue.qsize():
        gevent.sleep(0.01)
    killed = consumers()
    assert len(killed) == 1
    gevent.killall(killed, timeout=5)
    assert all(one.dead for one in killed)
    assert client.queue.workers.count == 0
    stats = client.stats
    assert (stats.failed, stats.pending) == (0, 3), stats
    os.write(1, b"killed\\n")
    assert client.flush()
    assert client.stats.delivered == 3
    """
    with server.hold(), script(server, *SCRIPTS[patched], body) as process:
        assert process.stdout
        assert process.stdout.readline() == "killed\n"
        server.release()
        expect_success(process)
    assert set(sequence_numbers(server)) == {0, 1, 2}


@pytest.mark.parametrize("patched", SCRIPTS)
def test_the_exit_delivers_the_first_message_of_a_patched_process(
    server: LocalSegment, patched: str
) -> None:
    """The exit looks up a name, which takes gevent a thread that CPython 3.12 would not start."""
    with script(server, *SCRIPTS[patched], "track([1])") as process:
        expect_success(process)
    assert max(sequence_numbers(server)) == 1
    assert server.duplicates == 0


@pytest.mark.parametrize("former", ["None", "print"])
def test_sigterm_delivers_what_greenlets_tracked(server: LocalSegment, former: str) -> None:
    """The handler runs in the hub, which must not wait."""
    body = f"""
    import gevent, signal, segment_librato
    def handler(number, frame):
        sys.exit(3)
    if {former}:
        signal.signal(signal.SIGTERM, handler)
    segment_librato.flush_on_sigterm()
    track([1])
    os.write(1, b"ready\\n")
    gevent.sleep(60)
    """
    with script(server, PATCH, CLIENT, body) as process:
        wait_until_ready(process)
        process.terminate()
        process.communicate(timeout=240)
    assert process.returncode in ({-signal.SIGTERM} if former == "None" else {3})
    assert sorted(sequence_numbers(server)) == [1]


def test_a_greenlet_that_flushes_leaves_the_others_running(server: LocalSegment) -> None:
    body = """
    import gevent
    track([1])
    flush = gevent.spawn(client.flush, 50)
    for _ in range(5):
        gevent.sleep(0.01)
    print("others run", not flush.ready(), flush=True)
    print("flushed", flush.get())
    """
    server.hold()
    with script(server, PATCH, CLIENT, body, warnings="error") as process:
        assert process.stdout
        assert process.stdout.readline() == "others run True\n"
        server.release()
        assert expect_success(process) == "flushed True\n"
    assert sorted(sequence_numbers(server)) == [1]


@pytest.mark.parametrize("ending", ["assert client.flush(50)", ""], ids=["flush", "exit"])
def test_a_fork_of_greenlets_delivers_the_messages_of_each_process_once(
    server: LocalSegment, ending: str
) -> None:
    """A greenlet of the parent comes along; when it ends, gevent may complain on stderr."""
    body = f"""
    import gevent
    track(range(3))
    gevent.sleep(0)
    child = os.fork()
    if child == 0:
        track([100])
        gevent.sleep(0.5)  # the consumer that came along wakes up
        track([101])
        {ending or "pass"}
        sys.exit()
    track(range(3, 5))
    assert client.flush(50)
    _, status = os.waitpid(child, 0)
    assert status == 0
    """
    with script(server, PATCH, CLIENT, body, upload_interval="0.2") as process:
        _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert "on_error" not in errors
    assert sorted(sequence_numbers(server)) == [0, 1, 2, 3, 4, 100, 101]
    assert server.duplicates == 0
