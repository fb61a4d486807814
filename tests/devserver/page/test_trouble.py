"""Trouble on demand: each kind, as a real client meets it, and its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from support.debugger import ask, events, get
from support.waiting import wait_until

from segment_librato import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.devserver.page.debugger import Debugger

pytestmark = pytest.mark.once


@pytest.fixture
def client(debugger: Debugger) -> Iterator[Client]:
    with Client("k", host=debugger.host, timeout=5, upload_interval=0.01) as made:
        yield made


def make(debugger: Debugger, **fault: Any) -> Any:
    answer = ask(debugger, "/faults", fault)
    assert answer.status == 200, answer.body
    return answer.json


def statuses(debugger: Debugger) -> list[int | None]:
    return [request["status"] for request in get(debugger, "/requests")["requests"]][::-1]


class TestKinds:
    def test_429_is_repeated_after_the_time_it_names(
        self, debugger: Debugger, client: Client
    ) -> None:
        assert make(debugger, kind="429", times=2, retry_after=1) == {
            "faults": [{"kind": "429", "times": 2}],
            "holding": False,
        }
        began = time.monotonic()
        client.track("ada", "Signed Up")
        assert client.flush(20)

        assert time.monotonic() - began >= 2
        assert statuses(debugger) == [429, 429, 200]
        assert client.stats.retries == 2
        assert debugger.server.requests[-1].headers["X-Retry-Count"] == "2"
        assert get(debugger, "/faults") == {"faults": [], "holding": False}

    def test_parts_of_a_second_are_rounded_up(self, debugger: Debugger) -> None:
        make(debugger, kind="429", retry_after=0.2, times=1.0)
        assert (
            ask(debugger, "/v1/track", b'{"writeKey":"k","userId":"u","event":"e"}').headers[
                "Retry-After"
            ]
            == "1"
        )

    def test_500_is_repeated(self, debugger: Debugger, client: Client) -> None:
        make(debugger, kind="500", times=1)
        client.track("ada", "Signed Up")
        assert client.flush(20)

        assert statuses(debugger) == [500, 200]
        assert [one["scripted"] for one in get(debugger, "/requests")["requests"]] == [False, True]
        assert client.stats.delivered == 1

    def test_a_slow_response_comes_in_the_end(self, debugger: Debugger, client: Client) -> None:
        make(debugger, kind="slow", delay=0.5)
        began = time.monotonic()
        client.track("ada", "Signed Up")
        assert client.flush(20)

        assert time.monotonic() - began >= 0.5
        assert statuses(debugger) == [200]
        wait_until(lambda: get(debugger, "/requests")["requests"][0]["duration"] is not None)
        assert get(debugger, "/requests")["requests"][0]["duration"] >= 0.5

    def test_a_reset_connection_is_made_anew(self, debugger: Debugger, client: Client) -> None:
        make(debugger, kind="reset", times=1)
        client.track("ada", "Signed Up")
        assert client.flush(20)

        assert statuses(debugger) == [None, 200]
        assert (client.stats.delivered, client.stats.retries) == (1, 1)

    def test_what_hangs_runs_into_the_clients_timeout(self, debugger: Debugger) -> None:
        make(debugger, kind="hang", times=1)
        with Client("k", host=debugger.host, timeout=2, upload_interval=0.01) as client:
            client.track("ada", "Signed Up")
            assert client.flush(20)

            assert (client.stats.delivered, client.stats.retries) == (1, 1)
        assert statuses(debugger) == [None, 200]

    def test_what_hangs_is_let_go_when_the_trouble_ends(
        self, debugger: Debugger, client: Client
    ) -> None:
        make(debugger, kind="hang", times=3)
        client.track("ada", "Signed Up")
        wait_until(lambda: get(debugger, "/faults")["holding"])
        assert get(debugger, "/faults")["faults"] == [{"kind": "hang", "times": 2}]
        assert events(debugger) == []
        assert client.stats.pending == 1

        answer = ask(debugger, "/faults", method="DELETE")

        assert answer.json == {"faults": [], "holding": False}
        assert client.flush(20)
        assert statuses(debugger) == [None, 200]
        assert len(events(debugger)) == 1


class TestTheEndOfTrouble:
    def test_what_is_slow_gets_its_response_at_once(
        self, debugger: Debugger, client: Client
    ) -> None:
        make(debugger, kind="slow", delay=3600)
        client.track("ada", "Signed Up")
        wait_until(lambda: statuses(debugger) == [200])
        assert get(debugger, "/faults") == {"faults": [], "holding": False}
        ask(debugger, "/faults", method="DELETE")

        assert client.flush(20)

    def test_faults_that_nobody_met_are_gone(self, debugger: Debugger, client: Client) -> None:
        for kind in ("429", "500", "slow", "hang", "reset"):
            make(debugger, kind=kind, times=1_000_000)
        assert len(get(debugger, "/faults")["faults"]) == 5
        ask(debugger, "/faults", method="DELETE")

        client.track("ada", "Signed Up")
        assert client.flush(20)
        assert statuses(debugger) == [200]

    def test_the_server_closes_while_requests_hang(self, debugger: Debugger) -> None:
        make(debugger, kind="hang")
        with Client("k", host=debugger.host, shutdown_timeout=0.1, max_retries=0) as client:
            client.track("ada", "Signed Up")
            wait_until(lambda: get(debugger, "/faults")["holding"])
            debugger.close()

    def test_faults_queue_up(self, debugger: Debugger, client: Client) -> None:
        make(debugger, kind="reset", times=1)
        make(debugger, kind="500", times=1)
        client.track("ada", "Signed Up")
        assert client.flush(20)

        assert statuses(debugger) == [None, 500, 200]

    def test_what_the_page_sends_meets_no_fault(self, debugger: Debugger) -> None:
        make(debugger, kind="reset", times=1)
        message = {"type": "track", "userId": "ada", "event": "Signed Up"}

        assert ask(debugger, "/send", {"message": message}).json == {"id": 1}

        assert get(debugger, "/faults")["faults"] == [{"kind": "reset", "times": 1}]

    def test_a_rejected_request_uses_up_none(self, debugger: Debugger) -> None:
        make(debugger, kind="500", times=1)
        assert ask(debugger, "/v1/batch", {}).status == 401

        assert len(get(debugger, "/faults")["faults"]) == 1

    def test_there_are_not_more_than_a_hundred(self, debugger: Debugger, client: Client) -> None:
        for _ in range(100):
            make(debugger, kind="429", times=1, retry_after=0)
        answer = ask(debugger, "/faults", {"kind": "500"})
        assert answer.status == 400
        assert answer.json["message"] == "there are 100 faults already: end them first"

        client.track("ada", "Signed Up")
        wait_until(lambda: len(get(debugger, "/faults")["faults"]) < 100)
        make(debugger, kind="500")
        ask(debugger, "/faults", method="DELETE")  # so that the client delivers


@pytest.mark.parametrize(
    "body, text",
    [
        ({}, "kind is not one of 429, 500, slow, hang, reset"),
        ({"kind": 429}, "kind is not one of "),
        ({"kind": ["429"]}, "kind is not one of "),
        ({"kind": "teapot"}, "kind is not one of "),
        ({"kind": "429", "times": 0}, "times is not a number from 1 to 1000000"),
        ({"kind": "429", "times": 1e9}, "times is not a number from 1 to "),
        ({"kind": "429", "times": "2"}, "times is not a number from "),
        ({"kind": "429", "times": True}, "times is not a number from "),
        ({"kind": "429", "retry_after": -1}, "retry_after is not a number from 0 to 3600"),
        ({"kind": "slow", "delay": 3601}, "delay is not a number from 0 to 3600"),
        ({"kind": "slow", "delay": None}, "delay is not a number from 0 to 3600"),
        ({"kind": "slow", "seconds": 1}, "unknown field 'seconds', known are "),
        ([], "the body is not an object"),
        (b"", "the body is not strict JSON"),
        (b"[" * 99_999, "the body is nested too deeply"),
    ],
)
def test_what_is_no_fault_says_so(debugger: Debugger, body: object, text: str) -> None:
    answer = ask(debugger, "/faults", body)

    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert answer.json["message"].startswith(text)
    assert get(debugger, "/faults")["faults"] == []
