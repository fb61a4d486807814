"""Greenlets with a spool: what they track survives, and none of them waits for the others."""

from __future__ import annotations

import signal
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import server_process
from support.marks import needs_fork
from support.script import sequence_numbers

from segment_librato import DrainReport, drain_spool

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from segment_librato.devserver import LocalSegment

pytest.importorskip("gevent")

pytestmark = needs_fork

APPLICATIONS = Path(__file__).parent / "servers"
PATCH = "from gevent import monkey; monkey.patch_all()"
CLIENT = """
    import os, signal, sys, time
    from reporting_client import client

    def track(numbers):
        for number in numbers:
            assert client.track("user", "event", {"n": number})[0]
"""
GREENLETS = """
    import gevent

    def work(first):
        for number in range(first, first + 50):
            track([number])
            gevent.sleep(0)

    gevent.joinall([gevent.spawn(work, first) for first in range(0, 500, 50)], raise_error=True)
"""
# gevent may patch at any time, except while a consumer runs in a thread
SCRIPTS = {"before the import": [PATCH, CLIENT], "after a client was made": [CLIENT, PATCH]}


@contextmanager
def script(
    server: LocalSegment,
    spool: Path,
    *parts: str,
    upload_interval: str = "60",
    upload_size: str = "100",
) -> Iterator[subprocess.Popen[str]]:
    source = "\n".join(map(textwrap.dedent, parts))
    environment = {
        "UPLOAD_INTERVAL": upload_interval,
        "UPLOAD_SIZE": upload_size,
        "SPOOL": str(spool),
        "ACCEPTED": str(spool.parent / "accepted"),
    }
    command = [sys.executable, "-W", "ignore", "-c", source]
    with server_process.running(server, APPLICATIONS, *command, **environment) as process:
        yield process


def run(
    server: LocalSegment,
    spool: Path,
    *parts: str,
    status: int = 0,
    **options: str,
) -> str:
    """Run a script to its end, of which it must not complain; return its output."""
    with script(server, spool, *parts, **options) as process:
        output, errors = process.communicate(timeout=240)
    assert (process.returncode, errors) == (status, "")
    return output


def files(spool: Path) -> list[Path]:
    return [path for path in spool.rglob("*") if path.is_file()]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.mark.parametrize("upload_interval", ["0.01", "60"])
@pytest.mark.parametrize("patched", SCRIPTS)
def test_what_greenlets_track_is_delivered_and_deleted(
    server: LocalSegment, spool: Path, patched: str, upload_interval: str
) -> None:
    body = """
    assert client.flush(50)
    assert client.shutdown(10)
    """
    parts = [*SCRIPTS[patched], GREENLETS, body]
    run(server, spool, *parts, upload_interval=upload_interval)
    assert sorted(sequence_numbers(server)) == list(range(500))
    assert server.duplicates == 0
    assert files(spool) == []


@pytest.mark.parametrize("patched", SCRIPTS)
def test_what_greenlets_tracked_survives_a_kill(
    server: LocalSegment, spool: Path, patched: str
) -> None:
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    parts = [*SCRIPTS[patched], GREENLETS, kill]
    run(server, spool, *parts, status=-signal.SIGKILL, upload_size="1000")  # none goes before
    assert drain_spool(spool, "test-key", host=server.host) == DrainReport(delivered=500)
    assert sorted(sequence_numbers(server)) == list(range(500))
    assert server.duplicates == 0


def test_greenlets_go_on_while_the_overflow_waits_for_a_server(
    server: LocalSegment, spool: Path
) -> None:
    """More than memory holds, read back in order, by a greenlet that lets the others run."""
    body = """
    import gevent
    client = type(client)(
        "test-key", client.host, spool=os.environ["SPOOL"], max_queue_size=20, upload_interval=0.01
    )
    track(range(1000))
    gevent.sleep(0.05)
    track(range(1000, 2000))
    print(client.stats.accepted, client.stats.delivered, flush=True)
    flush = gevent.spawn(client.flush, 50)
    for _ in range(5):
        gevent.sleep(0.01)
    print("others run", not flush.ready(), flush=True)
    print("flushed", flush.get(), client.stats.delivered, client.stats.pending)
    """
    server.hold()
    with script(server, spool, PATCH, CLIENT, body) as process:
        assert process.stdout
        assert process.stdout.readline() == "2000 0\n"
        assert process.stdout.readline() == "others run True\n"
        server.release()
        output, errors = process.communicate(timeout=240)
    assert (output, errors, process.returncode) == ("flushed True 2000 0\n", "", 0)
    assert sequence_numbers(server) == list(range(2000))
    assert files(spool) == []


def test_a_greenlet_adopts_what_a_dead_process_left(server: LocalSegment, spool: Path) -> None:
    run(server, spool, CLIENT, "track(range(5)); os._exit(0)")
    body = """
    import gevent
    track([5])
    assert client.flush(20)
    with gevent.Timeout(20):
        while client.stats.spool.recovered < 5:
            gevent.sleep(0.01)
    """
    run(server, spool, PATCH, CLIENT, body, upload_interval="0.01")
    assert sequence_numbers(server) == [5, 0, 1, 2, 3, 4]
    assert files(spool) == []


def test_greenlets_go_on_while_the_disk_is_slow(server: LocalSegment, spool: Path) -> None:
    body = """
    import gevent
    from gevent.monkey import get_original
    disk, fsync, waits = get_original("_thread", "allocate_lock")(), os.fsync, []

    def slow(descriptor):
        waits.append(descriptor)
        if not disk.acquire(timeout=20):
            print("nobody else ran")
        disk.release()
        fsync(descriptor)

    os.fsync = slow
    disk.acquire()
    track([0])
    with gevent.Timeout(20):
        while not waits:
            gevent.sleep(0.01)
    track([1])
    disk.release()
    assert client.flush(20)
    """
    assert run(server, spool, PATCH, CLIENT, body) == ""
    assert sorted(sequence_numbers(server)) == [0, 1]
    assert files(spool) == []


def test_without_a_thread_the_disk_is_asked_all_the_same(server: LocalSegment, spool: Path) -> None:
    """From Python 3.12 on, none can be started at the exit."""
    body = """
    import gevent
    from gevent.threadpool import ThreadPool
    fsync, synced = os.fsync, []

    def fail(*_):
        raise RuntimeError("can't start new thread")

    ThreadPool.spawn = fail
    os.fsync = lambda descriptor: synced.append(fsync(descriptor))
    track([0])
    with gevent.Timeout(20):
        while not synced:
            gevent.sleep(0.01)
    """
    run(server, spool, PATCH, CLIENT, body)
    assert sorted(sequence_numbers(server)) == [0]


def test_a_disk_that_fails_greenlets_is_told_of_once(server: LocalSegment, spool: Path) -> None:
    body = """
    import errno, gevent

    def fail(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    os.fsync = fail
    track([0])
    with gevent.Timeout(20):
        while not client.stats.spool.errors:
            gevent.sleep(0.01)
    assert client.flush(20)
    """
    with script(server, spool, PATCH, CLIENT, body) as process:
        _, errors = process.communicate(timeout=240)
    assert process.returncode == 0
    assert [line.partition("; ")[2] for line in errors.splitlines()] == [
        "messages stay in memory"
    ], errors
    assert sorted(sequence_numbers(server)) == [0]


@pytest.mark.parametrize("victim", ["consumer", "keeper"])
def test_a_greenlet_of_ours_that_is_killed_costs_nothing(
    server: LocalSegment, spool: Path, victim: str
) -> None:
    body = f"""
    import gc, gevent, threading

    def greenlets(name):
        threads = [one for one in threading.enumerate() if name in one.name]
        return [
            one
            for one in gc.get_objects()
            if isinstance(one, gevent.Greenlet) and not one.dead
            and any(getattr(thread, "_ident", 0) == id(one) for thread in threads)
        ]

    track(range(3))
    gevent.sleep(0.05)
    killed = greenlets("{victim}")
    assert len(killed) == 1, [one.name for one in threading.enumerate()]
    gevent.killall(killed, timeout=5)
    track(range(3, 6))
    assert client.flush(20)
    assert client.stats.delivered == 6
    """
    run(server, spool, PATCH, CLIENT, body)
    assert sorted(sequence_numbers(server)) == list(range(6))
    assert server.duplicates == 0
    assert files(spool) == []


@pytest.mark.parametrize("ending", ["sys.exit()", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_fork_of_greenlets_has_files_of_its_own(
    server: LocalSegment, spool: Path, ending: str
) -> None:
    """A greenlet of the parent comes along; when it ends, gevent may complain on stderr."""
    body = f"""
    import gevent
    track(range(3))
    gevent.sleep(0)
    child = os.fork()
    if child == 0:
        track([100, 101])
        gevent.sleep(0.1)
        {ending}
    track(range(3, 5))
    os.waitpid(child, 0)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    with script(server, spool, PATCH, CLIENT, body) as process:
        process.communicate(timeout=240)
    assert process.returncode == -signal.SIGKILL
    report = drain_spool(spool, "test-key", host=server.host)
    assert report == DrainReport(delivered=5 if ending == "sys.exit()" else 7)
    assert sorted(sequence_numbers(server)) == [0, 1, 2, 3, 4, 100, 101]
    assert server.duplicates == 0
    assert files(spool) == []
