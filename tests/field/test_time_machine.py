"""time-machine, which sets the wall clock under an application's test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import time_machine

from segment_librato import LibratoConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato import Client
    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]

ELSEWHEN = "2012-01-14T03:21:34.567+00:00"
SHORT = 0.05
MINUTE = len("2012-01-14T03:21")  # the clock may tick
ANY_AGE = 9e9  # seconds


@pytest.mark.parametrize("tick", [False, True])
def test_a_message_has_the_time_travelled_to_and_is_sent_at_its_interval(
    server: LocalSegment, make_client: MakeClient, tick: bool
) -> None:
    client = make_client(upload_interval=SHORT)
    client.track("user", "before")
    assert server.wait_for(1)
    with time_machine.travel(ELSEWHEN, tick=tick):
        _, message = client.track("user", "event")
    assert server.wait_for(2)
    assert server.messages[1]["timestamp"] == message["timestamp"]
    assert message["timestamp"][:MINUTE] == ELSEWHEN[:MINUTE]


@pytest.mark.parametrize("when", [ELSEWHEN, "2080-01-01T00:00:00+00:00"])
def test_a_period_ends_although_the_wall_clock_stands(
    server: LocalSegment, make_client: MakeClient, when: str
) -> None:
    account = LibratoConfig(
        "ada@example.com", "token", host=server.host, aggregate=1, time_window=ANY_AGE
    )
    client = make_client(gauges=account)
    with time_machine.travel(when, tick=False):
        client.gauge("gauge", 3)
        assert server.wait_until(lambda: bool(server.librato.samples))
    client.gauge("gauge", 4)
    assert server.wait_until(lambda: len(server.librato.samples) == 2)
