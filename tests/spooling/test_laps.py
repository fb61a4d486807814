"""Four processes with one spool, killed at random moments, again and again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.marks import needs_fork
from support.script import fork_warning
from support.spool import wait_until_released
from support.told_records import Record, size_of

from segment_librato import drain_spool

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment

KEY = "test-key"
PROCESSES = 4

# Tracks, and rests now and then, so that it adopts; says in each request who sends it.
SCRIPT = """
import os, sys, time
from support.told_records import limit_files, tell_records
_, host, spool, forks_at, padding, *sizes = sys.argv
limit_files(*map(int, sizes))
from segment_librato import Client
from segment_librato.transport import segment as transport

def say(line):
    os.write(1, line.encode() + b"\\n")

def begin():
    transport.VERSION = f"{os.getpid()}-{os.urandom(4).hex()}"

begin()
os.register_at_fork(after_in_child=begin)
tell_records(say, lambda: transport.VERSION)
client = Client("test-key", host=host, spool=spool, upload_interval=0.002)
properties = {"padding": "x" * int(padding)}
n = 0
while True:
    accepted, message = client.track("u", "e", properties)
    if accepted:
        say(message["messageId"])
    n += 1
    if n == int(forks_at):
        os.fork()
    if n % 20 == 0:
        time.sleep(0.01)  # so that the server keeps up
"""


class Kind(NamedTuple):
    """What processes write.

    Attributes:
        padding: bytes in a message.
        file_size: from which on a file is closed.
        max_record: the most bytes that a message takes there.
        most: how many messages a process has accepted when it is killed, at most, and a few more.
    """

    padding: int
    file_size: int
    max_record: int
    most: int


SMALL = Kind(0, 4 * 1024, 400, 400)
LARGE = Kind(24_000, 480 * 1024, 24_400, 60)


class Lives:
    """What processes said until they were killed.

    Attributes:
        accepted: the ids of messages whose call had returned.
        records: where each message is, or would be, had the process lived on.
    """

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.records: dict[str, Record] = {}

    def live_and_die(self, host: str, spool: Path, kind: Kind, forks_at: int, dies_at: int) -> None:
        """Run a process, and its child, until they are killed."""
        numbers = (forks_at, kind.padding, kind.file_size, kind.max_record)
        process = subprocess.Popen(  # noqa: S603  the tests' own script
            [sys.executable, *fork_warning, "-c", SCRIPT, host, str(spool), *map(str, numbers)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdout
        for _ in range(dies_at):
            while not self._note(process.stdout.readline()):
                pass
        os.killpg(process.pid, signal.SIGKILL)
        for line in process.stdout:
            self._note(line)
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL

    def _note(self, line: str) -> bool:
        """Note what a process says; return whether it is that a message was accepted."""
        assert line.endswith("\n")  # a pipe takes all of it, or nothing
        message_id, *record = line.split()
        if record:
            process, file, size = record
            self.records[message_id] = Record(process, file, int(size))
        else:
            self.accepted.append(message_id)
        return not record


def sent_again(server: LocalSegment, lives: Lives) -> dict[str, list[Record]]:
    """Return what of the messages that each process sent was sent by another one after it."""
    senders: dict[str, dict[str, None]] = defaultdict(dict)
    for request in server.requests:
        for message_id in request.message_ids:
            assert message_id
            senders[message_id][request.headers["User-Agent"].partition("/")[2]] = None
    again = defaultdict(list)
    for message_id, processes in senders.items():
        record = lives.records[message_id]
        # The server may be late with what a dead process has sent; who has written it was first.
        for process in sorted(processes, key=lambda one: one != record.process)[:-1]:
            again[process].append(record)
    return again


@needs_fork
@pytest.mark.parametrize(
    "laps",
    [
        pytest.param(5, id="5 laps", marks=pytest.mark.once),
        pytest.param(
            100, id="100 laps", marks=[pytest.mark.slow, pytest.mark.once, pytest.mark.timeout(900)]
        ),
    ],
)
@pytest.mark.parametrize("kind", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.usefixtures("unmeasured")
def test_each_accepted_message_arrives_though_processes_are_killed_at_random_moments(
    tmp_path: Path, server: LocalSegment, laps: int, kind: Kind
) -> None:
    lives = Lives()
    for lap in range(laps):
        seed = random.Random(lap)  # noqa: S311  a failure can be repeated
        arguments = [
            (server.host, tmp_path, kind, seed.choice([0, 1, 50]), seed.randint(1, kind.most))
            for _ in range(PROCESSES)
        ]
        threads = [
            threading.Thread(target=lives.live_and_die, args=each, daemon=True)
            for each in arguments
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if (lap + 1) % min(laps, 10) == 0:  # before the spool is full
            wait_until_released(tmp_path)
            report = drain_spool(tmp_path, KEY, host=server.host)
            assert (report.failed, report.left, report.quarantined) == (0, 0, 0)
            assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    arrived = {message["messageId"] for message in server.messages}
    assert len(lives.accepted) > laps * PROCESSES
    assert set(lives.accepted) <= arrived <= set(lives.records)
    for process, records in sent_again(server, lives).items():
        own = [record for record in records if record.process == process]
        adopted = [record for record in records if record.process != process]
        assert len({record.file for record in own}) <= 1
        assert size_of(own) < kind.file_size + kind.max_record
        assert size_of(adopted) < kind.file_size + kind.max_record
