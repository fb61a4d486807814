"""What connected clients say of themselves, and a message that the page sends."""

from __future__ import annotations

import gc
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from support.debugger import ask, events, get
from support.waiting import wait_until

from segment_librato import Client, ConfigError, LibratoConfig
from segment_librato.devserver import watching
from segment_librato.devserver.page import clients
from segment_librato.devserver.watching import watch

if TYPE_CHECKING:
    from segment_librato.devserver.page.debugger import Debugger

pytestmark = pytest.mark.once

MESSAGE = {"type": "track", "userId": "ada", "event": "Signed Up"}


def stats_of(debugger: Debugger, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {one["name"]: one["stats"] for one in get(debugger, "/clients")}
    return dict(found.get(name, {}))


class TestReports:
    def test_a_client_is_listed_until_it_falls_silent(
        self, debugger: Debugger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = time.time()
        assert ask(debugger, "/clients", {"name": "b", "stats": {"accepted": 1}}).status == 200
        ask(debugger, "/clients", {"name": "a", "stats": {}})

        first, second = get(debugger, "/clients")
        assert before <= second.pop("at") <= time.time()
        assert (first["name"], second) == ("a", {"name": "b", "stats": {"accepted": 1}})
        later = time.monotonic() + clients.SILENCE
        monkeypatch.setattr(clients, "time", SimpleNamespace(monotonic=lambda: later))
        assert get(debugger, "/clients") == []

    @pytest.mark.parametrize(
        "body, text",
        [
            ({}, "name is not a text of up to 200 characters"),
            ({"name": "", "stats": {}}, "name is not a text"),
            ({"name": "x" * 201, "stats": {}}, "name is not a text"),
            ({"name": 7, "stats": {}}, "name is not a text"),
            ({"name": "x"}, "stats is not an object"),
            ({"name": "x", "stats": {"x": "y" * 20_000}}, "stats exceeds 16384 bytes"),
            ({"name": "x", "stats": {}, "at": 1}, "unknown field 'at', known are name, stats"),
            (b'{"name": "\\ud800", "stats": {}}', "the body is not strict JSON"),
        ],
    )
    def test_a_wrong_report_says_so(self, debugger: Debugger, body: object, text: str) -> None:
        answer = ask(debugger, "/clients", body)
        assert answer.status == 400
        assert answer.json["message"].startswith(text)

    def test_there_are_not_more_than_a_hundred(self, debugger: Debugger) -> None:
        for number in range(100):
            ask(debugger, "/clients", {"name": f"c{number}", "stats": {}})

        assert ask(debugger, "/clients", {"name": "one more", "stats": {}}).status == 400
        assert ask(debugger, "/clients", {"name": "c1", "stats": {"x": 1}}).status == 200


class TestWatch:
    def test_the_equation_holds_while_the_api_fails(self, debugger: Debugger) -> None:
        ask(debugger, "/faults", {"kind": "hang"})
        with (
            Client("k", host=debugger.host, shutdown_timeout=0.1) as client,
            watch(client, debugger.host, "checkout"),
        ):
            client.track("ada", "Signed Up")
            client.track("bob", "Signed Up")
            wait_until(lambda: stats_of(debugger, "checkout").get("pending") == 2)
            ask(debugger, "/faults", method="DELETE")
            assert client.flush(20)
            wait_until(lambda: stats_of(debugger, "checkout").get("delivered") == 2)

            stats = stats_of(debugger, "checkout")
            assert stats["accepted"] == stats["delivered"] + stats["failed"] + stats["pending"]
            assert (stats["gauges"], stats["spool"]) == (None, None)

    def test_the_end_is_reported_too(self, debugger: Debugger) -> None:
        client = Client("k", host=debugger.host)
        watched = watch(client, debugger.host, "job")
        client.track("ada", "Signed Up")
        client.shutdown()
        watched.close()

        assert stats_of(debugger, "job")["delivered"] == 1

    def test_direct_delivery_is_part_of_it(self, debugger: Debugger) -> None:
        gauges = LibratoConfig("ada@example.com", "token", debugger.host)
        with Client(None, gauges=gauges) as client, watch(client, debugger.host, "job"):
            client.gauge("g", 1)
            client.flush(20)
            wait_until(lambda: stats_of(debugger, "job").get("gauges", {}).get("delivered") == 1)

    def test_a_client_at_rest_is_reported_now_and_then(
        self, debugger: Debugger, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watching, "LOOK_EVERY", 0.01)
        monkeypatch.setattr(watching, "REPORT_EVERY", 0.05)
        with watch(client, debugger.host, "idle"):
            wait_until(lambda: bool(get(debugger, "/clients")))
            (first,) = get(debugger, "/clients")
            wait_until(lambda: get(debugger, "/clients")[0]["at"] > first["at"])

    def test_it_ends_with_the_client(
        self, debugger: Debugger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watching, "LOOK_EVERY", 0.01)
        client = Client("k", host=debugger.host)
        watch(client, debugger.host, "gone")
        client.shutdown()
        del client
        gc.collect()

        wait_until(lambda: "segment-watch" not in {one.name for one in threading.enumerate()})

    @pytest.mark.parametrize("host", ["127.0.0.1:8765", "", "http://", "http://localhost:port"])
    def test_an_address_that_is_none_is_noticed_at_once(self, client: Client, host: str) -> None:
        with pytest.raises(ConfigError, match="host: expected a URL such as http"):
            watch(client, host, "job")

    def test_a_debugger_that_is_not_there_is_no_error(self, debugger: Debugger) -> None:
        debugger.close()
        with Client("k", host=debugger.host) as client:
            watch(client, debugger.host, "alone").close()


class TestSend:
    def test_what_the_page_sends_is_judged_like_any_message(self, debugger: Debugger) -> None:
        assert ask(debugger, "/send", {"message": MESSAGE}).json == {"id": 1}
        assert ask(debugger, "/send", {"message": {**MESSAGE, "event": None}}).json == {"id": 2}

        assert [event["verdict"] for event in events(debugger)] == ["rejected", "accepted"]
        assert debugger.server.messages == [MESSAGE]
        rejected, accepted = get(debugger, "/requests")["requests"]
        assert (accepted["method"], accepted["path"], accepted["status"]) == (
            "POST",
            "/v1/batch",
            200,
        )
        assert rejected["rejection"] == "message 0: track needs a string event"
        assert accepted["duration"] is not None

    def test_the_same_message_again_is_a_duplicate(self, debugger: Debugger) -> None:
        message = {**MESSAGE, "messageId": "m"}
        for number in (1, 2):
            assert ask(debugger, "/send", {"message": message}).json == {"id": number}

        assert events(debugger)[0]["verdict"] == "duplicate"

    def test_messages_too_large_are_dropped(self, debugger: Debugger) -> None:
        message = {**MESSAGE, "properties": {"x": "y" * 40_000}}
        event = get(debugger, f"/events/{ask(debugger, '/send', {'message': message}).json['id']}")
        assert event["reason"].startswith("Payload is too large")

    @pytest.mark.parametrize("body", [{}, {"message": []}, {"message": "x"}, {"batch": []}, []])
    def test_a_wrong_request_sends_nothing(self, debugger: Debugger, body: object) -> None:
        assert ask(debugger, "/send", body).status == 400
        assert get(debugger, "/requests")["requests"] == []
