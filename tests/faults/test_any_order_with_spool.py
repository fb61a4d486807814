"""Calls and faults in any order, with a spool: of the server, and of the disk.

Clients come and go. Each leaves what it has no time for, and the next one, or a drain, delivers it.
"""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.faults import FAULTS, SUCCESS
from support.hasty_clock import HastyClock
from support.informed_server import InformedServer
from support.scenario import MAX_RETRIES, VIRTUAL_TIMEOUT, Request

from segment_librato import Client, SpoolConfig, drain_spool
from segment_librato.delivery import adoption
from segment_librato.queue import overflowing_queue
from segment_librato.spooling import lane as lane_module
from segment_librato.spooling import run as run_module
from segment_librato.spooling import spool as spool_module
from segment_librato.spooling.segment import WrittenSegment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.raw_server import Step

    from segment_librato.errors import SegmentError
    from segment_librato.process.clock import Waitable

KEY = "test-key"
MAX_QUEUE_SIZE = 8
IMMEDIATE = sorted(
    name
    for name, fault in FAULTS.items()
    if not (fault.is_silent or "slow" in name or "silence" in name)
)
DISK = ["works", "is full", "has little room", "opens nothing"]


class Server(InformedServer):
    """Fails as it is told, and counts what it has said to have.

    Attributes:
        faults: what is to happen to the next requests.
        delivered: how often each message was in a request that succeeded, by id.
        sent: the messages of each request, in the order in which it was answered.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.delivered: Counter[str] = Counter()
        self.sent: list[list[str]] = []
        self._lock = threading.Lock()
        super().__init__(self._next_script)

    def _next_script(self, request: bytes) -> Iterable[Step]:
        message_ids = Request.of(request).message_ids
        with self._lock:
            faults = self.faults  # another list may take its place meanwhile
            fault = FAULTS[faults.pop(0)] if faults else None
            self.sent.append(message_ids)
            if fault is None or fault.verdict == "delivered":
                self.delivered.update(message_ids)
        return fault.script() if fault else [SUCCESS]


class SpoolClock(HastyClock):
    """Leaps to the time of a batch that was set aside as well, once a consumer waits for that."""

    def wait(self, changed: Waitable, deadline: float | None) -> bool:
        ledger: Any = self.queue.ledger
        is_consumer = threading.current_thread().name == "segment-consumer"
        if is_consumer and deadline is not None and deadline == ledger.next_retry():
            self.skipped += max(0, deadline - self.now())
        return super().wait(changed, deadline)


class AnyOrderWithSpool(RuleBasedStateMachine):
    """Clients with one spool, one after another; a server and a disk that fail as they are told."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Server()
        self.temporary = tempfile.TemporaryDirectory()
        self.path = Path(self.temporary.name, "spool")
        self.disk = "works"
        self.told: Counter[str] = Counter()
        self.all_accepted: set[str] = set()
        self.all_rejected: set[str] = set()
        self.in_doubt: set[str] = set()  # the client did not wait for the response
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(lane_module, "write", self.write)
        self.patch.setattr(run_module, "WrittenSegment", self.make_segment)
        self.patch.setattr(lane_module, "MAX_SEGMENT_BYTES", 1_500)
        self.patch.setattr(spool_module, "PAUSE_AFTER_TROUBLE", 0.0)
        self.patch.setattr(adoption, "LOOK_SECONDS", 0.01)
        self.patch.setattr(overflowing_queue, "POLL_SECONDS", 0.01)

    # The disk

    def write(self, descriptor: int, data: bytes) -> int:
        if self.disk == "has little room":
            return os.write(descriptor, data[:10])
        if self.disk != "works":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(descriptor, data)

    def make_segment(self, *arguments: Any) -> WrittenSegment:
        if self.disk == "opens nothing":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return WrittenSegment(*arguments)

    # The clients

    @initialize(thread=st.integers(1, 2), fsync=st.sampled_from([None, 0.001]))
    def make(self, thread: int, fsync: float | None) -> None:
        self.options: dict[str, Any] = {
            "host": self.server.host,
            "thread": thread,
            "spool": SpoolConfig(self.path, fsync=fsync),
            "on_error": self.on_error,
            "upload_interval": VIRTUAL_TIMEOUT,
            "upload_size": 3,
            "max_queue_size": MAX_QUEUE_SIZE,
            "max_retries": MAX_RETRIES,
        }
        self.make_client()

    def make_client(self) -> None:
        clock = SpoolClock()
        self.client = type("HastyClient", (Client,), {"_clock": clock})(KEY, **self.options)
        clock.queue = self.client.queue
        self.accepted: set[str] = set()
        self.rejected = 0
        self.left = 0

    def on_error(self, error: SegmentError, messages: list[dict[str, Any]]) -> None:
        self.told.update(message["messageId"] for message in messages)

    @rule(names=st.lists(st.sampled_from(IMMEDIATE), max_size=6))
    def fail(self, names: list[str]) -> None:
        self.server.faults = names

    @rule(disk=st.sampled_from(DISK))
    def change_disk(self, disk: str) -> None:
        self.disk = disk

    @rule(count=st.integers(1, 20))
    def track(self, count: int) -> None:
        for number in range(count):
            before = self.client.stats.accepted
            success, message = self.client.track("user", "event", {"n": number})
            assert success == (self.client.stats.accepted > before)
            if success:
                self.accepted.add(message["messageId"])
                self.all_accepted.add(message["messageId"])
            else:
                self.rejected += 1
                self.all_rejected.add(message["messageId"])

    @rule(timeout=st.sampled_from([0, 1, VIRTUAL_TIMEOUT]))
    def flush(self, timeout: float) -> None:
        if self.client.flush(timeout):
            assert self.client.stats.pending == self.left

    @rule()
    def join(self) -> None:
        assert self.client.join(VIRTUAL_TIMEOUT)
        assert not any(consumer.is_alive() for consumer in self.client.consumers or [])

    @rule(timeout=st.sampled_from([0, 0.001, VIRTUAL_TIMEOUT]))
    def shutdown(self, timeout: float) -> None:
        before = max(0, len(self.server.sent) - len(self.client.consumers or []))
        is_settled = self.client.shutdown(timeout)
        self.left = self.client.stats.pending
        for consumer in self.client.consumers or []:
            if consumer.thread:
                consumer.thread.join(VIRTUAL_TIMEOUT)
        if not is_settled:  # what the server reads now, it has before the connection is closed
            assert self.server.hear_out()
            self.in_doubt.update(*self.server.sent[before:])

    @rule(timeout=st.sampled_from([0, 0.001, VIRTUAL_TIMEOUT]))
    def start_anew(self, timeout: float) -> None:
        self.shutdown(timeout)
        self.make_client()

    @rule(has_on_error=st.booleans())
    def drain(self, *, has_on_error: bool) -> None:
        on_error = self.on_error if has_on_error else None
        before = len(self.server.sent)
        report = drain_spool(self.path, KEY, host=self.server.host, timeout=0.05, on_error=on_error)
        if report.left:
            assert self.server.hear_out()
            self.in_doubt.update(*self.server.sent[before:])

    @invariant()
    def the_sums_agree(self) -> None:
        if not hasattr(self, "client"):
            return
        stats = self.client.stats
        told = dict(self.told)  # as a consumer may tell more meanwhile
        assert stats.accepted == stats.delivered + stats.failed + stats.pending
        assert stats.accepted == len(self.accepted)
        assert stats.rejected == self.rejected
        assert all(count == 1 for count in told.values())
        assert set(told) <= self.all_accepted | self.all_rejected

    def teardown(self) -> None:
        try:
            if hasattr(self, "client"):
                self.server.faults = []
                self.shutdown(VIRTUAL_TIMEOUT)
                self.the_sums_agree()
                drain_spool(self.path, KEY, host=self.server.host, on_error=self.on_error)
                self.each_message_has_one_outcome()
        finally:
            self.patch.undo()
            self.server.__exit__()
            self.temporary.cleanup()

    def each_message_has_one_outcome(self) -> None:
        assert self.all_rejected <= set(self.told)
        outcomes = self.told + self.server.delivered
        assert set(outcomes) == self.all_accepted | self.all_rejected
        assert {one for one, count in outcomes.items() if count > 1} <= self.in_doubt
        files = [Path(folder, name) for folder, _, names in os.walk(self.path) for name in names]
        assert files == []


TestAnyOrderWithSpool = AnyOrderWithSpool.TestCase
TestAnyOrderWithSpool.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
