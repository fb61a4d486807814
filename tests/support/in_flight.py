"""A state machine of what consumers do with the messages of a queue, for its tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

if TYPE_CHECKING:
    from segment_librato.queue.in_flight import InFlightBatch
    from segment_librato.queue.message_queue import MessageQueue

__all__ = ["InFlight"]


class InFlight(RuleBasedStateMachine):
    """In-flight batches are delivered, claimed and failed in any order, and the sums agree.

    A subclass puts messages in, takes and abandons them, and counts them.
    """

    queue: MessageQueue

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[InFlightBatch] = []
        self.claimed: list[tuple[InFlightBatch, int]] = []
        self.accepted = self.rejected = self.delivered = self.failed = 0

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        batch = data.draw(st.sampled_from(self.batches))
        count = data.draw(st.integers(0, len(batch.unclaimed)))
        self.queue.ledger.mark_delivered(batch, count)
        self.delivered += count

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        batch = data.draw(st.sampled_from(self.batches))
        count = data.draw(st.integers(0, len(batch.unclaimed)))
        if self.queue.ledger.claim(batch, count):
            self.claimed.append((batch, count))

    @precondition(lambda self: self.claimed)
    @rule()
    def fail(self) -> None:
        batch, count = self.claimed.pop()
        self.queue.ledger.mark_failed(batch, count)
        self.failed += count

    @invariant()
    def the_sums_agree(self) -> None:
        stats = self.queue.ledger.stats()
        assert stats.accepted == self.accepted
        assert stats.rejected == self.rejected
        assert stats.delivered == self.delivered
        assert stats.failed == self.failed
        assert stats.accepted == stats.delivered + stats.failed + stats.pending
