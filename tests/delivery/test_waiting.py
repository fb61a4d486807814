"""A flush that takes long says why."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
from support.hasty_clock import hasty_client

from segment_librato import Client
from segment_librato.delivery.notices import FIRST_NOTICE_SECONDS, NOTICE_SECONDS
from segment_librato.process.clock import Clock

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment

LONG = 10_000.0


def seconds_of_waits(caplog: pytest.LogCaptureFixture, reason: str) -> list[int]:
    pattern = re.compile(rf"waiting for (\d+) s; messages pending: 3; {reason}")
    return [int(found[1]) for line in caplog.messages if (found := pattern.fullmatch(line))]


@pytest.mark.parametrize("call", ["flush", "join", "shutdown"])
@pytest.mark.parametrize("timeout", [None, LONG])
def test_it_logs_after_five_seconds_and_every_thirty(
    call: str, timeout: float | None, server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    server.respond(503, headers={"Retry-After": "100"}, times=2)
    options: dict[str, Any] = {"shutdown_timeout": LONG, "upload_interval": LONG}
    client, clock = hasty_client("test-key", host=server.host, **options)
    clock.is_patient = True
    for _ in range(3):
        client.track("user", "event")
    assert getattr(client, call)(timeout)
    waits = seconds_of_waits(caplog, r"127\.0\.0\.1:\d+ answered 503")
    expected = [*range(FIRST_NOTICE_SECONDS, 200, NOTICE_SECONDS)]
    assert waits == pytest.approx(expected, abs=2)
    assert client.stats.delivered == 3
    client.shutdown()


class SteppedClock(Clock):
    """Real time, and what a test adds to it.

    Attributes:
        skipped: seconds that the test has added.
        asked: how often somebody has asked for the time.
    """

    skipped = 0.0
    asked = 0

    def now(self) -> float:
        self.asked += 1
        return super().now() + self.skipped


@pytest.mark.parametrize("timeout", [None, LONG])
def test_so_does_one_in_an_event_loop(
    timeout: float | None, server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    clock = SteppedClock()
    kind = type("SteppedClient", (Client,), {"_clock": clock})
    client = kind("test-key", server.host, upload_interval=LONG)

    async def main() -> bool:
        for _ in range(3):
            client.track("user", "event")
        flushing = asyncio.create_task(client.aflush(timeout))
        assert await asyncio.to_thread(server.wait_until, lambda: server.held == 1)
        for seconds in range(0, 100, 5):
            clock.skipped, clock.asked = seconds, 0
            while clock.asked < 3:  # noqa: ASYNC110  it has looked, with this time
                await asyncio.sleep(0.001)
        server.release()
        return bool(await flushing)

    with server.hold():
        assert asyncio.run(main())
    expected = [*range(FIRST_NOTICE_SECONDS, 100, NOTICE_SECONDS)]
    reason = rf"no response yet from 127\.0\.0\.1:{server.port}"
    assert seconds_of_waits(caplog, reason) == pytest.approx(expected, abs=2)
    client.shutdown()


def test_a_flush_that_takes_no_time_says_nothing(
    server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    client, _ = hasty_client("test-key", host=server.host)
    client.track("user", "event")
    assert client.flush()
    assert client.shutdown()
    assert not caplog.messages
