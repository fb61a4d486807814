"""The client in an event loop, which keeps running while messages are delivered."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

import segment_librato as analytics
from segment_librato import Client, ShutdownTimeoutError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]

LONG = 60.0


def consumer_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "segment-consumer"]


def test_a_flush_delivers_while_the_event_loop_goes_on(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(upload_interval=LONG)

    async def main() -> bool:
        client.track("user", "event")
        flushing = asyncio.create_task(client.aflush(timeout=10))
        assert await asyncio.to_thread(server.wait_until, lambda: server.held == 1)
        assert not flushing.done()  # the loop runs, and the server holds the request
        server.release()
        return await flushing

    with server.hold():
        assert asyncio.run(main())
    assert client.stats.delivered == 1


def test_a_flush_ends_at_its_deadline(server: LocalSegment, make_client: MakeClient) -> None:
    client = make_client(upload_interval=LONG)
    client.track("user", "event")
    with server.hold():
        assert not asyncio.run(client.aflush(timeout=0.05))
        assert not asyncio.run(client.aflush(timeout=0))
    assert asyncio.run(client.aflush())


def test_a_flush_covers_what_came_before_it_and_nothing_more(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(upload_size=1)
    server.respond(200, times=1)
    server.respond(500, times=None)

    async def main() -> bool:
        client.track("user", "event")
        assert server.wait_until(lambda: server.held == 1)  # alone
        flushing = asyncio.create_task(client.aflush(timeout=10))
        await asyncio.sleep(0)  # it has begun
        client.track("user", "event")
        server.release()
        return await flushing

    with server.hold():
        assert asyncio.run(main())
    assert client.stats.delivered == 1
    client.shutdown(timeout=0)


def test_a_flush_can_be_cancelled_and_leaves_nothing_behind(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(upload_interval=LONG)
    client.track("user", "event")
    threads = threading.active_count()

    async def main() -> None:
        for _ in range(20):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.aflush(), 0.01)

    with server.hold():
        asyncio.run(main())
        assert threading.active_count() <= threads + 2  # the consumer, and a thread of the server
    assert client.flush(timeout=10)


def test_a_flush_of_nothing_is_true_at_once(make_client: MakeClient) -> None:
    assert asyncio.run(make_client().aflush(timeout=0))


@pytest.mark.parametrize("timeout", ["5", True, float("nan"), [5]])
def test_a_timeout_that_is_no_number_is_rejected(make_client: MakeClient, timeout: Any) -> None:
    with pytest.raises(ValidationError, match="timeout: expected a number of seconds or None"):
        asyncio.run(make_client().aflush(timeout))


def test_a_flush_within_on_error_returns_false_at_once(
    server: LocalSegment, make_client: MakeClient
) -> None:
    results: list[bool] = []

    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        results.append(asyncio.run(client.aflush()))

    client = make_client(on_error=on_error, upload_interval=LONG)
    server.respond(404)
    client.track("user", "event")
    assert client.flush(timeout=10)
    assert results == [False]


def test_without_a_thread_a_flush_sends_on_its_own(
    server: LocalSegment, make_client: MakeClient, no_threads: None
) -> None:
    client = make_client()
    client.track("user", "event")
    assert asyncio.run(client.aflush(timeout=10))
    assert client.stats.delivered == 1


def test_a_client_is_an_asynchronous_context_manager(server: LocalSegment, errors: Errors) -> None:
    async def main() -> Client:
        async with Client("test-key", server.host, on_error=errors, upload_interval=LONG) as client:
            for n in range(10):
                client.track("user", "event", {"n": n})
        assert not client.track("user", "event")[0]
        return client

    client = asyncio.run(main())
    assert client.stats.delivered == 10
    assert client.stats.rejected == 1
    for thread in consumer_threads():
        thread.join(10)
    assert not any(consumer.is_alive() for consumer in client.consumers)


def test_what_is_left_at_the_end_of_the_context_goes_to_on_error(
    server: LocalSegment, errors: Errors
) -> None:
    async def main() -> Client:
        async with Client(
            "test-key", server.host, on_error=errors, shutdown_timeout=0.05
        ) as client:
            client.track("user", "event")
        return client

    with server.hold():
        client = asyncio.run(main())
    assert errors.types == [ShutdownTimeoutError]
    assert client.stats.pending == 0


def test_a_slow_on_error_at_the_end_of_the_context_does_not_hold_the_loop_up(
    server: LocalSegment,
) -> None:
    begun, let_go = threading.Event(), threading.Event()
    outcomes: list[bool] = []

    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        begun.set()
        outcomes.append(let_go.wait(10))

    async def use() -> None:
        async with Client("test-key", server.host, on_error=on_error, shutdown_timeout=0) as client:
            client.track("user", "event")

    async def main() -> None:
        using = asyncio.create_task(use())
        assert await asyncio.to_thread(begun.wait, 10)
        let_go.set()
        await using

    with server.hold():
        asyncio.run(main())
    assert outcomes == [True]


def test_the_module_flushes_its_default_client_and_the_former(
    server: LocalSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analytics, "write_key", "test-key")
    monkeypatch.setattr(analytics, "host", server.host)
    monkeypatch.setattr(analytics, "upload_interval", LONG)
    monkeypatch.setattr(analytics, "default_client", None)
    analytics.track("user", "first")
    monkeypatch.setattr(analytics, "upload_interval", 2 * LONG)
    analytics.track("user", "second")
    assert asyncio.run(analytics.aflush(timeout=10))
    assert sorted(message["event"] for message in server.messages) == ["first", "second"]
    analytics.shutdown()
