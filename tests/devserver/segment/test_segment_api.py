"""The Segment API of the local server over real HTTP: what it accepts, rejects and drops."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from typing import TYPE_CHECKING

import pytest
from support.local_server import (
    KEY,
    batch,
    connect,
    post,
    track,
)

from segment_librato.devserver.http.body import MAX_BODY_BYTES
from segment_librato.devserver.segment.api import SINGLE_MESSAGE_PATHS

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment

pytestmark = pytest.mark.once


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
    def test_a_request_without_any_key_is_rejected(
        self, server: LocalSegment, authorization: str
    ) -> None:
        status, content = post(
            server, {"batch": [track()]}, headers={"Authorization": authorization}
        )

        assert status == 401
        assert content["code"] == "unauthorized"
        assert server.messages == []

    def test_a_key_that_is_no_string_is_rejected(self, server: LocalSegment) -> None:
        assert post(server, {"batch": [track()], "writeKey": 5})[0] == 400


class TestRejection:
    @pytest.mark.usefixtures("uncollected")
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
    def test_a_body_that_is_no_batch_in_strict_json_is_rejected(
        self, server: LocalSegment, body: bytes
    ) -> None:
        status, content = post(server, body)

        assert status == 400
        assert content["code"] == "invalid_request"
        assert content["message"] == server.requests[0].rejection

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
    def test_one_invalid_message_rejects_the_whole_batch(
        self, server: LocalSegment, message: object
    ) -> None:
        status, content = post(server, batch(track("good"), message))

        assert status == 400
        assert content["code"] == "invalid_request"
        assert content["message"].startswith("message 1: ")
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
        status, content = post(server, batch(track()), path=path)

        assert (status, content["code"]) == (404, "not_found")

    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
    def test_a_wrong_method_is_rejected_and_the_right_one_named(
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

    def test_a_body_beyond_any_measure_is_rejected_and_the_connection_goes_on(
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
