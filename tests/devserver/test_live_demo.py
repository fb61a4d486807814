"""The demo for a browser: what it tracks into a debugger, and how it ends."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from support.debugger import Elsewhere, events, get, start
from support.marks import needs_signals
from support.waiting import wait_until

from segment_librato.devserver.demo.plan import EVENT, WEB_SERVERS

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver.page.debugger import Debugger

pytestmark = [pytest.mark.once, needs_signals]

LIVE = ("-m", "segment_librato.devserver.demo.live")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_four_web_servers_and_a_shop_track_until_it_is_interrupted(
    number: signal.Signals,
) -> None:
    with start(*LIVE, "--port", "0") as running:
        there: Any = Elsewhere(running)
        wait_until(lambda: bool(events(there, type="page")) and bool(events(there, event="order")))

        (gauge,) = (one for one in get(there, "/gauges") if one["name"] == EVENT)
        assert gauge["sources"] == [server.source for server in WEB_SERVERS]
        lines = get(there, f"/gauges/{EVENT}", seconds=900)["lines"]
        assert all(len(line["points"]) > 250 for line in lines)  # they begin in the past
        wait_until(lambda: bool(get(there, "/clients")))
        (client,) = get(there, "/clients")
        stats = client["stats"]
        assert stats["accepted"] == stats["delivered"] + stats["failed"] + stats["pending"]
        assert {event["verdict"] for event in events(there, limit=1000)} == {"accepted"}
        assert running.end(number) == (0, "")
    assert len(running.lines) == 2


def test_it_can_open_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    opened = tmp_path / "opened"
    with start(*LIVE, "--port", "0", "--open") as running:
        there = Elsewhere(running)
        wait_until(lambda: opened.exists() and bool(opened.read_text()))
        assert opened.read_text() == f"{there.host}\n"
        assert running.end() == (0, "")


@pytest.mark.parametrize("port", ["65536", "-1", "x", "٣"])
def test_a_port_that_cannot_be_is_a_wrong_argument(port: str) -> None:
    with start(*LIVE, "--port", port) as running:
        status, errors = running.wait()
    assert status == 2
    assert errors.splitlines()[-1].endswith(" is not a number from 0 to 65535")


def test_a_taken_port_gives_one_line_and_status_1(debugger: Debugger) -> None:
    with start(*LIVE, "--port", str(debugger.server.port)) as running:
        assert running.wait() == (
            1,
            f"Cannot listen on port {debugger.server.port}: Address already in use.\n",
        )
