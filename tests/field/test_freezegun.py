"""freezegun, in the middle of whose frozen time an application's test tracks."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest
from freezegun import freeze_time
from support.script import run

from segment_librato import LibratoConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato import Client
    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]

FROZEN = "2012-01-14T03:21:34.567+00:00"
SHORT = 0.05
MINUTE = len("2012-01-14T03:21")  # the clock may tick
LONG = 60.0
ANY_AGE = 9e9  # seconds


@pytest.mark.parametrize("tick", [False, True])
def test_a_message_has_the_frozen_time_and_is_sent_at_its_interval(
    server: LocalSegment, make_client: MakeClient, tick: bool
) -> None:
    client = make_client(upload_interval=SHORT)
    client.track("user", "before")
    assert server.wait_for(1)  # from now on, the consumer waits
    with freeze_time(FROZEN, tick=tick):
        _, message = client.track("user", "event", {"at": datetime.now(timezone.utc)})
    assert server.wait_for(2)
    assert server.messages[1]["timestamp"] == message["timestamp"]
    assert message["timestamp"][:MINUTE] == FROZEN[:MINUTE]
    assert message["properties"]["at"][:MINUTE] == FROZEN[:MINUTE]


def test_a_period_ends_although_the_time_is_frozen(
    server: LocalSegment, make_client: MakeClient
) -> None:
    account = LibratoConfig(
        "ada@example.com", "token", host=server.host, aggregate=1, time_window=ANY_AGE
    )
    client = make_client(gauges=account)
    with freeze_time(FROZEN):
        client.gauge("gauge", 3)
        assert server.wait_until(lambda: bool(server.librato.samples))
    client.gauge("gauge", 4)
    assert server.wait_until(lambda: len(server.librato.samples) == 2)


def test_an_asynchronous_flush_ends_at_its_deadline(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(upload_interval=LONG)

    async def main() -> bool:
        with freeze_time(FROZEN, real_asyncio=True):
            client.track("user", "event")
            return await asyncio.wait_for(client.aflush(timeout=SHORT), 10)

    with server.hold():
        assert asyncio.run(main()) is False


def test_a_flush_ends_at_its_deadline_in_frozen_time(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(upload_interval=LONG)
    with freeze_time(FROZEN):
        client.track("user", "event")
        with server.hold():
            assert not client.flush(timeout=SHORT)
        assert client.flush(timeout=10)


def test_a_process_that_is_frozen_from_the_import_on_delivers(server: LocalSegment) -> None:
    """Its waits go on in real time, in the freeze and after it."""
    run(
        server,
        """
        client = make(upload_interval=0.05)
        def wait_for(count):
            while client.stats.delivered < count:
                pass
        track(client, [0])
        wait_for(1)
        frozen.stop()
        track(client, [1])
        wait_for(2)
        """,
        before_import=f"""
        from freezegun import freeze_time
        frozen = freeze_time({FROZEN!r})
        frozen.start()
        """,
    )
    assert len(server.messages) == 2
