"""Server-sent events: one line for each change, and few of them however much arrives."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from support.debugger import ask, follow
from support.local_server import batch, exchange, post, server_threads, track
from support.real_time import in_real_time
from support.waiting import wait_until

from segment_librato.devserver.page import clients, stream
from segment_librato.devserver.page.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Generator

    from segment_librato import Client
    from segment_librato.devserver.page.debugger import Debugger


class TestLines:
    def test_the_first_line_comes_at_once(self, debugger: Debugger) -> None:
        post(debugger.server, batch(track(), track()))
        with closing(follow(debugger)) as states:
            assert next(states) == {
                "events": 2,
                "latest": 2,
                "requests": 1,
                "measurements": 2,
                "finished": 1,
                "clients": 0,
                "faults": 0,
                "cleared": 0,
            }

    @in_real_time
    def test_an_event_is_told_within_a_second(self, debugger: Debugger, client: Client) -> None:
        with closing(follow(debugger)) as states:
            latest = next(states)["latest"]
            began = time.monotonic()
            client.track("ada", "Signed Up")
            while next(states)["latest"] != latest + 1:
                pass
            # What the client waits for a batch to fill is part of it.
            assert time.monotonic() - began < 5

    def test_each_kind_of_change_is_told(self, debugger: Debugger) -> None:
        with closing(follow(debugger)) as states:
            state = next(states)
            for name, path, body, method in [
                ("faults", "/faults", {"kind": "500"}, "POST"),
                ("faults", "/faults", None, "DELETE"),
                ("clients", "/clients", {"name": "x", "stats": {}}, "POST"),
                ("requests", "/v1/nowhere", {}, "POST"),
                ("latest", "/events", track(), "POST"),
                ("cleared", "/events", None, "DELETE"),
            ]:
                ask(debugger, path, body, method=method)
                changed = next(states)
                while changed[name] == state[name]:
                    changed = next(states)
                assert changed[name] == state[name] + 1
                state = changed

    def test_a_client_that_falls_silent_is_told(
        self, debugger: Debugger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ask(debugger, "/clients", {"name": "x", "stats": {}})
        with closing(follow(debugger)) as states:
            assert next(states)["clients"] == 1
            later = time.monotonic() + clients.SILENCE
            monkeypatch.setattr(clients, "time", SimpleNamespace(monotonic=lambda: later))
            assert next(states)["clients"] == 2

    def test_thousands_of_events_are_few_lines(self, debugger: Debugger) -> None:
        lines = []

        def listen() -> None:
            with closing(follow(debugger)) as states:
                for state in states:
                    lines.append((time.monotonic(), state))
                    if state["latest"] > 5000:
                        return

        listener = threading.Thread(target=listen)
        listener.start()
        wait_until(lambda: bool(lines))
        for _ in range(50):
            post(debugger.server, batch(*[track()] * 100))
        post(debugger.server, batch(track()))
        listener.join(20)

        assert not listener.is_alive()
        times = [at for at, _ in lines]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        # Five a second; what the machine delays on one line is missing before the next.
        assert len(gaps) <= (times[-1] - times[0]) / 0.2 + 1


class TestWithoutHttp:
    """The pace, with a state and a clock that are the test's own."""

    @pytest.fixture
    def state(self) -> dict[str, int]:
        return {"n": 0}

    def test_an_unchanged_state_is_told_once(
        self, state: dict[str, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream, "LOOK_AFTER", 0.01)
        monkeypatch.setattr(stream, "COMMENT_AFTER", 0.3)
        monkeypatch.setattr(stream, "PAUSE", 0.01)
        told = Stream(lambda: dict(state))
        lines: Generator[bytes, None, None] = told.follow()

        assert next(lines) == b"retry: 1000\n\n"
        assert next(lines) == b'data: {"n": 0}\n\n'
        for _ in range(100):
            told.touch()
        assert next(lines) == b": nothing new\n\n"
        state["n"] = 1
        told.touch()
        assert next(lines) == b'data: {"n": 1}\n\n'
        told.close()
        assert list(lines) == []

    def test_between_two_lines_there_is_a_pause(self, state: dict[str, int]) -> None:
        told = Stream(lambda: {"n": state["n"]})
        lines = told.follow()
        next(lines)
        next(lines)
        began = time.monotonic()
        state["n"] = 1
        next(lines)
        assert time.monotonic() - began >= 0.19


class TestTheEnd:
    def test_the_server_closes_although_somebody_listens(self, debugger: Debugger) -> None:
        with closing(follow(debugger)) as states:
            next(states)
            began = time.monotonic()
            debugger.close()
            assert time.monotonic() - began < 10
            assert list(states) == []

    def test_a_listener_that_left_costs_no_thread(
        self, debugger: Debugger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream, "COMMENT_AFTER", 0.1)
        monkeypatch.setattr(stream, "LOOK_AFTER", 0.05)
        for _ in range(3):
            with closing(follow(debugger)) as states:
                next(states)

        wait_until(lambda: len(server_threads()) == 1)

    def test_old_http_gets_it_in_one_piece(self, debugger: Debugger) -> None:
        post(debugger.server, batch(track()))

        received = exchange(debugger.server, b"GET /events.jsonl HTTP/1.0\r\n\r\n")

        head, _, body = received.partition(b"\r\n\r\n")
        assert b"Connection: close" in head
        assert b"Transfer-Encoding" not in head
        assert body.startswith(b'{"receivedAt": ')

    def test_only_the_head_of_a_stream(self, debugger: Debugger) -> None:
        answer = ask(debugger, "/stream", method="HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
