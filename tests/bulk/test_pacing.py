"""Messages go no faster than the rate, and none goes in a pause that the server wants."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from segment_librato import ShutdownTimeoutError
from segment_librato.bulk.pacing import PacedTransport, Pacing
from segment_librato.errors import APIError, NetworkError, SegmentError
from segment_librato.process.clock import Clock
from segment_librato.queue.batch import Batch
from segment_librato.transport.base import Receipt

if TYPE_CHECKING:
    from segment_librato.process.clock import Waitable


class LeapingClock(Clock):
    """A clock that stands still, but for waits, which it leaps over."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def now(self) -> float:
        return self.time

    def wait(self, changed: Waitable, deadline: float | None) -> bool:
        assert deadline is not None
        self.time = max(self.time, deadline)
        return False


@pytest.fixture
def clock() -> LeapingClock:
    return LeapingClock()


class Sender:
    """A transport that notes when it sends, and fails as it is told."""

    def __init__(self, clock: Clock, *errors: SegmentError) -> None:
        self._clock = clock
        self._errors = [*errors]
        self.times: list[float] = []
        self.calls: list[str] = []

    def send(self, batch: Batch, timeout: float | None) -> Receipt:
        self.times.append(self._clock.now() - 1_000)
        if self._errors:
            raise self._errors.pop(0)
        return Receipt(len(batch))

    def close(self) -> None:
        self.calls.append("close")

    def reset_after_fork(self) -> None:
        self.calls.append("reset_after_fork")


def batch(size: int) -> Batch:
    return Batch((b"{}",) * size)


def test_without_a_rate_nothing_waits(clock: LeapingClock) -> None:
    pacing = Pacing(None, clock)
    for _ in range(3):
        pacing.wait_for_turn(1_000_000)
    assert clock.time == 1_000


def test_messages_go_no_faster_than_the_rate(clock: LeapingClock) -> None:
    sender = Sender(clock)
    transport = PacedTransport(sender, Pacing(100, clock))
    for size in (100, 50, 200, 1):
        assert transport.send(batch(size), None).bytes_sent == size
    assert sender.times == pytest.approx([1, 1.5, 3.5, 3.51])


def test_imports_one_after_the_other_are_no_faster_than_one(clock: LeapingClock) -> None:
    sender = Sender(clock)
    for _ in range(3):
        PacedTransport(sender, Pacing(100, clock)).send(batch(100), None)
    assert sender.times == [1, 2, 3]


def test_time_in_which_nothing_was_sent_is_not_made_up_for(clock: LeapingClock) -> None:
    sender = Sender(clock)
    transport = PacedTransport(sender, Pacing(100, clock))
    transport.send(batch(100), None)
    clock.time += 60
    transport.send(batch(100), None)
    transport.send(batch(100), None)
    assert sender.times == [1, 61, 62]


def test_a_pause_that_the_server_wants_is_for_all_requests(clock: LeapingClock) -> None:
    sender = Sender(clock, APIError(429, retry_after=30), APIError(503, retry_after=10_000))
    transport = PacedTransport(sender, Pacing(None, clock))
    for _ in range(2):
        with pytest.raises(APIError):
            transport.send(batch(1), None)
    transport.send(batch(1), None)
    assert sender.times == [0, 30, 330]  # not longer than a client waits


def test_after_a_pause_messages_go_no_faster_than_the_rate(clock: LeapingClock) -> None:
    sender = Sender(clock, APIError(429, retry_after=30))
    transport = PacedTransport(sender, Pacing(100, clock))
    with pytest.raises(APIError):
        transport.send(batch(100), None)
    transport.send(batch(100), None)
    transport.send(batch(100), None)
    assert sender.times == [1, 31, 32]


def test_a_turn_that_falls_into_a_pause_is_taken_anew() -> None:
    class PausingClock(LeapingClock):
        def wait(self, changed: Waitable, deadline: float | None) -> bool:
            if self.time == 1_000:
                pacing.pause(30)  # of another request, in the meantime
            return super().wait(changed, deadline)

    clock = PausingClock()
    pacing = Pacing(100, clock)
    sender = Sender(clock)
    transport = PacedTransport(sender, pacing)
    for _ in range(2):
        transport.send(batch(100), None)
    assert sender.times == [30, 31]


def test_an_error_without_a_wish_pauses_nobody(clock: LeapingClock) -> None:
    sender = Sender(clock, NetworkError("no route"))
    transport = PacedTransport(sender, Pacing(None, clock))
    with pytest.raises(NetworkError):
        transport.send(batch(1), None)
    transport.send(batch(1), None)
    assert sender.times == [0, 0]


def test_a_stop_ends_all_waits_and_nothing_goes_any_more() -> None:
    pacing = Pacing(0.001, Clock())
    results: list[object] = []

    def wait_for_turn() -> None:
        with pytest.raises(ShutdownTimeoutError):
            pacing.wait_for_turn(1)
        results.append("no turn")

    def wait_for_retry() -> None:
        results.append(pacing.wait_until(Clock().deadline(3_600)))

    threads = [threading.Thread(target=one) for one in (wait_for_turn, wait_for_retry)]
    for thread in threads:
        thread.start()
    pacing.stop()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["False", "no turn"]
    with pytest.raises(ShutdownTimeoutError):
        pacing.wait_for_turn(1)
    assert not pacing.wait_until(0)


def test_a_wait_for_another_try_ends_in_time(clock: LeapingClock) -> None:
    pacing = Pacing(None, clock)
    assert pacing.wait_until(1_005)
    assert clock.time == 1_005


def test_the_rest_of_a_transport_is_passed_on(clock: LeapingClock) -> None:
    sender = Sender(clock)
    transport = PacedTransport(sender, Pacing(None, clock))
    transport.close()
    transport.reset_after_fork()
    assert sender.calls == ["close", "reset_after_fork"]
