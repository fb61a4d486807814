"""A spool whose processes have wall clocks that are wrong, or are set while they run."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest
from support.python import run_python
from support.script import sequence_numbers

from segment_librato import DrainReport, drain_spool
from segment_librato.spooling import age

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

pytestmark = pytest.mark.skipif(not age.boot_mark(), reason="there is no such clock")

YEAR = 365 * 24 * 3600  # seconds, far beyond `max_age`
CLOCKS = [0, YEAR, -YEAR]  # how far those of the processes are off

# The kernel gives files their times, and its clock is everybody's: so a process with a clock of
# its own gives its files these times itself. `time.time` is replaced before anything imports it.
PREAMBLE = """
    import os, pathlib, sys, time
    path, host, shift = sys.argv[1], sys.argv[2], float(sys.argv[3])
    real, real_gmtime = time.time, time.gmtime
    time.time = lambda: real() + shift
    time.time_ns = lambda: int(time.time() * 1_000_000_000)
    time.gmtime = lambda seconds=None: real_gmtime(time.time() if seconds is None else seconds)

    from segment_librato import Client

    def on_error(error, messages):
        print("on_error", repr(error), len(messages), flush=True)

    def set_clock(seconds):
        global shift
        shift = seconds
        for file in pathlib.Path(path).rglob("*.seg"):
            if f"-{os.getpid()}-" in str(file):
                os.utime(file, (time.time(), time.time()))

    def make(**options):
        return Client("test-key", host, spool=path, on_error=on_error, **options)

    def track(client, numbers):
        for n in numbers:
            assert client.track("user", "event", {"n": n})[0]

    def wait_until(condition):
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, client.stats
            time.sleep(0.01)
"""


def run(path: Path, server: LocalSegment, script: str, clock: float = 0) -> str:
    """Run a process with a wall clock that is some seconds off; return its output."""
    source = textwrap.dedent(PREAMBLE) + textwrap.dedent(script)
    return run_python(source, path, server.host, clock)


def leave(path: Path, server: LocalSegment, first: int, clock: float) -> None:
    """Have a process with such a clock die with three messages."""
    script = f"""
        client = make(upload_interval=60)
        track(client, range({first}, {first + 3}))
        set_clock(shift)
        os._exit(0)
    """
    run(path, server, script, clock)


@pytest.fixture
def path(tmp_path: Path, server: LocalSegment) -> Path:
    """Return a spool in which three processes, each with another clock, left messages."""
    for number, clock in enumerate(CLOCKS):
        leave(tmp_path, server, 3 * number, clock)
    return tmp_path


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_client_expires_nothing_because_clocks_of_processes_differ(
    path: Path, server: LocalSegment, clock: float
) -> None:
    script = """
        client = make()
        track(client, [9])
        wait_until(lambda: client.stats.spool.recovered == 9)
        assert client.shutdown(10)
    """
    assert run(path, server, script, clock) == ""
    assert sorted(sequence_numbers(server)) == list(range(10))


def test_a_drain_delivers_whatever_the_clocks_of_processes_were(
    path: Path, server: LocalSegment
) -> None:
    assert drain_spool(path, "test-key", host=server.host) == DrainReport(delivered=9)
    assert sorted(sequence_numbers(server)) == list(range(9))


def test_a_client_lives_through_clocks_that_are_set_forward_and_back(
    path: Path, server: LocalSegment
) -> None:
    """In memory, in the overflow, set aside, adopted: nothing is too old, or waits for a year."""
    server.respond(503, times=3)
    script = f"""
        from segment_librato.queue import patient_queue
        patient_queue.FIRST_PAUSE = 0.05
        client = make(max_queue_size=5, max_retries=0, upload_interval=0.05)
        track(client, range(9, 20))
        for number, seconds in enumerate([{YEAR}, -{YEAR}, 0, -{YEAR}, {YEAR}]):
            set_clock(seconds)
            track(client, range(20 + 10 * number, 30 + 10 * number))
            time.sleep(0.06)  # what waits, in memory or set aside, is due by the real time
        wait_until(lambda: client.stats.delivered == 61)
        wait_until(lambda: client.stats.spool.recovered == 9)
        set_clock(-{YEAR})
        track(client, [70])
        assert client.flush(10)
        set_clock({YEAR})
        assert client.shutdown(10)
        print(client.stats.delivered, client.stats.failed, client.stats.pending)
    """
    assert run(path, server, script) == "62 0 0\n"
    assert sorted(sequence_numbers(server)) == list(range(71))
