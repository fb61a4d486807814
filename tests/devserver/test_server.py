"""What the local server shows of its requests, scripted responses, and how it ends."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
from support.local_server import (
    KEY,
    batch,
    connect,
    in_background,
    post,
    server_threads,
    track,
)
from support.marks import needs_fork

from segment_librato.devserver import LocalSegment

if TYPE_CHECKING:
    from collections.abc import Iterable


class TestRequests:
    def test_a_request_is_recorded_with_its_status(self, server: LocalSegment) -> None:
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

    def test_a_rejected_request_is_recorded_with_the_reason(self, server: LocalSegment) -> None:
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


class TestScriptedResponses:
    def test_an_error_is_sent_once_and_nothing_accepted(self, server: LocalSegment) -> None:
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

    def test_responses_queue_up(self, server: LocalSegment) -> None:
        server.respond(500, times=2)
        server.respond(429, body=b'{"code": "slow_down"}')

        statuses = [post(server, batch(track()))[0] for _ in range(4)]

        assert statuses == [500, 500, 429, 200]

    def test_a_response_without_limit_lasts_until_clear(self, server: LocalSegment) -> None:
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

    def test_a_status_that_http_does_not_know_can_be_sent(self, server: LocalSegment) -> None:
        server.respond(460)

        assert post(server, batch(track()))[0] == 460

    def test_only_requests_that_match_get_the_response(self, server: LocalSegment) -> None:
        # The predicate may use the server while it decides.
        server.respond(
            413, times=None, when=lambda request: "bad" in request.message_ids and not server.held
        )

        assert post(server, batch(track("good"), track("bad")))[0] == 413
        assert post(server, batch(track("good")))[0] == 200
        assert post(server, batch(track("bad")))[0] == 413
        assert server.messages == [track("good")]

    def test_a_request_that_breaks_the_rules_uses_no_response_up(
        self, server: LocalSegment
    ) -> None:
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

    def test_a_response_can_be_lost_after_the_messages_were_accepted(
        self, server: LocalSegment
    ) -> None:
        server.respond(None, accept=True)

        with pytest.raises(http.client.RemoteDisconnected):
            post(server, batch(track("a")))
        post(server, batch(track("a")))

        assert server.messages == [track("a")]
        assert server.duplicates == 1

    def test_a_response_can_be_cut_short(self, server: LocalSegment) -> None:
        server.respond(200, headers={"Content-Length": "999", "Connection": "close"})

        with pytest.raises(http.client.IncompleteRead):
            post(server, batch(track("a")))

    def test_a_response_can_be_late(self, server: LocalSegment) -> None:
        server.respond(200, delay=0.05)

        post(server, batch(track("a")))

        assert time.monotonic() - server.requests[0].received_at >= 0.05

    @pytest.mark.parametrize("status", [0, 100, 199, 600])
    def test_a_status_that_ends_no_request_is_a_mistake(
        self, server: LocalSegment, status: int
    ) -> None:
        with pytest.raises(ValueError, match="status"):
            server.respond(status)

    def test_a_response_for_no_request_is_a_mistake(self, server: LocalSegment) -> None:
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
    def test_held_requests_are_neither_accepted_nor_responded_to_until_released(
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


class TestLife:
    def test_closing_leaves_no_thread_and_frees_the_port(self) -> None:
        with LocalSegment() as server:
            idle = connect(server)
            idle.request("GET", "/")
            idle.getresponse().read()
            assert len(server_threads()) == 2

        assert server_threads() == []
        with pytest.raises(OSError, match=r".") as rejected:
            socket.create_connection(("127.0.0.1", server.port), timeout=1)
        assert isinstance(rejected.value, ConnectionRefusedError)
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

    def test_closing_ends_held_requests_without_a_response(self, server: LocalSegment) -> None:
        server.hold()
        sending = in_background(server, track("a"))
        assert server.wait_until(lambda: server.held == 1)

        server.close()

        sending.join()
        assert (server.messages, server.requests) == ([], [])
        assert server_threads() == []

    def test_closing_cuts_a_late_response_short(self, server: LocalSegment) -> None:
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

    def test_a_connection_too_many_ends_and_the_server_goes_on(
        self, server: LocalSegment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
                assert connection.recv(1) == b""
        assert post(server, batch(track()))[0] == 200

    def test_two_servers_do_not_mix(self, server: LocalSegment) -> None:
        with LocalSegment() as other:
            post(server, batch(track("a")))
            post(other, batch(track("a")))

            assert server.port != other.port
            assert server.messages == other.messages == [track("a")]

    @needs_fork
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
