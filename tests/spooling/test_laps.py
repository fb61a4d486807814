"""Four processes with one spool, killed at random moments, again and again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from support.script import fork_warning, needs_fork
from support.spool import max_messages_of_segment, wait_until_released

from segment_librato import drain_spool

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

KEY = "test-key"
PROCESSES = 4
SMALLEST = 250  # bytes of a message

SCRIPT = """
import os, sys
from segment_librato import Client
client = Client("test-key", host=sys.argv[1], spool=sys.argv[2], upload_interval=0.002)
forks_at = int(sys.argv[3])
properties = {"padding": "x" * int(sys.argv[4])}
n = 0
while True:
    accepted, message = client.track("u", "e", properties)
    if accepted:
        os.write(1, message["messageId"].encode() + b"\\n")
    n += 1
    if n == forks_at:
        os.fork()
"""


def live_and_die(host: str, spool: Path, forks_at: int, padding: int, dies_at: int) -> list[str]:
    """Run a process, and its child, until they are killed; return the ids that were accepted."""
    process = subprocess.Popen(  # noqa: S603  the tests' own script
        [
            sys.executable,
            *fork_warning,
            "-c",
            SCRIPT,
            host,
            str(spool),
            str(forks_at),
            str(padding),
        ],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    accepted = [process.stdout.readline() for _ in range(dies_at)]
    os.killpg(process.pid, signal.SIGKILL)
    accepted += process.stdout.read().splitlines(keepends=True)
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    return [line.strip() for line in accepted if line.endswith("\n")]


@needs_fork
@pytest.mark.parametrize(
    "laps",
    [
        pytest.param(10, id="10 laps"),
        pytest.param(
            200, id="200 laps", marks=[pytest.mark.slow, pytest.mark.once, pytest.mark.timeout(900)]
        ),
    ],
)
@pytest.mark.parametrize("padding, most", [(0, 400), (24_000, 60)], ids=["small", "large"])
@pytest.mark.usefixtures("unmeasured")
def test_each_accepted_message_arrives_though_processes_are_killed_at_random_moments(
    tmp_path: Path, server: LocalSegment, laps: int, padding: int, most: int
) -> None:
    accepted: list[str] = []
    kills = 0
    for lap in range(laps):
        seed = random.Random(lap)  # noqa: S311  a failure can be repeated
        arguments = [
            (server.host, tmp_path, seed.choice([0, 1, 50]), padding, seed.randint(1, most))
            for _ in range(PROCESSES)
        ]
        threads = [
            threading.Thread(target=lambda one=one: accepted.extend(live_and_die(*one)))
            for one in arguments
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kills += sum(2 if forks_at else 1 for _, _, forks_at, _, _ in arguments)
    wait_until_released(tmp_path)
    report = drain_spool(tmp_path, KEY, host=server.host)
    assert (report.failed, report.left, report.quarantined) == (0, 0, 0)
    arrived = {message["messageId"] for message in server.messages}
    assert len(accepted) > laps * PROCESSES
    assert set(accepted) <= arrived
    assert server.duplicates <= kills * max_messages_of_segment(max(padding, SMALLEST))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
