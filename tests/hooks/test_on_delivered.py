"""`on_delivered`: it is told of what was delivered, once, and before anybody stops waiting."""

from __future__ import annotations

import json
import logging
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support.background import Background, release_when_waited_for
from support.interruptions import OF_ALL_TYPES, OURS, SoftTimeLimit, interrupted, within
from support.script import run

from segment_librato import Client, LibratoConfig, ShutdownTimeoutError, SpoolConfig
from segment_librato.config.client import Config
from segment_librato.queue.in_flight import InFlightBatch
from segment_librato.queue.message_queue import MessageQueue
from segment_librato.queue.schedule import BatchRules
from segment_librato.spooling.folder import open_spool
from segment_librato.spooling.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]
    Message = dict[str, Any]

LONG = 60.0
HERE = within(OURS, __file__)


class Deliveries:
    """An `on_delivered` that keeps what it is called with."""

    def __init__(self) -> None:
        self.calls: list[list[Message]] = []
        self.threads: list[threading.Thread] = []

    def __call__(self, messages: list[Message]) -> None:
        self.threads.append(threading.current_thread())
        self.calls.append(messages)

    @property
    def messages(self) -> list[Message]:
        return [message for messages in self.calls for message in messages]


@pytest.fixture
def deliveries() -> Deliveries:
    return Deliveries()


def test_it_is_told_of_each_message_before_a_flush_returns(
    server: LocalSegment, make_client: MakeClient, deliveries: Deliveries
) -> None:
    client = make_client(on_delivered=deliveries, upload_size=10, thread=2)
    sent = [client.track("u", "event", {"n": n})[1] for n in range(95)]
    assert client.flush(10)
    key = json.dumps
    assert sorted(deliveries.messages, key=key) == sorted(sent, key=key)
    threads = {consumer.thread for consumer in client.consumers}
    assert {*deliveries.threads} <= threads
    assert client.stats.delivered == 95


def test_in_sync_mode_the_call_tells_it(
    server: LocalSegment, make_client: MakeClient, deliveries: Deliveries
) -> None:
    client = make_client(on_delivered=deliveries, sync_mode=True)
    _, message = client.track("u", "event")
    assert deliveries.calls == [[message]]
    assert deliveries.threads == [threading.current_thread()]


def test_of_a_batch_it_is_told_what_was_delivered_and_on_error_the_rest(
    server: LocalSegment, make_client: MakeClient, deliveries: Deliveries, errors: Errors
) -> None:
    server.respond(400, times=None, when=lambda request: "poison" in str(request.messages))
    client = make_client(on_delivered=deliveries, upload_size=100)
    for n in range(20):
        client.track("u", "poison" if n == 7 else "event", {"n": n})
    assert client.flush(10)
    delivered = sorted(one["properties"]["n"] for one in deliveries.messages)
    assert delivered == [*range(7), *range(8, 20)]
    assert [one["properties"]["n"] for _, messages in errors.calls for one in messages] == [7]
    assert (client.stats.delivered, client.stats.failed) == (19, 1)


def test_it_is_told_of_gauges_as_they_were_delivered(
    server: LocalSegment, make_client: MakeClient, deliveries: Deliveries
) -> None:
    account = LibratoConfig("ada@example.com", "token", host=server.host, aggregate=3_600)
    client = make_client(on_delivered=deliveries, gauges=account)
    client.gauge("depth", 1, source="web-1")
    client.gauge("depth", 2, source="web-1")
    assert client.flush(10)
    (gauge,) = [one for one in deliveries.messages if "messageId" not in one]
    shown = gauge["name"], gauge["source"], gauge["sum"], gauge["count"]
    assert shown == ("depth", "web-1", 3, 2)
    assert len([one for one in deliveries.messages if "messageId" in one]) == 2


def test_it_is_told_of_what_dead_processes_left(
    server: LocalSegment, make_client: MakeClient, deliveries: Deliveries, tmp_path: Path
) -> None:
    folder = open_spool(tmp_path / "spool", "test-key", Config("test-key", server.host).batch_url)
    message = {"type": "track", "userId": "u", "event": "e", "messageId": "m"}
    left = Run(folder)
    left.lane().append(json.dumps(message).encode())
    left.close()
    client = make_client(on_delivered=deliveries, spool=SpoolConfig(folder.parent))
    client.track("u", "own")
    assert client.flush(10)
    assert server.wait_for(2)
    assert client.shutdown(10)
    assert sorted(one["event"] for one in deliveries.messages) == ["e", "own"]
    assert (client.stats.accepted, client.stats.delivered) == (1, 1)


def raise_one(messages: list[Message]) -> None:
    raise ValueError(str(messages))


async def asynchronous(messages: list[Message]) -> None:
    raise AssertionError


def test_what_it_raises_is_logged_and_does_no_harm(
    server: LocalSegment,
    make_client: MakeClient,
    errors: Errors,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = make_client(on_delivered=raise_one)
    client.track("u", "s3cret")
    assert client.flush(10)
    assert (client.stats.delivered, client.stats.failed, errors.calls) == (1, 0, [])
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert line.startswith(f"on_delivered raised ValueError at {__file__}:")
    assert "s3cret" not in caplog.text


def test_a_coroutine_that_it_returns_is_logged(
    server: LocalSegment, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    made = []

    def on_delivered(messages: list[Message]) -> object:
        made.append(asynchronous(messages))
        return made[-1]

    client = make_client(on_delivered=on_delivered)
    client.track("u", "event")
    assert client.flush(10)
    made[0].close()
    assert "on_delivered returned a coroutine, which nothing runs" in caplog.messages


@pytest.mark.parametrize("sync_mode", [False, True])
def test_one_that_exits_changes_no_outcome(
    server: LocalSegment,
    make_client: MakeClient,
    errors: Errors,
    caplog: pytest.LogCaptureFixture,
    sync_mode: bool,
) -> None:
    def leave(messages: list[Message]) -> None:
        raise SystemExit(3)

    client = make_client(on_delivered=leave, sync_mode=sync_mode)
    if sync_mode:
        with pytest.raises(SystemExit):
            client.track("u", "event")
    else:
        client.track("u", "event")
        assert client.shutdown(10)
        assert "the consumer continues after SystemExit" in caplog.messages
    stats = client.stats
    assert (stats.accepted, stats.delivered, stats.failed, stats.pending) == (1, 1, 0, 0)
    assert errors.calls == []


@pytest.mark.parametrize("sync_mode", [False, True])
def test_it_may_call_anything(
    server: LocalSegment, make_client: MakeClient, sync_mode: bool
) -> None:
    client: Client
    told: list[str] = []

    def on_delivered(messages: list[Message]) -> None:
        told.extend(message["event"] for message in messages)
        if "event" in told[-len(messages) :]:
            assert client.track("u", "nested")[0]
            assert not client.flush(10)
            assert not client.join(10)

    client = make_client(on_delivered=on_delivered, sync_mode=sync_mode)
    client.track("u", "event")
    assert client.flush(10)
    assert client.flush(10)
    assert [message["event"] for message in server.messages] == ["event", "nested"]
    assert told == (["event"] if sync_mode else ["event", "nested"])
    assert client.stats.delivered == client.stats.accepted == 2


class Blocking:
    """An `on_delivered` that returns when it is released."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()
        self.told = 0

    def __call__(self, messages: list[Message]) -> None:
        self.begun.set()
        assert self.released.wait(LONG)
        self.told += len(messages)


def test_a_flush_and_a_shutdown_wait_for_a_call_that_has_begun(
    server: LocalSegment, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocking = Blocking()
    client = make_client(on_delivered=blocking, upload_size=1)
    client.track("u", "event")
    assert blocking.begun.wait(10)
    assert client.stats.pending == 1
    assert not client.flush(0.1)
    release_when_waited_for(blocking.released, monkeypatch)
    assert not client.shutdown(timeout=0)
    assert blocking.told == 1
    assert client.stats.delivered == 1


def test_one_that_hangs_does_not_hang_a_shutdown(
    server: LocalSegment,
    make_client: MakeClient,
    errors: Errors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What waits behind goes to `on_error`, and what was delivered does not."""
    monkeypatch.setattr("segment_librato.delivery.pipeline.REPORT_GRACE", 0.1)
    blocking = Blocking()
    client = make_client(on_delivered=blocking, upload_size=1)
    client.track("u", "first")
    assert blocking.begun.wait(10)
    client.track("u", "second")
    assert not client.shutdown(timeout=0)
    assert errors.types == [ShutdownTimeoutError]
    assert [message["event"] for _, messages in errors.calls for message in messages] == ["second"]
    blocking.released.set()
    assert client.shutdown(10)
    stats = client.stats
    assert (stats.accepted, stats.delivered, stats.failed, stats.pending) == (2, 1, 1, 0)


def test_what_was_handed_to_on_error_is_not_told_of(
    server: LocalSegment, make_client: MakeClient, deliveries: Deliveries, errors: Errors
) -> None:
    """The response came after the shutdown had given up."""
    client = make_client(on_delivered=deliveries, upload_size=1)
    with server.hold():
        client.track("u", "event")
        assert server.wait_until(lambda: server.held == 1)
        ending = Background(partial(client.shutdown, 0))
        assert ending.wait() is False
    assert errors.types == [ShutdownTimeoutError]
    for consumer in client.consumers:
        assert consumer.thread
        consumer.thread.join(10)
    assert deliveries.calls == []


def test_the_exit_waits_for_a_call_that_has_begun(server: LocalSegment) -> None:
    output = run(
        server,
        """
        begun = threading.Event()
        def slow(messages):
            begun.set()
            time.sleep(0.5)  # longer than the exit waits for deliveries
            os.write(1, f"told {len(messages)}\\n".encode())
        client = make(on_delivered=slow, upload_size=1, exit_timeout=0.2)
        client.track("user", "event")
        assert begun.wait(20)
        """,
    )
    assert output == "told 1\n"


def test_a_time_limit_reaches_the_caller(make_client: MakeClient, errors: Errors) -> None:
    def limit_time(number: int, frame: FrameType | None) -> None:
        raise SoftTimeLimit

    def wait(messages: list[Message]) -> None:
        signal.raise_signal(signal.SIGUSR1)

    client = make_client(on_delivered=wait, sync_mode=True)
    before = signal.signal(signal.SIGUSR1, limit_time)
    try:
        with pytest.raises(SoftTimeLimit):
            client.track("u", "event")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (client.stats.delivered, client.stats.failed, errors.calls) == (1, 0, [])


@pytest.mark.filterwarnings("ignore:unclosed")
@pytest.mark.parametrize("exceptions", [(KeyboardInterrupt,), OF_ALL_TYPES], ids=["Ctrl-C", "all"])
def test_an_interruption_anywhere_leaves_each_message_one_outcome(
    server: LocalSegment,
    make_client: MakeClient,
    deliveries: Deliveries,
    errors: Errors,
    exceptions: tuple[type[BaseException], ...],
) -> None:
    client = make_client(on_delivered=deliveries, sync_mode=True)
    assert client.track("u", "event")[0]
    place = 1
    while interrupted(partial(client.track, "u", "event"), place, exceptions, HERE):
        stats = client.stats
        assert stats.accepted == stats.delivered + stats.failed, f"place {place}"
        assert stats.failed == len(errors.message_ids), f"place {place}"
        told = {message["messageId"] for message in deliveries.messages}
        assert not told & {*errors.message_ids}, f"place {place}"
        place += 1
    assert place > 50


# The ledger


@pytest.fixture
def queue() -> MessageQueue:
    return MessageQueue(100, BatchRules(10, 10, 1_000, 60))


def sums(queue: MessageQueue) -> tuple[int, int, int]:
    stats = queue.ledger.stats()
    return stats.delivered, stats.failed, stats.pending


def test_what_was_claimed_is_counted_once(queue: MessageQueue) -> None:
    ledger, held = queue.ledger, InFlightBatch(b"0", b"1", b"2")
    queue.admit(held)
    assert ledger.claim_delivered(held, 2)
    assert sums(queue) == (0, 0, 3)
    ledger.settle_delivered(held)
    ledger.settle_delivered(held)
    assert sums(queue) == (2, 0, 1)


def test_what_an_orphan_had_claimed_so_is_delivered(queue: MessageQueue) -> None:
    ledger, held, heir = queue.ledger, InFlightBatch(b"0", b"1", b"2"), InFlightBatch()
    queue.admit(held)
    assert ledger.claim_delivered(held, 2)
    held.is_orphan = True
    assert ledger.adopt(heir)
    assert heir.messages == [b"2"]
    ledger.settle_delivered(held)  # its holder lives after all
    assert sums(queue) == (2, 0, 1)


def test_who_abandons_the_rest_leaves_it_to_its_holder(queue: MessageQueue) -> None:
    ledger, held = queue.ledger, InFlightBatch(b"0", b"1", b"2")
    queue.admit(held)
    assert ledger.claim_delivered(held, 2)
    left_over: list[Any] = []
    ledger.abandon(left_over)
    assert [rest for _, rest in left_over] == [(b"2",)]
    ledger.mark_failed(held, 1)
    ledger.settle_delivered(held)
    assert not ledger.claim_delivered(held, 1)
    assert sums(queue) == (2, 1, 0)
