"""The ledger of a queue, when another consumer adopts what somebody holds who lives after all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segment_librato.delivery.report import Failure
from segment_librato.errors import NetworkError
from segment_librato.queue.in_flight import InFlightBatch
from segment_librato.queue.message_queue import MessageQueue
from segment_librato.queue.schedule import BatchRules

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.queue.ledger import Ledger


def deliver(ledger: Ledger, batch: InFlightBatch) -> None:
    ledger.mark_delivered(batch, 3)


def fail(ledger: Ledger, batch: InFlightBatch) -> None:
    if ledger.claim(batch, 3):
        ledger.mark_failed(batch, 3)


def end_a_report(ledger: Ledger, batch: InFlightBatch) -> None:
    ledger.mark_failed(batch, 2)


def give_up(ledger: Ledger, batch: InFlightBatch) -> None:
    ledger.mark_rest_failed(batch)


@pytest.fixture
def queue() -> MessageQueue:
    return MessageQueue(100, BatchRules(10, 10, 1_000, 60))


@pytest.mark.parametrize("go_on", [deliver, fail, end_a_report, give_up])
@pytest.mark.parametrize("reports", [None, False, True], ids=["", "begins", "has reported"])
@pytest.mark.parametrize("adopts", [True, False], ids=["another adopts", "all is abandoned"])
def test_who_was_taken_for_dead_and_goes_on_changes_no_sum(
    queue: MessageQueue,
    go_on: Callable[[Ledger, InFlightBatch], None],
    *,
    reports: bool | None,
    adopts: bool,
) -> None:
    ledger = queue.ledger
    held = InFlightBatch(*(b"%d" % n for n in range(6)))
    queue.admit(held)
    ledger.mark_delivered(held, 1)
    failed = 0
    if reports is not None:
        held.report = Failure(NetworkError("no answer"), held.unclaimed[:2])
        assert ledger.claim(held, 2)
        held.report.was_reported = reports
        failed = 2 if reports else 0
    held.is_orphan = True
    left_over: list[tuple[InFlightBatch, tuple[bytes, ...]]] = []
    if adopts:
        adopted = InFlightBatch()
        assert ledger.adopt(adopted)
        left_over.append((adopted, adopted.unclaimed))
        assert ledger.claim(adopted, 5 - failed)
    else:
        queue.abandon(left_over)
    ((_, messages),) = left_over
    assert messages == tuple(b"%d" % n for n in range(1 + failed, 6))
    go_on(ledger, held)
    stats = ledger.stats()
    assert (stats.accepted, stats.delivered) == (6, 1)
    assert stats.failed + stats.pending == 5
    assert held.settled <= len(held.messages)
    for batch, messages in left_over:
        ledger.mark_failed(batch, len(messages))
    go_on(ledger, held)
    assert ledger.stats()[:5] == (6, 1, 5, 0, 0)
    assert queue.is_settled()
