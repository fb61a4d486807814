"""Consumers that cannot start, or are killed: what they held, and what waits, is delivered."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from support.background import Background
from support.script import run, sequence_numbers

from segment_librato import QueueFullError
from segment_librato.delivery.consumer import Consumer
from segment_librato.delivery.delivery import Delivery
from segment_librato.delivery.pipeline import Pipeline
from segment_librato.queue.message_queue import MessageQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.errors import Errors

    from segment_librato import Client
    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]

LONG = 60.0

# A thread that is killed in the middle of a request leaves a socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket")


class Killed(BaseException):
    """What a test raises in the thread of a consumer."""


def kill(client: Client, error: type[BaseException] = Killed) -> threading.Thread:
    """Raise an exception in the thread of a consumer, wherever it is; return the thread."""
    thread = client.consumers[0].thread
    assert thread is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(error)
    )
    return thread


@pytest.fixture(autouse=True)
def untraced() -> Iterator[None]:
    """Do not measure coverage here.

    CPython 3.11 never begins a traced call while an exception waits for another thread to wake up.
    """
    traces = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    yield
    sys.settrace(traces[0])
    threading.settrace(traces[1])


@pytest.fixture(autouse=True)
def unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads end by what kills them; pytest would complain."""
    monkeypatch.setattr(threading, "excepthook", lambda _: None)


@contextmanager
def killed_on_the_way_out() -> Iterator[None]:
    """Let no consumer say that it ends, as if it were killed once more before it could."""

    def die(*_: object) -> None:
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MessageQueue, "lose_worker", die)
        patch.setattr(Delivery, "give_up", die)
        yield


@contextmanager
def killed_while_it_sends(server: LocalSegment, client: Client) -> Iterator[None]:
    """Have the consumer die after a block, as it sends one message and another one waits."""
    with server.hold(), killed_on_the_way_out():
        client.track("user", "event", {"n": 0})
        assert server.wait_until(lambda: server.held == 1)
        client.track("user", "event", {"n": 1})
        thread = kill(client)
        yield
        server.release()
        thread.join(10)


def test_a_queue_that_filled_up_without_a_thread_is_served_as_soon_as_there_is_one(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    client = make_client(max_queue_size=3, upload_interval=LONG)
    with pytest.MonkeyPatch.context() as patch:

        def start(consumer: Consumer) -> None:
            raise RuntimeError("no thread")

        patch.setattr(Consumer, "start", start)
        accepted = [client.track("user", "event", {"n": n})[0] for n in range(5)]
    assert accepted == [True, True, True, False, False]
    client.track("user", "event", {"n": -1})  # it is full, but perhaps not any more
    assert server.wait_for(3)
    assert client.track("user", "event", {"n": 3})[0]
    assert client.flush()
    assert [n for n in sequence_numbers(server) if n >= 0] == [0, 1, 2, 3]
    assert set(errors.types) == {QueueFullError}


@pytest.mark.parametrize("how", ["call", "flush", "join", "shutdown", "aflush"])
def test_a_consumer_that_has_ended_without_a_word_is_replaced(
    server: LocalSegment, make_client: MakeClient, how: str
) -> None:
    """By a call that finds the queue full, or by who waits for what waits."""
    client = make_client(max_queue_size=3, upload_interval=LONG, upload_size=100)
    with killed_on_the_way_out():
        client.track("user", "event", {"n": 0})
        kill(client)
        client.track("user", "event", {"n": 1})
        client.queue.begin_flush()  # it wakes up, and dies
        client.consumers[0].thread.join(10)  # type: ignore[union-attr]
    assert not client.consumers[0].is_alive()
    assert client.queue.workers.count == 1
    if how == "call":
        for n in range(2, 5):
            client.track("user", "event", {"n": n})
        assert server.wait_for(3)
    elif how == "aflush":
        assert asyncio.run(client.aflush())
    else:
        assert getattr(client, how)()
    assert client.flush()
    assert sequence_numbers(server)[:2] == [0, 1]


def test_a_flush_goes_on_if_the_consumer_is_killed_meanwhile(
    server: LocalSegment, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it was sending is sent by the next one, once it is noticed."""
    client = make_client(upload_size=1, upload_interval=LONG)
    with killed_while_it_sends(server, client):
        flushing = Background(client.flush)
        assert flushing.is_running()
    assert flushing.wait() is True
    stats = client.stats
    assert (stats.accepted, stats.delivered, stats.pending) == (2, 2, 0)
    assert set(sequence_numbers(server)) == {0, 1}


def test_a_flush_goes_on_if_a_call_replaces_the_killed_consumer(
    server: LocalSegment, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(upload_size=1, upload_interval=LONG)
    wait_until_settled = Pipeline._wait_until_settled  # noqa: SLF001  between it and what follows

    def wait(pipeline: Pipeline, mark: int, deadline: float | None) -> bool | None:
        is_settled = wait_until_settled(pipeline, mark, deadline)
        if not is_settled:
            client.track("user", "event", {"n": 2})  # as another thread may
        return is_settled

    monkeypatch.setattr(Pipeline, "_wait_until_settled", wait)
    with killed_while_it_sends(server, client):
        flushing = Background(client.flush)
        assert flushing.is_running()
    client.queue.is_unserved = True  # as it is said, and then it dies
    assert flushing.wait() is True
    assert {0, 1} <= set(sequence_numbers(server))


def test_a_shutdown_sees_what_a_consumer_delivered_that_has_left_already(
    server: LocalSegment, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(upload_size=1, upload_interval=LONG)
    start_consumers = Pipeline._start_consumers  # noqa: SLF001  as it may happen at its end

    def start(pipeline: Pipeline) -> None:
        was_killed = not client.queue.workers.count
        start_consumers(pipeline)
        if was_killed and (thread := client.consumers[0].thread):
            thread.join(10 if client.queue.closed else 0)

    monkeypatch.setattr(Pipeline, "_start_consumers", start)
    with killed_while_it_sends(server, client):
        ending = Background(client.shutdown)
        assert ending.is_running()
    assert ending.wait() is True
    assert set(sequence_numbers(server)) == {0, 1}


def test_a_call_that_waits_for_room_replaces_the_killed_consumer(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(max_queue_size=1, upload_interval=LONG, block_on_full=LONG)
    with server.hold(), killed_on_the_way_out():
        client.track("user", "event", {"n": 0})
        client.queue.begin_flush()
        assert server.wait_until(lambda: server.held == 1)
        client.track("user", "event", {"n": 1})
        waiting = Background(lambda: client.track("user", "event", {"n": 2})[0])
        assert waiting.is_running()
        thread = kill(client)
        server.release()
        thread.join(10)
    assert waiting.wait() is True
    assert client.flush()
    assert set(sequence_numbers(server)) == {0, 1, 2}


def test_consumers_that_are_killed_at_random_moments_leave_nothing_behind(
    server: LocalSegment,
) -> None:
    """In a process of its own, because what is killed may as well be a hook of pytest."""
    output = run(
        server,
        """
        import ctypes, logging, random
        sys.settrace(None)  # as in `untraced`
        threading.settrace(None)
        logging.getLogger("segment").addHandler(logging.NullHandler())
        threading.excepthook = sys.unraisablehook = lambda _: None
        class Killed(BaseException):
            pass
        failed = []
        client = make(
            upload_size=5,
            upload_interval=0.001,
            max_queue_size=0,
            on_error=lambda error, messages: failed.extend(messages),
        )
        chance, accepted = random.Random(1), 0
        ends_at = time.monotonic() + 4
        while time.monotonic() < ends_at:
            for _ in range(chance.randrange(1, 20)):
                accepted += client.track("user", "event", {"n": accepted})[0]
            for _ in range(chance.randrange(1, 4)):
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(client.consumers[0].thread.ident),
                    ctypes.py_object(chance.choice([Killed, SystemExit, ValueError])),
                )
                time.sleep(chance.random() / 1_000)  # wherever the next one strikes then
        print(client.flush())
        stats = client.stats
        print(stats.accepted == accepted == stats.delivered + stats.failed, stats.pending)
        print(client.shutdown(10), client.queue.workers.count)
        print(*(message["properties"]["n"] for message in failed))
        print(accepted, stats.failed)
        """,
        *("-W", "ignore"),
    )
    *lines, failed, counts = output.splitlines()
    assert lines == ["True", "True 0", "True 0"]
    numbers = list(map(int, failed.split()))
    accepted, count_failed = map(int, counts.split())
    assert len(numbers) == len(set(numbers)) == count_failed
    assert {*numbers, *sequence_numbers(server)} == set(range(accepted))
