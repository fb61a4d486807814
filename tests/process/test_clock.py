"""Clocks that an application's test has stopped or set: no wait of the library follows them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from support.background import Background
from support.raw_server import RawServer
from support.script import run

from segment_librato import Client
from segment_librato.gauge_delivery.aggregate import MultiSample
from segment_librato.gauge_delivery.queue import GaugeQueue
from segment_librato.librato.mapper import Measurement
from segment_librato.process.clock import monotonic
from segment_librato.queue.message_queue import MessageQueue
from segment_librato.queue.schedule import BatchRules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]

SHORT = 0.05
LONG = 60.0
OTHER_TIMES = [-1e9, 1e9]  # of a clock that a test has stopped; the real one is somewhere between


@pytest.mark.parametrize("seconds", OTHER_TIMES)
def test_what_is_put_in_while_the_clock_is_stopped_leaves_at_its_interval(seconds: float) -> None:
    queue = MessageQueue(10, BatchRules(10, 10, 1_000, SHORT))
    queue.register_worker("worker")
    with mock.patch("time.monotonic", return_value=seconds):
        assert queue.put(b"message") is None
    batch = Background(lambda: queue.take("worker")).wait()
    assert getattr(batch, "messages", None) == [b"message"]


@pytest.mark.parametrize("seconds", OTHER_TIMES)
def test_a_gauge_that_is_put_in_while_the_clocks_are_stopped_leaves_at_the_end_of_its_period(
    seconds: float,
) -> None:
    queue = GaugeQueue(10, BatchRules(10, 10, 1_000, 0), SHORT)
    queue.register_worker("worker")
    sample = MultiSample(Measurement("gauge", 1, 0, "source"), 60, 0)
    with (
        mock.patch("time.monotonic", return_value=seconds),
        mock.patch("time.time", return_value=seconds),
    ):
        assert queue.put(sample) is None
    assert Background(lambda: queue.take("worker")).wait() is not None


def test_an_asynchronous_flush_ends_although_the_clock_is_stopped(
    server: LocalSegment, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(upload_interval=LONG)
    monkeypatch.setattr(asyncio.BaseEventLoop, "time", lambda _: monotonic())

    async def main() -> bool:
        with mock.patch("time.monotonic", return_value=1e9):
            client.track("user", "event")
            return await asyncio.wait_for(client.aflush(timeout=SHORT), 10)

    with server.hold():
        assert asyncio.run(main()) is False


def test_a_clock_that_jumps_does_not_end_a_request(errors: Errors) -> None:
    jump = 0.0

    def script() -> Iterator[bytes]:
        nonlocal jump
        yield b"HTTP/1.1 200 OK\r\nContent-"
        jump = 1e9
        yield b"Length: 0\r\n\r\n"

    with (
        RawServer(script) as raw,
        mock.patch("time.monotonic", side_effect=lambda: monotonic() + jump),
    ):
        client = Client("test-key", raw.host, on_error=errors, upload_interval=LONG)
        client.track("user", "event")
        assert client.shutdown(timeout=20)
    assert errors.calls == []
    assert len(raw.requests) == 1


@pytest.mark.parametrize("seconds", OTHER_TIMES)
def test_the_library_may_be_imported_while_the_clock_is_stopped(
    server: LocalSegment, seconds: float
) -> None:
    output = run(
        server,
        "print(abs(segment_librato.process.clock.monotonic() - real()) < 60)",
        before_import=f"""
        import time
        real = time.monotonic
        time.monotonic = lambda: {seconds}
        import segment_librato
        time.monotonic = real
        """,
    )
    assert output == "True\n"
