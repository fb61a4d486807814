"""A `kill -9` at the system calls of a whole client, whose server refuses some of its messages."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.client_life import FILE_SIZE, KEY, LEFT, MAX_RECORD, OF_ANCESTOR, REFUSED
from support.faults import SUCCESS
from support.informed_server import InformedServer
from support.marks import needs_fork
from support.scenario import Request
from support.told_records import Record, size_of

from segment_librato import drain_spool

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [needs_fork, pytest.mark.once, pytest.mark.usefixtures("unmeasured")]

NEVER = 1_000_000  # a stop that does not come
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


class Server(InformedServer):
    """Takes and refuses what `support.client_life` says.

    Attributes:
        delivered: how often each message was in a request that succeeded, by id.
        refused: messages that were in another one.
    """

    def __init__(self) -> None:
        self.forget()
        super().__init__(self._respond)

    def forget(self) -> None:
        self.delivered: Counter[str] = Counter()
        self.refused: set[str] = set()

    def _respond(self, data: bytes) -> list[bytes]:
        request = Request.of(data)
        is_first = not self.refused and {*REFUSED} & {*request.numbers}
        if is_first or (not request.is_compressed and {*LEFT} & {*request.numbers}):
            self.refused.update(request.message_ids)
            return [BUSY]
        self.delivered.update(request.message_ids)
        return [SUCCESS]


class Life:
    """What a process said.

    Attributes:
        accepted: the ids of messages whose call had returned.
        told: those that `on_error` got.
        records: where each message is, or was to be.
        stops: how many there were; 0 if it was killed.
        status: of the process.
    """

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.told: list[str] = []
        self.records: dict[str, Record] = {}
        self.stops = self.status = 0

    def note(self, line: str) -> bool:
        """Note what the process says; return whether it was the last word."""
        if line.startswith("+"):
            self.accepted.append(line[1:])
        elif line.startswith("-"):
            self.told.append(line[1:])
        elif line.startswith("#"):
            self.stops = int(line[1:])
        elif line.startswith("="):
            self.status = int(line[1:])
            return True
        else:
            message_id, process, file, size = line.split()
            self.records[message_id] = Record(process, file, int(size))
        return False


class Lives:
    """Has processes live, one after another, each in a folder that an ancestor has written to.

    Attributes:
        folder: where it is.
        ancestor: who that was.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self.folder = folder
        self._left = folder.with_name("left")
        self._of_ancestor = self._live(self._left, 0)
        assert len(self._of_ancestor.accepted) == len(OF_ANCESTOR)
        (self.ancestor,) = {record.process for record in self._of_ancestor.records.values()}

    def live_to(self, stop: int) -> Life:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self._left, self.folder)
        life = self._live(self.folder, stop)
        life.accepted += self._of_ancestor.accepted
        life.records.update(self._of_ancestor.records)
        return life

    def _live(self, folder: Path, stop: int) -> Life:
        assert self._process.stdin
        assert self._process.stdout
        life = Life()
        print(folder, stop, file=self._process.stdin, flush=True)
        while not life.note(self._process.stdout.readline().rstrip("\n")):
            pass
        return life


@pytest.fixture
def busy_server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def lives(tmp_path: Path, busy_server: Server, fsync: float | None) -> Iterator[Lives]:
    with subprocess.Popen(  # noqa: S603  the tests' own script
        [sys.executable, "-m", "support.client_life", busy_server.host, str(fsync)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Lives(process, tmp_path / "spool")


def recover(lives: Lives, server: Server, life: Life) -> None:
    """Deliver what a process has left, and check what has become of each message."""
    assert server.hear_out()
    before = {*server.delivered}
    report = drain_spool(lives.folder, KEY, host=server.host, gzip=True)
    assert (report.failed, report.left, report.quarantined) == (0, 0, 0)
    assert not life.told
    assert {*life.accepted} <= {*server.delivered} <= {*life.records}
    assert len({*server.delivered} - {*life.accepted}) <= 1  # whose call was under way
    twice = {one for one, count in server.delivered.items() if count > 1}
    assert twice <= before
    assert max(server.delivered.values(), default=0) <= 2
    adopted = {one for one in twice if life.records[one].process == lives.ancestor}
    assert size_of(life.records[one] for one in adopted) < FILE_SIZE + MAX_RECORD
    set_aside = {life.records[one].file for one in server.refused}
    of_lanes = {life.records[one].file for one in twice - adopted} - set_aside
    assert len(of_lanes) <= 2  # one of the window, and one of the overflow
    assert [path for path in lives.folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("stride", [10, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("fsync", [0, 0.001, None])
def test_a_kill_at_any_system_call_of_a_client_loses_nothing(
    lives: Lives, busy_server: Server, stride: int
) -> None:
    whole = lives.live_to(NEVER)
    assert whole.status == 0
    assert {*busy_server.delivered.values()} == {1}
    assert {*whole.accepted} == {*busy_server.delivered}
    assert [*lives.folder.rglob("*.seg")] == []
    for stop in range(1, whole.stops, stride):
        busy_server.forget()
        life = lives.live_to(stop)
        assert life.status in {0, -signal.SIGKILL}
        recover(lives, busy_server, life)
