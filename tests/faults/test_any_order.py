"""Calls and faults in any order: after each step every message is where the sums say it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.faults import FAULTS, SUCCESS
from support.hasty_clock import hasty_client
from support.raw_server import RawServer
from support.scenario import MAX_RATE_LIMIT_DURATION, MAX_RETRIES, MODES, VIRTUAL_TIMEOUT, Request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.raw_server import Step

    from segment_librato.errors import SegmentError

IMMEDIATE = sorted(
    name
    for name, fault in FAULTS.items()
    if not (fault.is_silent or "slow" in name or "silence" in name)
)
MAX_QUEUE_SIZE = 8


class AnyOrder(RuleBasedStateMachine):
    """A client, and a server that fails as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.accepted: set[str] = set()
        self.rejected: set[str] = set()
        self.told: list[str] = []
        self.server = RawServer(self.next_script, keep_alive=True)

    @initialize(mode=st.sampled_from(sorted(MODES)), thread=st.integers(1, 2))
    def make(self, mode: str, thread: int) -> None:
        options: dict[str, Any] = {"thread": thread, "upload_size": 3, **MODES[mode]}
        self.client, self.clock = hasty_client(
            "test-key",
            host=self.server.host,
            on_error=self.on_error,
            upload_interval=VIRTUAL_TIMEOUT,
            max_queue_size=MAX_QUEUE_SIZE,
            max_retries=MAX_RETRIES,
            max_rate_limit_duration=MAX_RATE_LIMIT_DURATION,
            **options,
        )

    def next_script(self) -> Iterable[Step]:
        try:  # in the threads of two connections, while another list may take its place
            return FAULTS[self.faults.pop(0)].script()
        except IndexError:
            return [SUCCESS]

    def on_error(self, error: SegmentError, messages: list[dict[str, Any]]) -> None:
        self.told += [message["messageId"] for message in messages]

    @rule(names=st.lists(st.sampled_from(IMMEDIATE), max_size=6))
    def fail(self, names: list[str]) -> None:
        self.faults = names

    @rule(count=st.integers(1, 6))
    def track(self, count: int) -> None:
        for number in range(count):
            before = self.client.stats.accepted
            success, message = self.client.track("user", "event", {"n": number})
            taken = self.client.stats.accepted > before
            (self.accepted if taken else self.rejected).add(message["messageId"])
            assert taken or not success

    @rule(timeout=st.sampled_from([0, 1, VIRTUAL_TIMEOUT]))
    def flush(self, timeout: float) -> None:
        if self.client.flush(timeout):
            assert self.client.stats.pending == 0

    @rule()
    def join(self) -> None:
        assert self.client.join(VIRTUAL_TIMEOUT)
        assert not any(consumer.is_alive() for consumer in self.client.consumers or [])

    @rule(timeout=st.sampled_from([0, 1, VIRTUAL_TIMEOUT]))
    def shutdown(self, timeout: float) -> None:
        self.client.shutdown(timeout)

    @invariant()
    def the_sums_agree(self) -> None:
        if not hasattr(self, "client"):
            return
        stats = self.client.stats
        told = [*self.told]  # as a consumer may tell more meanwhile
        assert stats.accepted == stats.delivered + stats.failed + stats.pending
        assert stats.accepted == len(self.accepted)
        assert stats.rejected == len(self.rejected)
        assert len(told) == len(set(told))
        assert set(told) <= self.accepted | self.rejected

    def teardown(self) -> None:
        try:
            if hasattr(self, "client"):
                self.client.shutdown(VIRTUAL_TIMEOUT)
                self.each_message_has_one_outcome()
        finally:
            self.server.__exit__()

    def each_message_has_one_outcome(self) -> None:
        self.the_sums_agree()
        stats = self.client.stats
        assert stats.pending == 0
        arrived = {
            message_id
            for request in self.server.requests
            for message_id in Request.of(request).message_ids
        }
        told = set(self.told)
        assert self.rejected <= told
        assert stats.failed == len(told - self.rejected)
        assert self.accepted - told <= arrived
        assert stats.delivered == len(self.accepted - told)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
