"""Who may use the local server: programs, and pages of this machine; no page of another site."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.local_server import batch, exchange, post, track

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment

ROUTES = [
    ("GET", "/"),
    ("POST", "/v1/batch"),
    ("POST", "/v1/track"),
    ("POST", "/v1/metrics"),
    ("GET", "/v1/metrics"),
    ("GET", "/v1/metrics/E"),
    ("PUT", "/v1/metrics/E"),
    ("POST", "/v1/measurements"),
    ("OPTIONS", "/v1/batch"),
    ("GET", "/nowhere"),
    ("GET", "/nowhere?http://127.0.0.1/"),
    ("GET", "/v1/metrics/http://127.0.0.1/"),
]
FOREIGN = [
    "evil.example",
    "evil.example:8765",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "192.0.2.1:8765",
    "0.0.0.0:8765",
    "[::]:8765",
    "user@evil.example",
    "[",
    "",
]
LOCAL = [
    "localhost",
    "localhost:3000",
    "LOCALHOST",
    "app.localhost:8765",
    "127.0.0.1:8765",
    "127.8.9.10",
    "[::1]:8765",
]


@pytest.mark.parametrize("method, path", ROUTES)
@pytest.mark.parametrize("header", ["Host", "Origin"])
def test_no_route_serves_a_page_of_another_site(
    server: LocalSegment, header: str, method: str, path: str
) -> None:
    for host in FOREIGN:
        value = host if header == "Host" else f"https://{host}"
        status, content = post(
            server, batch(track("a")), path=path, method=method, headers={header: value}
        )
        assert (status, content["code"]) == (403, "forbidden"), host
        assert content["message"] == (
            f"the {header} is not localhost or 127.0.0.1: web pages have no access"
        )
    assert server.requests == []
    assert server.messages == []


@pytest.mark.parametrize("origin", ["null", "file://", "chrome-extension://localhost-like", "x"])
def test_an_origin_without_a_host_is_foreign(server: LocalSegment, origin: str) -> None:
    assert post(server, batch(track("a")), headers={"Origin": origin})[0] == 403


@pytest.mark.parametrize("host", LOCAL)
def test_a_page_of_this_machine_is_served(server: LocalSegment, host: str) -> None:
    headers = {"Host": host, "Origin": f"http://{host}"}
    assert post(server, batch(track()), headers=headers)[0] == 200
    assert len(server.messages) == 1


def test_one_of_two_hosts_is_enough_to_be_foreign(server: LocalSegment) -> None:
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    assert exchange(server, request).startswith(b"HTTP/1.1 403 ")


def test_a_program_that_names_no_host_is_served(server: LocalSegment) -> None:
    assert exchange(server, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_a_program_may_take_the_server_for_its_proxy_but_a_page_may_not(
    server: LocalSegment,
) -> None:
    body = json.dumps(batch(track())).encode()
    head = "POST http://segment.test/v1/batch HTTP/1.1\r\nHost: segment.test\r\n"
    length = f"Content-Length: {len(body)}\r\n"
    request = f"{head}{length}\r\n".encode() + body
    assert exchange(server, request).startswith(b"HTTP/1.1 200 ")
    request = f"{head}Origin: http://evil.example\r\n{length}\r\n".encode() + body
    assert exchange(server, request).startswith(b"HTTP/1.1 403 ")
