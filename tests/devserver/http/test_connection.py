"""HTTP of the local server: connections, framing and encodings."""

from __future__ import annotations

import gzip
import json
import socket
from typing import TYPE_CHECKING

import pytest
from support.local_server import (
    batch,
    connect,
    exchange,
    post,
    track,
)

from segment_librato.devserver.http.body import MAX_BODY_BYTES

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment


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
    def test_damaged_gzip_is_rejected(self, server: LocalSegment, body: bytes) -> None:
        status, content = post(server, body, headers={"Content-Encoding": "gzip"})

        assert (status, content["message"]) == (400, "the body is not valid gzip")

    def test_a_decompression_bomb_is_not_unpacked(self, server: LocalSegment) -> None:
        bomb = gzip.compress(bytes(MAX_BODY_BYTES + 1))

        assert post(server, bomb, headers={"Content-Encoding": "gzip"})[0] == 413
        assert server.requests[0].size == 0

    def test_another_encoding_is_rejected(self, server: LocalSegment) -> None:
        assert post(server, batch(track()), headers={"Content-Encoding": "br"})[0] == 400


class TestHTTP:
    def test_a_connection_is_kept_alive(self, server: LocalSegment) -> None:
        connection = connect(server)
        for _ in range(3):
            connection.request("POST", "/v1/batch", json.dumps(batch(track())))
            connection.getresponse().read()
        connection.close()

        assert len({request.client_address for request in server.requests}) == 1

    def test_a_client_may_ask_to_end_the_connection(self, server: LocalSegment) -> None:
        response = exchange(server, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")

        assert response.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nConnection: close\r\n" in response

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
            b"POST /v1/batch HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n",
            b"POST /v1/batch HTTP/1.1\r\nContent-Length: 1a\r\n\r\n",
            b"POST /v1/batch HTTP/1.1\r\nContent-Length: " + b"1" * 5_000 + b"\r\n\r\n",
        ],
        ids=str,
    )
    def test_what_is_not_http_is_rejected_in_json_and_ends_the_connection(
        self, server: LocalSegment, request_bytes: bytes
    ) -> None:
        head, _, body = exchange(server, request_bytes).partition(b"\r\n\r\n")

        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"Connection: close" in head
        assert json.loads(body)["code"] == "invalid_request"

    @pytest.mark.parametrize(
        "headers",
        [
            "Content-Length: 0\r\nContent-Length: 5",
            "Content-Length: 0\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        ],
    )
    def test_two_lengths_are_one_too_many(self, server: LocalSegment, headers: str) -> None:
        smuggled = "0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
        request = f"POST /v1/batch HTTP/1.1\r\n{headers}\r\n\r\n{smuggled}"
        received = exchange(server, request.encode())

        assert received.startswith(b"HTTP/1.1 400 ")
        assert received.count(b"HTTP/1.1 ") == 1
        assert b"the request states the length of its body twice" in received

    @pytest.mark.parametrize("length", ["x", "1a", "-1", "1" * 5_000, ""])
    def test_a_wrong_length_is_not_repeated(self, server: LocalSegment, length: str) -> None:
        request = f"POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"
        body = exchange(server, request.encode()).partition(b"\r\n\r\n")[2]
        assert json.loads(body)["message"] == "the length of the body is not a number"

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
