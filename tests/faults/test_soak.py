"""A long time with a server that misbehaves at random: memory stays flat, nothing is unaccounted.

Five seconds; `SOAK_SECONDS=600 pytest tests/faults/test_soak.py` makes it ten minutes. It takes
real time, as only that shows what grows.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.faults import FAULTS, SUCCESS
from support.raw_server import RawServer
from support.soak import ACCEPTED, REJECTED, THREADS

from segment_librato import DrainReport, drain_spool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.raw_server import Step

TESTS = Path(__file__).parents[1]
SECONDS = float(os.environ.get("SOAK_SECONDS", "5"))
FAULT_RATE = 0.3
MORE_OBJECTS = 1_000  # a leak of one a request would be more in seconds
MORE_BYTES = 16_000_000  # for what the allocator keeps, with ten threads

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(SECONDS + 60),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


class UnreliableServer(RawServer):
    """Fails at random, and knows which messages arrived in requests it answered for."""

    def __init__(self) -> None:
        self._random = random.Random(20_251_121)  # noqa: S311  not for secrets
        self._faults = [fault for fault in FAULTS.values() if not fault.retry_after]
        self._lock = threading.Lock()
        self.fault_rate = FAULT_RATE
        self.arrived = [bytearray() for _ in range(THREADS)]  # by number, as memory is short
        super().__init__(self._next_script, keep_alive=True)

    def _next_script(self) -> Iterable[Step]:
        with self._lock:
            data = self.requests.pop(0)
            fails = self._random.random() < self.fault_rate
            fault = self._random.choice(self._faults)
            for message in json.loads(data.partition(b"\r\n\r\n")[2])["batch"]:
                properties = message["properties"]
                arrived = self.arrived[properties["thread"]]
                arrived.extend(bytes(max(0, properties["n"] + 1 - len(arrived))))
                arrived[properties["n"]] = True
        return fault.script() if fails else [SUCCESS]


def soak(server: UnreliableServer, *spool: str) -> dict[str, Any]:
    """Run a client for a while; return what it says became of all it tracked."""
    script = str(TESTS / "support" / "soak.py")
    process = subprocess.run(  # noqa: S603  the tests' own script
        [sys.executable, "-W", "error", script, server.host, str(SECONDS), *spool],
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS + 50,
    )
    assert process.returncode == 0, process.stderr
    outcome: dict[str, Any] = json.loads(process.stdout)
    assert growth(outcome["objects"]) < MORE_OBJECTS
    assert growth(outcome["memory"]) < MORE_BYTES
    return outcome


def count_fates(outcome: dict[str, Any], server: UnreliableServer) -> tuple[int, int, int]:
    """Return how many were delivered, failed and were rejected; each message is one of these."""
    fates: Counter[tuple[int, int, bool]] = Counter()  # answer, how often told, arrived
    for answers, told, arrived in zip(
        map(bytes.fromhex, outcome["answers"]),
        map(bytes.fromhex, outcome["told"]),
        server.arrived,
        strict=True,
    ):
        arrived.extend(bytes(len(answers) - len(arrived)))
        fates.update(zip(answers, told, map(bool, arrived), strict=True))
    delivered = fates[ACCEPTED, 0, True]
    failed = fates[ACCEPTED, 1, True] + fates[ACCEPTED, 1, False]  # it may have arrived, too
    rejected = fates[REJECTED, 1, False]
    assert sum(fates.values()) == delivered + failed + rejected, fates
    assert min(delivered, failed) > 0
    return delivered, failed, rejected


def test_nothing_is_unaccounted_and_memory_stays_flat() -> None:
    with UnreliableServer() as server:
        outcome = soak(server)
        delivered, failed, rejected = count_fates(outcome, server)
    assert (outcome["delivered"], outcome["failed"]) == (delivered, failed)
    assert (outcome["rejected"], outcome["pending"]) == (rejected, 0)


def test_with_a_spool_a_drain_delivers_what_a_shutdown_left(tmp_path: Path) -> None:
    with UnreliableServer() as server:
        outcome = soak(server, str(tmp_path))
        server.fault_rate = 0
        report = drain_spool(tmp_path, "test-key", host=server.host)
        delivered, failed, rejected = count_fates(outcome, server)
    assert report == DrainReport(delivered=outcome["pending"])
    assert (outcome["delivered"] + report.delivered, outcome["failed"]) == (delivered, failed)
    assert outcome["rejected"] == rejected
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def growth(samples: list[int]) -> float:
    """Return by how much the last quarter is above the second; the first warms up."""
    quarter = len(samples) // 4
    return statistics.median(samples[-quarter:]) - statistics.median(samples[quarter : 2 * quarter])
