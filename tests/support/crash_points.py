"""A `kill -9` at each system call: before it and after it, in one lap after another.

To be run as a script, in a process without threads, as each lap is a fork of it:

    python -m support.crash_points SCENARIO FOLDER

The kernel stops the child at each system call, as it does for `strace`, and the parent counts the
stops; so nothing that a child does to a file is left out, whoever calls it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NamedTuple

from segment_librato.spooling import lane as lane_module
from segment_librato.spooling.orphan import find_orphans
from segment_librato.spooling.run import Run
from support.spool import Corruption, drain, numbers, run_by_hand, segment_of, settle_one

__all__ = ["IMPOSSIBLE", "SCENARIOS"]

TRACE_ME, GO_ON_TO_SYSTEM_CALL = 0, 24  # PTRACE_TRACEME, PTRACE_SYSCALL

IMPOSSIBLE = 77  # the status if processes may not trace their children here

Say = Callable[[bytes], None]
"""Tells the parent `+message` when one was accepted, `-message` when it was delivered."""


class Scenario(NamedTuple):
    """Something that a process does to a folder until it is killed.

    Attributes:
        act: does it, and says so.
        prepare: makes what is in the folder before; returns the messages that are in it.
        max_twice: how many messages may be delivered twice: those of one segment.
    """

    act: Callable[[Path, Say], None]
    prepare: Callable[[Path], list[bytes]] = lambda _: []
    max_twice: int = 0


def write(folder: Path, say: Say) -> None:
    run = Run(folder)
    lane = run.lane()
    for payload in numbers(0, 3):
        lane.append(payload)
        say(b"+" + payload)
    run.sync()
    lane.append(b"3")
    say(b"+3")
    run.close()


def rotate(folder: Path, say: Say) -> None:
    lane_module.MAX_SEGMENT_BYTES = 40
    run = Run(folder)
    lane = run.lane()
    for payload in numbers(0, 6):
        lane.append(payload)
        say(b"+" + payload)
    run.close()


def fill_the_disk(folder: Path, say: Say) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60, resource.RLIM_INFINITY))
    run = Run(folder)
    lane = run.lane()
    for payload in numbers(0, 6):
        try:
            lane.append(payload)
        except OSError:
            continue
        say(b"+" + payload)
    run.close()


def left_by_others(folder: Path) -> list[bytes]:
    """Make two runs, one of them damaged, and one that was never finished."""
    run_by_hand(folder, segment_of(0, 3), segment_of(100, 3) + b"damage!!", name="1-1-1")
    run_by_hand(folder, segment_of(200, 3), name="2-1-1")
    run_by_hand(folder, name="3-1-1").rename(folder / "3-1-1.new")
    return [*numbers(0, 3), *numbers(100, 103), *numbers(200, 203)]


def adopt(folder: Path, say: Say, limit: int = sys.maxsize) -> None:
    for orphan in find_orphans(folder, lambda _: None):
        for segment, payload in orphan.messages():
            if not limit:
                break
            limit -= 1
            say(b"-" + payload)
            settle_one(segment)
        orphan.close()


def settle_its_own(folder: Path, say: Say) -> None:
    """Do what a client does that delivers: write, send, settle."""
    lane_module.MAX_SEGMENT_BYTES = 60
    run = Run(folder)
    lane = run.lane()
    segments = []
    for payload in numbers(0, 6):
        segments.append(lane.append(payload))
        say(b"+" + payload)
    for segment, payload in zip(segments, numbers(0, 6), strict=True):
        say(b"-" + payload)
        settle_one(segment)
    run.close()


SCENARIOS: dict[str, Scenario] = {
    "write": Scenario(write),
    "rotate": Scenario(rotate),
    "full": Scenario(fill_the_disk),
    "settle": Scenario(settle_its_own, max_twice=3),
    "adopt": Scenario(adopt, left_by_others, max_twice=3),
    "leave": Scenario(lambda folder, say: adopt(folder, say, 4), left_by_others, max_twice=3),
}


def trace(request: int, process: int) -> bool:
    """Make a `ptrace` call without an argument; return whether it was allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    return bool(libc.ptrace(request, process, None, None) == 0)


def is_possible() -> bool:
    """Return whether a process may stop its children at their system calls."""
    if sys.platform != "linux":
        return False
    stops = kill_at(2, lambda: None)
    return stops == 2


def kill_at(stop: int, act: Callable[[], None]) -> int:
    """Run a function in a child, and kill it at this stop; return at how many it stopped."""
    child = os.fork()
    if child == 0:
        if not trace(TRACE_ME, 0):
            os._exit(1)
        os.kill(os.getpid(), signal.SIGSTOP)
        act()
        os._exit(0)
    for stops in count():
        _, status = os.waitpid(child, 0)
        if not os.WIFSTOPPED(status):
            assert status == 0, status
            return stops
        if stops == stop:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return stops
        assert trace(GO_ON_TO_SYSTEM_CALL, child)
    raise AssertionError


def lap(scenario: Scenario, folder: Path, stop: int) -> bool:
    """Kill a child at a stop, recover, and check; return False if it ended before."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    before = scenario.prepare(folder)
    reader, writer = os.pipe()
    stops = kill_at(stop, lambda: scenario.act(folder, lambda line: _say(writer, line)))
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().split()
    accepted = {*before, *(line[1:] for line in said if line.startswith(b"+"))}
    delivered = {line[1:] for line in said if line.startswith(b"-")}
    corruption = Corruption()
    found = drain(folder, corruption)
    left = {path.name for path in folder.iterdir()}
    where = f"killed at stop {stop}; said: {said}; found: {found}; left: {left}"
    assert left <= {"quarantine"}, where
    assert len(found) == len(set(found)), where
    assert accepted <= delivered.union(found), where
    assert len(set(found) - accepted) <= 1, where  # the one that was being written
    assert len(delivered.intersection(found)) <= scenario.max_twice, where
    assert before or not corruption.errors, where
    return stops == stop


def _say(writer: int, line: bytes) -> None:
    os.write(writer, line + b"\n")


def main(name: str, folder: str) -> None:
    if not is_possible():
        sys.exit(IMPOSSIBLE)
    for stop in count():
        if not lap(SCENARIOS[name], Path(folder), stop):
            print(stop)  # noqa: T201  how many laps there were
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
