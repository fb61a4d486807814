"""A client with a spool, as its tests make it, here or in another process."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segment_librato.spooling.orphan import find_orphans
from support.python import run_python
from support.script import fork_warning
from support.spool import settle_one
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable

    from segment_librato import Client, SpoolStats
    from segment_librato.devserver.http.exchange import Request

__all__ = [
    "LONG",
    "NOWHERE",
    "fail_to_write",
    "files",
    "folder_of",
    "has",
    "leave",
    "left_behind",
    "run_script",
    "spool_of",
    "track",
]


NOWHERE = "http://127.0.0.1:9"  # where nothing listens
LONG = 60.0  # seconds that no test waits out


def track(client: Client, numbers: Iterable[int]) -> list[bool]:
    return [client.track("user", "event", {"n": n})[0] for n in numbers]


def leave(client: Client, timeout: float = 0) -> None:
    """Shut a client down that has too little time, and wait for the request that it is making.

    Until that ends, what it is about is no dead process's.
    """
    assert not client.shutdown(timeout)
    wait_until(lambda: not any(consumer.is_alive() for consumer in client.consumers))


def left_behind(path: Path) -> list[int]:
    """Return the numbers of the messages of dead processes in a spool, in order; settle them."""
    found = []
    for folder in path.iterdir():
        for orphan in find_orphans(folder, lambda error: pytest.fail(str(error))):
            for segment, payload in orphan.messages():
                found.append(json.loads(payload)["properties"]["n"])
                settle_one(segment)
            orphan.close()
    return found


def files(path: Path) -> list[Path]:
    return [Path(folder, name) for folder, _, names in os.walk(path) for name in names]


def folder_of(path: Path) -> Path:
    """Return the only folder in a spool."""
    (folder,) = path.iterdir()
    return folder


def run_script(path: Path, script: str, status: int = 0, host: str = NOWHERE) -> str:
    """Run a process with a spool; check how it ended."""
    preamble = """
        import json, logging, os, signal, sys, threading, time
        from segment_librato import Client, SpoolConfig
        path, host = sys.argv[1:]
        logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        def on_error(error, messages):
            print("on_error", type(error).__name__, len(messages), flush=True)
        def make(**options):
            return Client("test-key", host, **{"spool": path, "on_error": on_error, **options})
        def track(client, numbers):
            for n in numbers:
                assert client.track("user", "event", {"n": n})[0]
    """
    source = textwrap.dedent(preamble) + textwrap.dedent(script)
    return run_python(source, path, host, options=fork_warning, status=status)


def has(request: Request, number: int) -> bool:
    return any(message["properties"]["n"] == number for message in request.messages)


def fail_to_write(patch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Have each write of a record fail; return a list that grows with each."""
    failed: list[int] = []

    def write(descriptor: int, data: bytes) -> int:
        failed.append(len(data))
        raise OSError(number, os.strerror(number))

    patch.setattr("segment_librato.spooling.lane.write", write)
    return failed


def spool_of(client: Client) -> SpoolStats:
    spool = client.stats.spool
    assert spool is not None
    return spool
