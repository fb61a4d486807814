"""The local Segment API over real HTTP: what it takes, refuses, drops, and how it ends."""

from __future__ import annotations

import base64
import gzip
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from segment_librato.devserver import LocalSegment
from segment_librato.devserver import __main__ as command_line
from segment_librato.devserver.http.body import MAX_BODY_BYTES
from segment_librato.devserver.segment.api import SINGLE_MESSAGE_PATHS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

KEY = "test-key"


@pytest.fixture
def server() -> Iterator[LocalSegment]:
    with LocalSegment() as local_segment:
        yield local_segment


def connect(server: LocalSegment) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)


def post(
    server: LocalSegment,
    body: object,
    *,
    path: str = "/v1/batch",
    headers: dict[str, str] | None = None,
    method: str = "POST",
) -> tuple[int, Any]:
    """Send a body, as JSON unless it is bytes, and return the status and the JSON answered."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection = connect(server)
    try:
        connection.request(method, path, data, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    finally:
        connection.close()


def exchange(server: LocalSegment, data: bytes) -> bytes:
    """Send raw bytes, and return all that comes back until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
        return received


def track(message_id: str | None = None, **fields: Any) -> dict[str, Any]:
    message = {"type": "track", "userId": "user", "event": "Signed Up", **fields}
    return message if message_id is None else {**message, "messageId": message_id}


def batch(*messages: object, **fields: Any) -> dict[str, Any]:
    return {"batch": list(messages), "writeKey": KEY, **fields}


def in_background(server: LocalSegment, *messages: object) -> threading.Thread:
    """Post a batch from a thread that takes no interest in the answer."""

    def send() -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            body = json.dumps(batch(*messages)).encode()
            head = f"POST /v1/batch HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            connection.recv(65_536)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def server_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("local-segment")]


class TestAcceptance:
    def test_a_batch_is_accepted_and_kept_in_order_as_sent(self, server: LocalSegment) -> None:
        first, second = track("a", timestamp="2025-11-01T00:00:00Z"), track("b", properties={})

        assert post(server, batch(first, second)) == (200, {"success": True})

        assert server.messages == [first, second]

    def test_an_empty_batch_is_accepted(self, server: LocalSegment) -> None:
        assert post(server, batch()) == (200, {"success": True})
        assert server.messages == []

    def test_the_old_import_route_takes_a_batch(self, server: LocalSegment) -> None:
        assert post(server, batch(track("a")), path="/v1/import")[0] == 200
        assert server.messages == [track("a")]

    @pytest.mark.parametrize("kind", sorted(SINGLE_MESSAGE_PATHS.values()))
    def test_a_route_named_after_a_type_takes_one_message(
        self, server: LocalSegment, kind: str
    ) -> None:
        message = {"userId": "u", "previousId": "p", "groupId": "g", "event": "e"}

        assert post(server, {**message, "writeKey": KEY}, path=f"/v1/{kind}")[0] == 200

        assert server.messages == [{**message, "type": kind}]
        assert server.requests[0].write_key == KEY

    def test_batch_fields_are_merged_into_each_message_and_its_own_values_win(
        self, server: LocalSegment
    ) -> None:
        shared = {"context": {"ip": "1.1.1.1", "locale": "en"}, "integrations": {"All": False}}
        own = track("a", context={"ip": "2.2.2.2"})

        post(server, batch(own, track("b"), track("c", context=None), **shared))

        assert [message["context"] for message in server.messages] == [
            {"ip": "2.2.2.2", "locale": "en"},
            {"ip": "1.1.1.1", "locale": "en"},
            None,
        ]
        assert all(message["integrations"] == {"All": False} for message in server.messages)

    def test_a_message_id_counts_once_in_the_life_of_the_server(self, server: LocalSegment) -> None:
        post(server, batch(track("a"), track("a")))
        post(server, batch(track("a"), track("b")))

        assert [message["messageId"] for message in server.messages] == ["a", "b"]
        assert server.duplicates == 2

    def test_messages_without_an_id_are_never_duplicates(self, server: LocalSegment) -> None:
        post(server, batch(track(), track(messageId=None), track("")))

        assert len(server.messages) == 3
        assert server.duplicates == 0

    def test_clear_forgets_everything(self, server: LocalSegment) -> None:
        post(server, batch(track("a"), track("a"), track("x" * 100)))
        server.respond(503, times=None)

        server.clear()

        assert (server.messages, server.requests, server.dropped) == ([], [], [])
        assert server.duplicates == 0
        assert post(server, batch(track("a")))[0] == 200
        assert server.messages == [track("a")]

    def test_measurements_are_those_of_the_accepted_messages(self, server: LocalSegment) -> None:
        post(
            server, batch(track("a", properties={"value": 3}), {"type": "identify", "userId": "u"})
        )

        (measurement,) = server.measurements
        assert (measurement.name, measurement.value) == ("Signed-Up", 3)

    def test_many_messages_from_many_threads_all_arrive(self, server: LocalSegment) -> None:
        def send(sender: int) -> None:
            connection = connect(server)
            for number in range(5):
                ids = range(number * 500, (number + 1) * 500)
                body = json.dumps(batch(*(track(f"{sender}-{index}") for index in ids)))
                connection.request("POST", "/v1/batch", body)
                connection.getresponse().read()
            connection.close()

        threads = [threading.Thread(target=send, args=(sender,)) for sender in range(8)]
        for thread in threads:
            thread.start()

        assert server.wait_for(20_000)
        for thread in threads:
            thread.join()
        assert len({message["messageId"] for message in server.messages}) == 20_000


class TestWriteKey:
    def test_basic_authentication_with_an_empty_password_is_enough(
        self, server: LocalSegment
    ) -> None:
        header = "Basic " + base64.b64encode(b"basic-key:").decode()

        status, _ = post(server, {"batch": [track()]}, headers={"Authorization": header})

        assert status == 200
        assert server.requests[0].write_key == "basic-key"

    def test_the_key_in_the_body_may_differ_from_the_basic_user(self, server: LocalSegment) -> None:
        header = "Basic " + base64.b64encode(b"basic-key:").decode()

        status, _ = post(server, batch(track()), headers={"Authorization": header})

        assert status == 200
        assert server.requests[0].write_key == KEY

    def test_a_bearer_token_goes_with_the_key_in_the_body(self, server: LocalSegment) -> None:
        assert post(server, batch(track()), headers={"Authorization": "Bearer token"})[0] == 200

    @pytest.mark.parametrize(
        "authorization", ["", "Bearer token", "Basic !!", "Basic //8=", "Basic Og=="]
    )
    def test_a_request_without_any_key_is_refused(
        self, server: LocalSegment, authorization: str
    ) -> None:
        status, answer = post(
            server, {"batch": [track()]}, headers={"Authorization": authorization}
        )

        assert status == 401
        assert answer["code"] == "unauthorized"
        assert server.messages == []

    def test_a_key_that_is_no_string_is_refused(self, server: LocalSegment) -> None:
        assert post(server, {"batch": [track()], "writeKey": 5})[0] == 400


class TestRefusal:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"\xff\xfe",
            b"\xef\xbb\xbf{}",
            b"[]",
            b'"text"',
            b'{"writeKey": "k", "batch": {}}',
            b'{"writeKey": "k"}',
            b'{"writeKey": "k", "batch": [], "context": []}',
            b'{"writeKey": "k", "batch": [], "integrations": null}',
            b'{"writeKey": "k", "batch": [], "x": NaN}',
            b'{"writeKey": "k", "batch": [], "x": -Infinity}',
            b'{"writeKey": "k", "batch": [], "x": 1e999}',
            b'{"writeKey": "k", "batch": [], "x": {"a": 1, "a": 1}}',
            b'{"writeKey": "k", "batch": [], "x": "\\ud800"}',
            b'{"writeKey": "k", "batch": [], "x": ' + b"[" * 200_000,
        ],
        ids=lambda body: body[:45],
    )
    def test_a_body_that_is_no_batch_in_strict_json_is_refused(
        self, server: LocalSegment, body: bytes
    ) -> None:
        status, answer = post(server, body)

        assert status == 400
        assert answer["code"] == "invalid_request"
        assert answer["message"] == server.requests[0].rejection

    @pytest.mark.parametrize(
        "message",
        [
            "text",
            None,
            {},
            {"type": ["track"], "userId": "u"},
            {"type": "click", "userId": "u"},
            {"type": "track", "event": "e"},
            {"type": "track", "event": "e", "userId": "", "anonymousId": None},
            {"type": "track", "event": "e", "userId": 5, "anonymousId": "a"},
            {"type": "page", "userId": "u", "messageId": 5},
            {"type": "track", "userId": "u"},
            {"type": "track", "userId": "u", "event": 5},
            {"type": "track", "userId": "u", "event": "e" * 256},
            {"type": "alias", "userId": "u"},
            {"type": "alias", "previousId": "p", "anonymousId": "a"},
            {"type": "group", "userId": "u"},
            {"type": "group", "groupId": "g"},
        ],
        ids=str,
    )
    def test_one_invalid_message_refuses_the_whole_batch(
        self, server: LocalSegment, message: object
    ) -> None:
        status, answer = post(server, batch(track("good"), message))

        assert status == 400
        assert answer["code"] == "invalid_request"
        assert answer["message"].startswith("message 1: ")
        assert server.messages == []

    def test_escapes_and_characters_of_all_planes_are_no_problem(
        self, server: LocalSegment
    ) -> None:
        message = track("a", event="\N{SNOWMAN} \N{GRINNING FACE}", properties={"ratio": 0.5})

        assert post(server, json.dumps(batch(message)).encode())[0] == 200
        assert post(server, json.dumps(batch(message), ensure_ascii=False).encode())[0] == 200

        assert server.messages == [message]

    def test_an_event_of_255_characters_is_accepted(self, server: LocalSegment) -> None:
        assert post(server, batch(track(event="é" * 255)))[0] == 200

    @pytest.mark.parametrize("path", ["/v1", "/v1/batch/", "/v2/batch", "/favicon.ico"])
    def test_an_unknown_route_is_not_found(self, server: LocalSegment, path: str) -> None:
        status, answer = post(server, batch(track()), path=path)

        assert (status, answer["code"]) == (404, "not_found")

    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
    def test_a_wrong_method_is_refused_and_the_right_one_named(
        self, server: LocalSegment, method: str
    ) -> None:
        connection = connect(server)
        connection.request(method, "/v1/batch")
        response = connection.getresponse()
        body = response.read()
        connection.close()

        assert response.status == 405
        assert response.headers["Allow"] == "POST"
        assert (body == b"") == (method == "HEAD")

    def test_the_status_page_takes_no_post(self, server: LocalSegment) -> None:
        assert post(server, b"", path="/")[0] == 405


class TestLimits:
    def test_a_message_over_32_kilobytes_is_dropped_alone(self, server: LocalSegment) -> None:
        empty = len(json.dumps(track("large", event=""), separators=(",", ":")))
        fits = track("fits!", event="", userId="u" * (32 * 1024 - empty + 4))
        large = track("large", event="", userId="u" * (32 * 1024 - empty + 5))

        assert post(server, batch(fits, large)) == (200, {"success": True})

        assert server.messages == [fits]
        assert server.dropped == [("the message exceeds 32 KB", large)]

    def test_a_request_over_500_kilobytes_is_dropped_with_200(self, server: LocalSegment) -> None:
        messages = [track(str(number), event="e" * 200) for number in range(1_500)]
        body = json.dumps(batch(*messages)).encode()
        within, beyond = body.ljust(500_000), body.ljust(500_001)

        assert post(server, gzip.compress(beyond), headers={"Content-Encoding": "gzip"})[0] == 200
        assert server.messages == []
        assert [dropped.message for dropped in server.dropped] == messages

        assert post(server, within)[0] == 200
        assert len(server.messages) == 1_500

    def test_a_request_over_2500_messages_is_dropped_with_200(self, server: LocalSegment) -> None:
        assert post(server, batch(*[track()] * 2_501))[0] == 200
        assert len(server.dropped) == 2_501
        assert post(server, batch(*[track()] * 2_500))[0] == 200
        assert len(server.messages) == 2_500

    def test_a_message_id_of_100_characters_is_dropped(self, server: LocalSegment) -> None:
        assert post(server, batch(track("x" * 99), track("x" * 100)))[0] == 200

        assert [message["messageId"] for message in server.messages] == ["x" * 99]
        assert [len(message["messageId"]) for _, message in server.dropped] == [100]

    def test_a_dropped_message_may_still_arrive_later(self, server: LocalSegment) -> None:
        post(server, batch(*[track("a")] * 2_501))
        post(server, batch(track("a")))

        assert server.messages == [track("a")]

    def test_a_body_beyond_any_measure_is_refused_and_the_connection_goes_on(
        self, server: LocalSegment
    ) -> None:
        connection = connect(server)
        connection.request("POST", "/v1/batch", b" " * (MAX_BODY_BYTES + 200_000))
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["code"]) == (413, "payload_too_large")

        connection.request("POST", "/v1/batch", json.dumps(batch(track())))
        assert connection.getresponse().status == 200
        connection.close()
        assert server.requests[0].raw_size == MAX_BODY_BYTES + 200_000


class TestContentEncoding:
    def test_gzip_is_decompressed_and_both_sizes_recorded(self, server: LocalSegment) -> None:
        plain = json.dumps(batch(track("a"))).encode()
        compressed = gzip.compress(plain)

        assert post(server, compressed, headers={"Content-Encoding": "gzip"})[0] == 200

        assert server.messages == [track("a")]
        assert server.requests[0].raw_size == len(compressed)
        assert server.requests[0].size == len(plain)

    @pytest.mark.parametrize(
        "body",
        [b"not gzip", gzip.compress(b"{}")[:-3], gzip.compress(b"{}")[:10] + b"\xff" * 20],
        ids=["plain", "cut off", "damaged"],
    )
    def test_damaged_gzip_is_refused(self, server: LocalSegment, body: bytes) -> None:
        status, answer = post(server, body, headers={"Content-Encoding": "gzip"})

        assert (status, answer["message"]) == (400, "the body is not valid gzip")

    def test_a_decompression_bomb_is_not_unpacked(self, server: LocalSegment) -> None:
        bomb = gzip.compress(bytes(MAX_BODY_BYTES + 1))

        assert post(server, bomb, headers={"Content-Encoding": "gzip"})[0] == 413
        assert server.requests[0].size == 0

    def test_another_encoding_is_refused(self, server: LocalSegment) -> None:
        assert post(server, batch(track()), headers={"Content-Encoding": "br"})[0] == 400


class TestRequests:
    def test_a_request_is_recorded_with_its_answer(self, server: LocalSegment) -> None:
        before = time.monotonic()
        post(server, batch(track("a"), track()), headers={"X-Retry-Count": "1"})

        (request,) = server.requests
        assert (request.method, request.path, request.status) == ("POST", "/v1/batch", 200)
        assert request.headers["x-retry-count"] == "1"
        assert request.batch_size == 2
        assert request.message_ids == ("a", None)
        assert request.messages == (track("a"), track())
        assert request.size == request.raw_size
        assert request.rejection == ""
        assert before < request.received_at < time.monotonic()

    def test_a_record_shows_neither_keys_nor_messages(self, server: LocalSegment) -> None:
        header = "Basic " + base64.b64encode(b"basic-key:").decode()
        post(server, batch(track("a")), headers={"Authorization": header})

        shown = repr(server.requests)

        assert KEY not in shown
        assert header not in shown
        assert "Signed Up" not in shown

    def test_a_refused_request_is_recorded_with_the_reason(self, server: LocalSegment) -> None:
        post(server, batch(track(event=None)))

        (request,) = server.requests
        assert (request.status, request.batch_size) == (400, 0)
        assert request.rejection == "message 0: track needs a string event"

    def test_the_status_page_counts_and_is_not_recorded(self, server: LocalSegment) -> None:
        post(server, batch(track("a"), track("a"), track("x" * 100)))

        counts = {"requests": 1, "messages": 1, "duplicates": 1, "dropped": 1, "samples": 0}
        assert post(server, b"", path="/", method="GET") == (200, counts)
        assert len(server.requests) == 1

    def test_wait_for_returns_at_once_when_the_messages_are_here(
        self, server: LocalSegment
    ) -> None:
        post(server, batch(track()))

        assert server.wait_for(1, timeout=0)

    def test_wait_for_gives_up_after_its_timeout(self, server: LocalSegment) -> None:
        assert not server.wait_for(1, timeout=0.01)

    def test_wait_for_ends_when_the_server_closes(self, server: LocalSegment) -> None:
        closing = threading.Timer(0.05, server.close)
        closing.start()

        assert not server.wait_for(1, timeout=60)
        closing.join()

    def test_wait_for_sees_messages_that_come_later(self, server: LocalSegment) -> None:
        sending = in_background(server, track())

        assert server.wait_for(1)
        sending.join()

    def test_the_observer_gets_each_request_and_what_was_accepted_of_it(self) -> None:
        seen: list[tuple[int | None, Iterable[object]]] = []
        with LocalSegment(
            on_request=lambda *call: seen.append((call[0].status, call[1]))
        ) as server:
            post(server, batch(track("a"), track("a")))
            post(server, b"")

        assert seen == [(200, (track("a"),)), (400, ())]


class TestScriptedAnswers:
    def test_an_error_is_answered_once_and_nothing_accepted(self, server: LocalSegment) -> None:
        server.respond(503, headers={"retry-after": "7"})

        connection = connect(server)
        connection.request("POST", "/v1/batch", json.dumps(batch(track("a"))))
        response = connection.getresponse()
        assert json.loads(response.read()) == {"code": "error", "message": "scripted"}
        connection.close()

        assert (response.status, response.headers["Retry-After"]) == (503, "7")
        assert server.messages == []
        assert post(server, batch(track("a")))[0] == 200
        assert server.messages == [track("a")]
        assert [request.status for request in server.requests] == [503, 200]

    def test_answers_queue_up(self, server: LocalSegment) -> None:
        server.respond(500, times=2)
        server.respond(429, body=b'{"code": "slow_down"}')

        statuses = [post(server, batch(track()))[0] for _ in range(4)]

        assert statuses == [500, 500, 429, 200]

    def test_an_answer_without_limit_lasts_until_clear(self, server: LocalSegment) -> None:
        server.respond(400, times=None)
        assert [post(server, batch(track()))[0] for _ in range(3)] == [400, 400, 400]

        server.clear()

        assert post(server, batch(track()))[0] == 200

    def test_a_success_of_another_kind_accepts_the_messages(self, server: LocalSegment) -> None:
        server.respond(202, body=b"[]")

        assert post(server, batch(track("a"))) == (202, [])
        assert server.messages == [track("a")]

    def test_a_status_without_body_keeps_the_connection_in_step(self, server: LocalSegment) -> None:
        server.respond(204)
        connection = connect(server)
        for expected in (204, 200):
            connection.request("POST", "/v1/batch", json.dumps(batch(track())))
            response = connection.getresponse()
            response.read()
            assert response.status == expected
        connection.close()

    def test_a_status_that_http_does_not_know_can_be_answered(self, server: LocalSegment) -> None:
        server.respond(460)

        assert post(server, batch(track()))[0] == 460

    def test_only_requests_that_match_get_the_answer(self, server: LocalSegment) -> None:
        # The predicate may use the server while it decides.
        server.respond(
            413, times=None, when=lambda request: "bad" in request.message_ids and not server.held
        )

        assert post(server, batch(track("good"), track("bad")))[0] == 413
        assert post(server, batch(track("good")))[0] == 200
        assert post(server, batch(track("bad")))[0] == 413
        assert server.messages == [track("good")]

    def test_a_request_that_breaks_the_rules_uses_no_answer_up(self, server: LocalSegment) -> None:
        server.respond(503)

        assert post(server, b"")[0] == 400
        assert post(server, batch(track()))[0] == 503

    def test_a_connection_can_be_cut_off_before_anything_is_accepted(
        self, server: LocalSegment
    ) -> None:
        server.respond(None)

        with pytest.raises(http.client.RemoteDisconnected):
            post(server, batch(track("a")))

        assert server.messages == []
        assert server.requests[0].status is None

    def test_an_answer_can_be_lost_after_the_messages_were_accepted(
        self, server: LocalSegment
    ) -> None:
        server.respond(None, accept=True)

        with pytest.raises(http.client.RemoteDisconnected):
            post(server, batch(track("a")))
        post(server, batch(track("a")))

        assert server.messages == [track("a")]
        assert server.duplicates == 1

    def test_an_answer_can_be_cut_short(self, server: LocalSegment) -> None:
        server.respond(200, headers={"Content-Length": "999", "Connection": "close"})

        with pytest.raises(http.client.IncompleteRead):
            post(server, batch(track("a")))

    def test_an_answer_can_be_late(self, server: LocalSegment) -> None:
        server.respond(200, delay=0.05)

        post(server, batch(track("a")))

        assert time.monotonic() - server.requests[0].received_at >= 0.05

    @pytest.mark.parametrize("status", [0, 100, 199, 600])
    def test_a_status_that_ends_no_request_is_a_mistake(
        self, server: LocalSegment, status: int
    ) -> None:
        with pytest.raises(ValueError, match="status"):
            server.respond(status)

    def test_an_answer_for_no_request_is_a_mistake(self, server: LocalSegment) -> None:
        with pytest.raises(ValueError, match="times"):
            server.respond(200, times=0)

    def test_a_predicate_that_raises_is_noticed(
        self, server: LocalSegment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        raised: list[object] = []
        monkeypatch.setattr(threading, "excepthook", lambda call: raised.append(call.exc_type))
        server.respond(500, when=lambda _: 1 // 0 == 0)

        with pytest.raises(http.client.RemoteDisconnected):
            post(server, batch(track()))

        server.close()
        assert raised == [ZeroDivisionError]


class TestHold:
    def test_held_requests_are_neither_accepted_nor_answered_until_released(
        self, server: LocalSegment
    ) -> None:
        with server.hold():
            sending = [in_background(server, track("a")), in_background(server, track("b"))]
            assert server.wait_until(lambda: server.held == 2)
            assert server.messages == []
            assert server.requests == []

        for thread in sending:
            thread.join()
        assert len(server.messages) == 2
        assert server.held == 0

    def test_hold_and_release_work_without_a_with_statement(self, server: LocalSegment) -> None:
        server.hold()
        sending = in_background(server, track("a"))
        assert server.wait_until(lambda: server.held == 1)

        server.release()

        sending.join()
        assert server.messages == [track("a")]

    def test_the_status_page_is_not_held(self, server: LocalSegment) -> None:
        with server.hold():
            assert post(server, b"", path="/", method="GET")[0] == 200

    def test_a_client_that_leaves_while_held_causes_no_noise(
        self, server: LocalSegment, capfd: pytest.CaptureFixture[str]
    ) -> None:
        body = json.dumps(batch(track("a"))).encode()
        head = f"POST /v1/batch HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        server.hold()
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head.encode() + body)
            assert server.wait_until(lambda: server.held == 1)

        server.release()

        assert server.wait_for(1)
        server.close()
        assert capfd.readouterr() == ("", "")


class TestHTTP:
    def test_a_connection_is_kept_alive(self, server: LocalSegment) -> None:
        connection = connect(server)
        for _ in range(3):
            connection.request("POST", "/v1/batch", json.dumps(batch(track())))
            connection.getresponse().read()
        connection.close()

        assert len({request.client_address for request in server.requests}) == 1

    def test_a_client_may_ask_to_end_the_connection(self, server: LocalSegment) -> None:
        answer = exchange(server, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")

        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nConnection: close\r\n" in answer

    def test_http_1_0_ends_the_connection(self, server: LocalSegment) -> None:
        assert b"\r\nConnection: close\r\n" in exchange(server, b"GET / HTTP/1.0\r\n\r\n")

    def test_requests_may_be_pipelined(self, server: LocalSegment) -> None:
        assert exchange(server, b"GET / HTTP/1.1\r\n\r\n" * 3).count(b"HTTP/1.1 200 OK") == 3

    def test_a_client_that_expects_100_continue_gets_it_before_the_body(
        self, server: LocalSegment
    ) -> None:
        body = json.dumps(batch(track("a"))).encode()
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(
                b"POST /v1/batch HTTP/1.1\r\nExpect: 100-continue\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body)
            )
            assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(body)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")

    def test_a_chunked_body_is_put_together(self, server: LocalSegment) -> None:
        body = json.dumps(batch(track("a"))).encode()
        pieces = iter([body[:10], body[10:]])

        connection = connect(server)
        connection.request("POST", "/v1/batch", pieces, encode_chunked=True)
        assert connection.getresponse().status == 200
        connection.close()

        assert server.messages == [track("a")]
        assert server.requests[0].raw_size == len(body)

    def test_extensions_and_trailers_of_a_chunked_body_are_skipped(
        self, server: LocalSegment
    ) -> None:
        head = b"POST /v1/batch HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        body = json.dumps(batch(track("a"))).encode()
        chunks = b"%x;name=value\r\n%s\r\n0\r\nTrailer: x\r\n\r\n" % (len(body), body)

        assert exchange(server, head + chunks).startswith(b"HTTP/1.1 200 OK\r\n")

    @pytest.mark.parametrize(
        "request_bytes",
        [
            b"nonsense\r\n\r\n",
            b"POST /v1/batch HTTP/1.1\r\nContent-Length: x!\r\n\r\n",
            b"POST /v1/batch HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
            b"POST /v1/batch HTTP/1.1\r\nContent-Length: five\r\n\r\n",
            b"POST /v1/batch HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"POST http://[ HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            b"POST /v1/batch HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
            b"POST /v1/batch HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        ],
        ids=str,
    )
    def test_what_is_not_http_is_refused_in_json_and_ends_the_connection(
        self, server: LocalSegment, request_bytes: bytes
    ) -> None:
        head, _, body = exchange(server, request_bytes).partition(b"\r\n\r\n")

        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"Connection: close" in head
        assert json.loads(body)["code"] == "invalid_request"

    def test_an_unknown_method_is_not_implemented(self, server: LocalSegment) -> None:
        assert exchange(server, b"BREW / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 501 ")

    def test_a_target_with_a_host_as_proxies_get_it_is_understood(
        self, server: LocalSegment
    ) -> None:
        assert post(server, batch(track()), path="http://api.segment.io/v1/batch?x=1")[0] == 200
        assert server.requests[0].path == "/v1/batch"

    @pytest.mark.parametrize(
        "request_bytes",
        [
            b"",
            b"POST /v1/batch HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
            b"POST /v1/batch HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5",
            b"POST /v1/batch HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        ],
        ids=str,
    )
    def test_a_client_that_leaves_in_the_middle_causes_no_noise(
        self,
        server: LocalSegment,
        request_bytes: bytes,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        assert exchange(server, request_bytes) == b""

        server.close()
        assert server.requests == []
        assert capfd.readouterr() == ("", "")


class TestLife:
    def test_closing_leaves_no_thread_and_frees_the_port(self) -> None:
        with LocalSegment() as server:
            idle = connect(server)
            idle.request("GET", "/")
            idle.getresponse().read()
            assert len(server_threads()) == 2

        assert server_threads() == []
        with pytest.raises(OSError, match=r".") as refused:
            socket.create_connection(("127.0.0.1", server.port), timeout=1)
        assert isinstance(refused.value, ConnectionRefusedError)
        idle.close()
        with LocalSegment(server.port) as second:
            assert second.host == server.host

    def test_closing_twice_is_harmless_and_what_arrived_can_still_be_read(
        self, server: LocalSegment
    ) -> None:
        post(server, batch(track("a")))

        server.close()
        server.close()

        assert server.messages == [track("a")]

    def test_closing_ends_held_requests_without_an_answer(self, server: LocalSegment) -> None:
        server.hold()
        sending = in_background(server, track("a"))
        assert server.wait_until(lambda: server.held == 1)

        server.close()

        sending.join()
        assert (server.messages, server.requests) == ([], [])
        assert server_threads() == []

    def test_closing_cuts_a_late_answer_short(self, server: LocalSegment) -> None:
        server.respond(200, delay=600)
        sending = in_background(server, track("a"))
        assert server.wait_for(1)

        server.close()

        sending.join()
        assert server_threads() == []

    def test_an_observer_may_close_the_server(self) -> None:
        servers: list[LocalSegment] = []
        server = LocalSegment(on_request=lambda *_: servers[0].close())
        servers.append(server)

        with pytest.raises(http.client.RemoteDisconnected):
            post(server, batch(track("a")))

        server.close()
        assert server.messages == [track("a")]

    def test_two_servers_do_not_mix(self, server: LocalSegment) -> None:
        with LocalSegment() as other:
            post(server, batch(track("a")))
            post(other, batch(track("a")))

            assert server.port != other.port
            assert server.messages == other.messages == [track("a")]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_a_forked_child_cannot_close_the_server_of_its_parent(
        self, server: LocalSegment
    ) -> None:
        child = os.fork()
        if child == 0:
            server.close()
            os._exit(0)

        assert os.waitpid(child, 0)[1] == 0
        assert post(server, batch(track("a")))[0] == 200


class TestCommandLine:
    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 - this interpreter and fixed arguments
            [sys.executable, "-W", "error", "-m", "segment_librato.devserver", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_it_shows_requests_and_gauges_until_it_is_interrupted(
        self, number: signal.Signals
    ) -> None:
        with self.start("--port", "0") as process:
            assert process.stdout is not None
            where, how = process.stdout.readline(), process.stdout.readline()
            port = int(where.split("http://127.0.0.1:")[1].split()[0])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", "/v1/batch", json.dumps(batch(track(), {**track(), "x": 1})))
            assert connection.getresponse().status == 200
            process.send_signal(number)
            output, errors = process.communicate(timeout=20)
            connection.close()

        assert f'segment_librato.host = "http://127.0.0.1:{port}"' in how
        line, *gauges, _, summary = output.splitlines()
        assert line.split()[1:] == ["POST", "/v1/batch", "2", "messages", "0.2", "KB", "200"]
        assert [gauge.split() for gauge in gauges] == [
            ["Signed-Up", "=", "1", "from", "Signed-Up"]
        ] * 2
        assert summary == "1 request, 2 messages, 2 gauges; 0 duplicates, 0 dropped."
        assert (process.returncode, errors) == (0, "")

    def test_a_taken_port_gives_one_line_and_status_1(self, server: LocalSegment) -> None:
        with self.start("--port", str(server.port)) as process:
            output, errors = process.communicate(timeout=20)

        assert (process.returncode, output) == (1, "")
        assert errors == f"Cannot listen on port {server.port}: Address already in use.\n"


class TestMain:
    """The command line inside this process, where its output can be made to go wrong."""

    @pytest.fixture(autouse=True)
    def _restore_signal_handlers(self) -> Iterator[None]:
        handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
        yield
        for number, handler in handlers.items():
            signal.signal(number, handler)

    @pytest.fixture
    def port(self) -> int:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
            return port

    @pytest.fixture
    def run(self, monkeypatch: pytest.MonkeyPatch, port: int) -> Callable[..., int]:
        """The command line, which is sent three requests while it sleeps, then interrupted."""

        def use_and_interrupt(_: float) -> None:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                page, identify = (
                    {"type": "page", "userId": "u"},
                    {"type": "identify", "userId": "u"},
                )
                for path, body in [
                    ("/v1/batch", batch(track("a"), track("a"), page, identify)),
                    ("/v1/identify", {"writeKey": KEY}),
                    ("/\x1b[31m", {}),
                ]:
                    data = json.dumps(body).encode()
                    head = f"POST {path} HTTP/1.1\r\nContent-Length: {len(data)}\r\n\r\n"
                    connection.sendall(head.encode() + data)
                    connection.recv(65_536)
            signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(time, "sleep", use_and_interrupt)
        return lambda *arguments: command_line.main(["--port", str(port), *arguments])

    def test_each_request_has_a_line_with_what_matters_about_it(
        self, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run() == 0

        output, errors = capsys.readouterr()
        assert errors == ""
        lines = output.splitlines()[2:]
        assert lines[0].split()[1:] == ["POST", "/v1/batch", "4", "messages", "0.3", "KB", "200"]
        assert lines[1:3] == [
            "          Signed-Up = 1  from Signed-Up",
            "          Loaded-a-Page = 1  from Loaded-a-Page",
        ]
        assert lines[3].endswith("400  message 0: userId or anonymousId is needed")
        assert "/\\x1b[31m " in lines[4]
        assert lines[-1] == "3 requests, 3 messages, 2 gauges; 1 duplicate, 0 dropped."

    def test_quiet_shows_where_it_listens_and_the_summary_only(
        self, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("--quiet") == 0

        assert len(capsys.readouterr().out.splitlines()) == 4

    def test_a_reader_that_left_is_no_error(
        self, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class ClosedPipe(io.StringIO):
            def write(self, _: str) -> int:
                raise BrokenPipeError

        monkeypatch.setattr(sys, "stdout", ClosedPipe())
        assert run() == 0

    def test_a_taken_port_is_reported(
        self, server: LocalSegment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert command_line.main(["--port", str(server.port)]) == 1
        assert f"Cannot listen on port {server.port}: " in capsys.readouterr().err

    @pytest.mark.parametrize("port", ["65536", "-1", "x"])
    def test_a_port_that_cannot_be_is_a_wrong_argument(
        self, port: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as exited:
            command_line.main([f"--port={port}"])

        assert exited.value.code == 2
        assert f"'{port}' is not a number from 0 to 65535" in capsys.readouterr().err
