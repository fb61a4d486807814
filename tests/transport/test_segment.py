"""One POST: what goes over the wire, and what each kind of response, or silence, leads to."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import os
import re
import select
import socket
import socketserver
import subprocess
import sys
import threading
import time
import traceback
import zlib
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from support.marks import needs_fork
from support.raw_server import FOREVER, RawServer
from support.real_time import in_real_time

from segment_librato._version import VERSION
from segment_librato.config.client import Config
from segment_librato.devserver import LocalSegment
from segment_librato.errors import (
    APIError,
    ConfigError,
    DeliveryError,
    NetworkError,
    SegmentError,
)
from segment_librato.http import deadlines, session
from segment_librato.http.response import Response
from segment_librato.queue.batch import Batch
from segment_librato.transport.base import Receipt
from segment_librato.transport.envelope import build_body
from segment_librato.transport.segment import SegmentTransport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from support.raw_server import Script

WRITE_KEY = "kEy-of-the-s0urce"
BASIC = base64.b64encode(f"{WRITE_KEY}:".encode()).decode()
SUCCESS = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + b'{"success":true}'
UNUSED_PORT = 9
SHORT = 0.1  # seconds, for a limit that is waited out
MARGIN = 1.5  # seconds that a slow machine may take on top of a limit


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the proxies, certificates and passwords of this machine out of the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}:
            monkeypatch.delenv(name)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "MAX_BODY_SECONDS", SHORT)


def make_batch(count: int = 1, retries: int = 0, text: str = "") -> Batch:
    messages = [
        {"type": "track", "event": f"event {n}", "userId": "u", "messageId": f"{n}", "text": text}
        for n in range(count)
    ]
    return Batch(tuple(json.dumps(message).encode() for message in messages), retries)


@contextmanager
def transport_to(host: str, **options: Any) -> Iterator[SegmentTransport]:
    options = {"write_key": WRITE_KEY, "host": host, "timeout": 10, **options}
    transport = SegmentTransport(Config(**options))
    try:
        yield transport
    finally:
        transport.close()


def post(host: str, batch: Batch | None = None, **options: Any) -> Receipt:
    with transport_to(host, **options) as transport:
        return transport.send(batch or make_batch())


def failure(host: str, batch: Batch | None = None, **options: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        post(host, batch, **options)
    return raised.value


def rejection(host: str, **options: Any) -> APIError:
    error = failure(host, **options)
    assert isinstance(error, APIError)
    return error


def network_error(host: str, **options: Any) -> NetworkError:
    error = failure(host, **options)
    assert isinstance(error, NetworkError)
    assert (error.status, error.code, error.retry_after) == (None, "network", None)
    return error


def everything_told_by(error: BaseException) -> str:
    chain = "".join(traceback.format_exception(error))
    return f"{error} {error!r} {error.args!r} {error.__cause__!r} {chain}"


# What goes over the wire


def test_the_write_key_is_the_user_name_of_basic_authentication_and_in_the_body(
    server: LocalSegment,
) -> None:
    post(server.host, make_batch(2))

    (request,) = server.requests
    assert request.headers.get_all("Authorization") == [f"Basic {BASIC}"]
    assert request.write_key == WRITE_KEY
    assert (request.method, request.path) == ("POST", "/v1/batch")
    assert [message["event"] for message in server.messages] == ["event 0", "event 1"]


def test_the_request_says_what_it_is() -> None:
    with RawServer(lambda: [SUCCESS]) as server:
        post(server.host)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/batch HTTP/1.1"
    assert sorted(lines[1:]) == sorted(
        [
            f"Host: 127.0.0.1:{server.port}",
            f"User-Agent: segment-librato/{VERSION}",
            "Accept-Encoding: identity",
            "Accept: */*",
            "Connection: keep-alive",
            f"Authorization: Basic {BASIC}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
    )


def test_the_body_is_what_the_batch_makes_of_it_with_the_time_in_utc() -> None:
    batch = make_batch(3, text="é 漢字 😀")
    before = datetime.now(timezone.utc)
    with RawServer(lambda: [SUCCESS]) as server:
        receipt = post(server.host, batch)
    body = server.requests[0].partition(b"\r\n\r\n")[2]

    sent_at = json.loads(body)["sentAt"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", sent_at)
    moment = datetime.fromisoformat(sent_at)
    assert before - timedelta(milliseconds=1) <= moment <= datetime.now(timezone.utc)
    assert body == build_body(batch.messages, WRITE_KEY, sent_at)
    assert receipt == Receipt(len(body))


def test_gzip_compresses_the_body_and_says_so(server: LocalSegment) -> None:
    batch = make_batch(50)
    receipt = post(server.host, batch, gzip=True)

    (request,) = server.requests
    assert request.headers["Content-Encoding"] == "gzip"
    assert len(server.messages) == 50
    assert request.raw_size < request.size / 2
    assert receipt.bytes_sent == request.raw_size


def test_a_retry_tells_its_number_and_a_first_try_does_not(server: LocalSegment) -> None:
    for retries in (0, 1, 17):
        post(server.host, make_batch(retries=retries))
    counts = [request.headers.get("X-Retry-Count") for request in server.requests]
    assert counts == [None, "1", "17"]


def test_a_failure_tells_the_bytes_that_were_sent_in_vain(server: LocalSegment) -> None:
    for status in (500, None):
        server.respond(status)
        error = failure(server.host)
        assert error.bytes_sent == server.requests[-1].raw_size > 0


@pytest.mark.parametrize("path", ["", "/", "/v1/batch", "/v1/batch/"])
def test_a_host_may_end_as_people_write_it(server: LocalSegment, path: str) -> None:
    post(server.host + path)
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    "host, warns",
    [
        ("http://127.0.0.1:1", False),
        ("http://127.8.9.10:1", False),
        ("http://[::1]:1", False),
        ("http://localhost:1", False),
        ("http://api.localhost:1", False),
        ("https://192.0.2.1", False),
        ("http://192.0.2.1", True),
        ("http://segment.test", True),
        ("http://localhost.test", True),
        ("http://[2001:db8::1]", True),
    ],
)
def test_plain_http_is_warned_of_once_unless_it_stays_on_the_machine(
    host: str, warns: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_warned", set())
    for _ in range(3):
        session.Session(f"{host}/v1/batch", None, 1).close()
    name = urlsplit(host).netloc
    expected = [f"keys and messages travel to {name} unencrypted; use https"] if warns else []
    assert [record.getMessage() for record in caplog.records] == expected


def test_a_password_in_netrc_does_not_replace_the_write_key(
    server: LocalSegment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = "machine 127.0.0.1\nlogin somebody\npassword else\n"
    entry += "default login anybody password whatever\n"
    (tmp_path / ".netrc").write_text(entry)
    (tmp_path / ".netrc").chmod(0o600)
    post(server.host)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    post(server.host)

    sent = [request.headers.get_all("Authorization") for request in server.requests]
    assert sent == [[f"Basic {BASIC}"]] * 2


def test_sending_imports_nothing() -> None:
    """A fork during another thread's import would leave a half-imported module in the child."""
    program = """if True:
        import sys
        import segment_librato.sending  # as the first message does, on its thread
        from segment_librato import Client
        from segment_librato.devserver import LocalSegment
        with LocalSegment() as server:
            client = Client("k", host=server.host, gzip=True)
            before = set(sys.modules)
            client.track("u", "e")
            assert client.shutdown()
            server.respond(400)
            failed = []
            client = Client("k", host=server.host, on_error=lambda *_: failed.append(1))
            client.track("u", "e")
            assert client.shutdown()
            assert failed
            print(sorted(set(sys.modules) - before))
        """
    done = subprocess.run(  # noqa: S603  the program above
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=240
    )
    assert done.stdout == "[]\n"


# Connections


@pytest.mark.parametrize(
    "response",
    [
        SUCCESS,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 65000\r\n\r\n" + b"x" * 65_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" + SUCCESS,
    ],
    ids=["usual", "no content", "empty", "chunked", "long", "continue"],
)
def test_many_batches_go_over_one_connection(response: bytes) -> None:
    with RawServer(lambda: [response], keep_alive=True) as server:
        with transport_to(server.host) as transport:
            for _ in range(20):
                transport.send(make_batch())
        assert len(server.requests) == 20
        assert server.connections == 1


def test_a_rejected_batch_does_not_cost_the_connection(server: LocalSegment) -> None:
    server.respond(400, times=3)
    server.respond(301, headers={"Location": "http://elsewhere.example/"}, times=3)
    with transport_to(server.host) as transport:
        for _ in range(6):
            with pytest.raises(APIError):
                transport.send(make_batch())
        transport.send(make_batch())
    assert len({request.client_address for request in server.requests}) == 1


def test_a_connection_that_the_server_closed_while_idle_is_replaced() -> None:
    with RawServer(lambda: [SUCCESS]) as server, transport_to(server.host) as transport:
        for expected in range(1, 4):
            transport.send(make_batch())
            assert server.wait_until(lambda: server.open_connections == 0)
            assert server.connections == expected


def test_the_next_response_on_a_connection_has_the_full_timeout_again(impatient: None) -> None:
    """The short limit on the rest of a response must not apply to the next request."""
    with RawServer(lambda: [0.3, SUCCESS], keep_alive=True) as server:
        with transport_to(server.host) as transport:
            for _ in range(3):
                transport.send(make_batch())
        assert server.connections == 1


def test_senders_at_the_same_time_have_a_connection_each(server: LocalSegment) -> None:
    with transport_to(server.host) as transport:
        with server.hold():
            senders = [
                threading.Thread(target=transport.send, args=(make_batch(),)) for _ in range(3)
            ]
            for sender in senders:
                sender.start()
            assert server.wait_until(lambda: server.held == 3)
        for sender in senders:
            sender.join()
        first = {request.client_address for request in server.requests}
        transport.send(make_batch())
        assert len(first) == 3
        assert server.requests[-1].client_address in first


def test_many_threads_share_a_transport_without_losing_a_session() -> None:
    """Whether there is an idle session, and taking it, has to be one step."""
    with RawServer(lambda: [SUCCESS], keep_alive=True) as server:
        problems: list[BaseException] = []

        def send_some() -> None:
            try:
                for _ in range(20):
                    transport.send(make_batch())
            except BaseException as problem:  # noqa: BLE001  the test reports it
                problems.append(problem)

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            with transport_to(server.host) as transport:
                senders = [threading.Thread(target=send_some) for _ in range(6)]
                for sender in senders:
                    sender.start()
                for sender in senders:
                    sender.join()
        finally:
            sys.setswitchinterval(interval)
        assert problems == []
        assert len(server.requests) == 120
        assert server.connections <= 6
        assert server.wait_until(lambda: server.open_connections == 0)


def test_closing_ends_the_connections_and_may_be_repeated() -> None:
    server = RawServer(lambda: [SUCCESS], keep_alive=True)
    with server, transport_to(server.host) as transport:
        transport.send(make_batch())
        assert server.open_connections == 1
        transport.close()
        assert server.wait_until(lambda: server.open_connections == 0)
        transport.close()


def test_a_connection_in_use_while_closing_is_closed_afterwards() -> None:
    go_on = threading.Event()

    def script() -> Iterator[bytes]:
        go_on.wait(10)
        yield SUCCESS

    with RawServer(script, keep_alive=True) as server, transport_to(server.host) as transport:
        sender = threading.Thread(target=transport.send, args=(make_batch(),))
        sender.start()
        assert server.wait_until(lambda: len(server.requests) == 1)
        transport.close()
        assert server.open_connections == 1
        go_on.set()
        sender.join()
        assert server.wait_until(lambda: server.open_connections == 0)


def test_a_failed_request_leaves_no_connection_open() -> None:
    with (
        RawServer(lambda: [FOREVER]) as server,
        transport_to(server.host, timeout=SHORT) as sender,
    ):
        for _ in range(2):
            with pytest.raises(NetworkError):
                sender.send(make_batch())
        server.wait_until(lambda: server.connections == 2)
        assert server.connections == 2


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_leaves_the_connection_of_its_parent_alone(server: LocalSegment) -> None:
    with transport_to(server.host) as transport:
        transport.send(make_batch())
        child = os.fork()
        if child == 0:
            status = 1
            try:
                transport.reset_after_fork()
                transport.send(make_batch())
                transport.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0) == (child, 0)
        transport.send(make_batch())

    first, of_the_child, last = [request.client_address for request in server.requests]
    assert first == last
    assert first != of_the_child


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_that_names_both_hosts_and_is_not_followed(
    server: LocalSegment, status: int
) -> None:
    with LocalSegment() as elsewhere:
        location = elsewhere.host.replace("127.0.0.1", "localhost") + "/v1/batch?secret=1#part"
        server.respond(status, headers={"Location": location})
        error = rejection(server.host)
        assert elsewhere.requests == []
    assert len(server.requests) == 1
    assert (error.status, error.code) == (status, "redirect")
    assert "127.0.0.1" in error.message
    assert "localhost" in error.message
    assert "secret" not in error.message
    assert "`host`" in error.message


@pytest.mark.parametrize(
    "location, target",
    [
        ("/v2/batch", "{host}"),
        ("v2", "{host}"),
        ("//other.example/v1", "http://other.example"),
        ("HTTPS://user:password@other.example:8080/", "https://other.example:8080"),
        ("http://[::1]:80/", "http://[::1]:80"),
        ("http://[", "nowhere"),
        ("https://other.example:x/", "nowhere"),
        ("http://", "{host}"),
        ("mailto:somebody@example.com", "nowhere"),
        (f"https://{WRITE_KEY.lower()}.example/", "https://***.example"),
        ("https://" + "x" * 5_000, "https://" + "x" * 192),
    ],
)
def test_whatever_location_a_redirect_has_the_verdict_stands(
    server: LocalSegment, location: str, target: str
) -> None:
    server.respond(302, headers={"Location": location})
    error = rejection(server.host, write_key=WRITE_KEY.lower())
    target = target.replace("{host}", server.host)
    assert error.message.endswith(f"a redirect to {target}; set `host` to where the API is")


def test_a_redirect_without_a_location_is_an_error_too(server: LocalSegment) -> None:
    server.respond(304)
    assert rejection(server.host).message.endswith(
        "a redirect to nowhere; set `host` to where the API is"
    )


@in_real_time
def test_the_body_of_a_redirect_is_read_no_further_than_any_other(impatient: None) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: http://other.example/\r\n\r\n"
    with RawServer(lambda: [head, *repeat(b"x", 10), FOREVER]) as server:
        began = time.monotonic()
        assert rejection(server.host).status == 302
        assert time.monotonic() - began < SHORT + MARGIN


# What a response means


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_success(server: LocalSegment, status: int) -> None:
    server.respond(status)
    post(server.host)
    assert len(server.messages) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 429, 460, 500, 503, 511, 599])
def test_any_other_status_is_an_error_with_what_the_server_says(
    server: LocalSegment, status: int
) -> None:
    body = json.dumps({"code": "some_code", "message": "Some text."}).encode()
    server.respond(status, body=body, headers={"Retry-After": "17"})
    error = rejection(server.host)
    assert (error.status, error.code, error.message) == (status, "some_code", "Some text.")
    assert error.retry_after == 17
    advice = {401: "; check `write_key`", 404: " to a POST to /v1/batch; check `host`"}
    assert str(error) == f"127.0.0.1:{server.port} answered {status}{advice.get(status, '')}"


@pytest.mark.parametrize("base", ["/api/proxy", "/v2/v1/batch/", "/%C3%A9"])
def test_a_404_names_the_path_that_was_posted_to(server: LocalSegment, base: str) -> None:
    error = rejection(f"{server.host}{base}")
    path = urlsplit(Config(write_key="k", host=f"http://h{base}").batch_url).path
    assert str(error) == f"127.0.0.1:{server.port} answered 404 to a POST to {path}; check `host`"
    assert server.requests[-1].path == path


def test_a_404_shows_no_write_key_that_is_part_of_the_path(server: LocalSegment) -> None:
    error = rejection(f"{server.host}/of/{WRITE_KEY}")
    place = f"127.0.0.1:{server.port}"
    assert str(error) == f"{place} answered 404 to a POST to /of/***/v1/batch; check `host`"


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe\x00",
        b"null",
        b"[1]",
        b'"text"',
        b"{}",
        b'{"code": 7, "message": ["x"]}',
        b'{"code": null, "message": null}',
        b'{"code": "", "message": ""}',
        b"[" * 60_000,
        b'{"message": "x"',
        b'{"message": "\xff"}',
        b"1" * 60_000,
    ],
    ids=range(14),
)
def test_a_body_that_says_nothing_leaves_the_words_beside_the_status(
    server: LocalSegment, body: bytes
) -> None:
    server.respond(503, body=body)
    error = rejection(server.host)
    assert (error.status, error.code) == (503, "unknown")
    assert error.message == "Service Unavailable"


def test_a_response_without_any_words_still_has_a_message() -> None:
    with RawServer(lambda: [b"HTTP/1.1 418\r\nContent-Length: 0\r\n\r\n"]) as server:
        error = rejection(server.host)
    assert (error.status, error.message) == (418, f"127.0.0.1:{server.port} answered 418")


def test_long_texts_are_shortened(server: LocalSegment) -> None:
    body = json.dumps({"code": "c" * 9_999, "message": "m" * 9_999}).encode()
    server.respond(400, body=body)
    error = rejection(server.host)
    assert (error.code, error.message) == ("c" * 200, "m" * 200)


@pytest.mark.parametrize("padding", [0, 190, 195, 199])
def test_secrets_that_the_server_repeats_are_masked(server: LocalSegment, padding: int) -> None:
    text = "x" * padding + f"{WRITE_KEY} {BASIC} {WRITE_KEY}"
    server.respond(400, body=json.dumps({"code": text, "message": text}).encode())
    error = rejection(server.host)
    for said in (error.code, error.message):
        assert said == ("x" * padding + "*** *** ***")[:200]


def test_a_secret_beside_the_status_is_masked() -> None:
    response = f"HTTP/1.1 403 No {WRITE_KEY}\r\nContent-Length: 0\r\n\r\n".encode()
    with RawServer(lambda: [response]) as server:
        assert rejection(server.host).message == "No ***"


def test_nothing_that_a_server_repeats_gets_into_texts_and_logs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server: RawServer

    def script() -> Iterator[bytes]:
        request = server.requests[-1].decode()
        body = json.dumps({"code": request, "message": request}).encode()
        yield b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    with RawServer(script) as server:
        error = failure(server.host, make_batch(text="private matter"))
    for told in (everything_told_by(error), caplog.text):
        assert WRITE_KEY not in told
        assert BASIC not in told
        assert "private matter" not in told
    assert caplog.records


def test_a_successful_request_is_logged_with_numbers_only(
    server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    post(server.host, make_batch(text="private matter"))
    (line,) = [record.getMessage() for record in caplog.records if record.name == "segment"]
    assert re.fullmatch(r"127\.0\.0\.1:\d+ answered 200 to \d+ bytes after \d\.\d{3} s", line)
    assert WRITE_KEY not in caplog.text
    assert "private matter" not in caplog.text


# Retry-After


def retry_after(value: str | None, received_at: float = 0) -> float | None:
    headers = {} if value is None else {"Retry-After": value}
    return Response(429, "", headers, b"", received_at).retry_after()


@pytest.mark.parametrize(
    "value, seconds",
    [
        ("1", 1),
        (" 120 ", 120),
        ("0", None),
        ("-5", None),
        ("1.5", 2),
        ("2.0", 2),
        ("2.", 2),
        ("0.0", None),
        ("0.2", 1),
        ("1e3", None),
        ("٣", None),
        ("1_000", None),
        ("", None),
        (None, None),
        ("soon", None),
        ("5, 7", 7),
        ("2, 2", 2),
        ("2.5,soon, 1", 3),
        (",,", None),
        ("1, Fri, 31 Dec 1999 23:59:59 GMT", 59),
        ("Fri, 31 Dec 1999 23:59:30 GMT, Friday, 31-Dec-99 23:59:59 GMT", 59),
        ("9" * 400, None),
        ("9" * 400 + ".5", None),
        ("9" * 9_000, None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 59),
        ("Friday, 31-Dec-99 23:59:59 GMT", 59),
        ("Fri Dec 31 23:59:59 1999", 59),
        ("Fri, 31 Dec 1999 23:59:59 -0000", 59),
        ("Sat, 01 Jan 2000 00:59:59 +0100", 59),
        ("Fri, 31 Dec 1999 23:59:00 GMT", None),
        ("Fri, 31 Dec 1998 23:59:59 GMT", None),
        ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", None),
        ("Fri, 99 Dec 1999 23:59:59 GMT", None),
        ("Fri, 31 Dec 1999 23:59:59 +9999", None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date_and_else_nothing(
    value: str | None, seconds: float | None
) -> None:
    now = datetime(1999, 12, 31, 23, 59, 0, tzinfo=timezone.utc).timestamp()
    assert retry_after(value, now) == seconds


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [-+]?\d+"))
def test_no_retry_after_does_any_harm(value: str) -> None:
    seconds = retry_after(value)
    assert seconds is None or 0 < seconds < float("inf")


def test_a_date_to_wait_for_is_seconds_from_now(server: LocalSegment) -> None:
    date = datetime.now(timezone.utc) + timedelta(seconds=60)
    server.respond(429, headers={"Retry-After": format_datetime(date, usegmt=True)})
    seconds = rejection(server.host).retry_after
    assert seconds is not None
    assert 50 < seconds <= 60


def test_garbage_in_retry_after_leaves_the_verdict(server: LocalSegment) -> None:
    server.respond(429, headers={"Retry-After": "9" * 400})
    error = rejection(server.host)
    assert (error.status, error.retry_after) == (429, None)


# Bodies that misbehave: the status line stands, and the end comes soon


def drip(piece: bytes) -> Iterator[bytes | float]:
    while True:
        yield piece
        yield SHORT / 20


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = b"Content-Length: 1000000\r\n\r\n"
CLOSE = b"Connection: close\r\n"
GZIP = b"Content-Encoding: gzip\r\n"

NEVER_ENDING: dict[str, Callable[[], Iterator[bytes | float]]] = {
    "silence": lambda: iter([b"\r\n", FOREVER]),
    "silence of a known length": lambda: iter([LENGTH, FOREVER]),
    "silence of a known length, then closing": lambda: iter([CLOSE + LENGTH, FOREVER]),
    "silence, then closing": lambda: iter([CLOSE + b"\r\n", FOREVER]),
    "silence in chunks": lambda: iter([CHUNKED, FOREVER]),
    "silence in a chunk": lambda: iter([CHUNKED + b"ff\r\n", FOREVER]),
    "silence in gzip": lambda: iter([GZIP + LENGTH, FOREVER]),
    "bytes dripping": lambda: chain_drip(b"\r\n", b"x"),
    "bytes of a known length dripping": lambda: chain_drip(LENGTH, b"x"),
    "bytes dripping, then closing": lambda: chain_drip(CLOSE + b"\r\n", b"x"),
    "chunks dripping": lambda: chain_drip(CHUNKED, b"1\r\nx\r\n"),
    "the length of a chunk dripping": lambda: chain_drip(CHUNKED, b"0"),
    "the extension of a chunk dripping": lambda: chain_drip(CHUNKED + b"1;", b"x"),
    "a trailer dripping": lambda: chain_drip(CHUNKED + b"0\r\n", b"x"),
    "trailers without end": lambda: chain_flood(CHUNKED + b"0\r\n", b"a: b\r\n" * 10_000),
}


def chain_drip(start: bytes, piece: bytes) -> Iterator[bytes | float]:
    yield start
    yield from drip(piece)


def chain_flood(start: bytes, piece: bytes) -> Iterator[bytes | float]:
    yield start
    yield from repeat(piece)


def answering(status: int, rest: Callable[[], Iterator[bytes | float]]) -> Script:
    def script() -> Iterator[bytes | float]:
        yield b"HTTP/1.1 %d Some Words\r\n" % status
        yield from rest()

    return script


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("name", NEVER_ENDING)
@in_real_time
def test_a_body_that_never_ends_holds_nothing_up(name: str, status: int, impatient: None) -> None:
    server = RawServer(answering(status, NEVER_ENDING[name]))
    with server, transport_to(server.host) as transport:
        began = time.monotonic()
        if status == 200:
            transport.send(make_batch())
        else:
            with pytest.raises(APIError) as raised:
                transport.send(make_batch())
            assert raised.value.status == status
        assert SHORT * 0.9 <= time.monotonic() - began < SHORT + MARGIN
        # What comes too late must not be taken for the next response
        assert server.wait_until(lambda: server.open_connections == 0)


@pytest.mark.parametrize("limit", [0.05, 0.4])
@in_real_time
def test_the_limit_in_seconds_is_obeyed(limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "MAX_BODY_SECONDS", limit)
    script = answering(200, NEVER_ENDING["bytes dripping"])
    with RawServer(script) as server, transport_to(server.host) as transport:
        began = time.monotonic()
        transport.send(make_batch())
        assert limit * 0.9 <= time.monotonic() - began < limit + 0.3


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("head", [b"\r\n", LENGTH * 1, CLOSE + b"\r\n", CHUNKED])
@in_real_time
def test_a_huge_body_is_read_to_a_limit_only(head: bytes, status: int) -> None:
    piece = b"x" * 65_536
    if head == CHUNKED:
        piece = b"10000\r\n" + piece + b"\r\n"
    with RawServer(answering(status, lambda: chain_flood(head, piece))) as server:
        began = time.monotonic()
        if status == 200:
            post(server.host)
        else:
            assert rejection(server.host).status == status
        assert time.monotonic() - began < MARGIN
        assert server.wait_until(lambda: server.open_connections == 0)
        assert server.bytes_sent < 10_000_000  # what the buffers of the system hold


def test_the_limit_in_bytes_is_exact() -> None:
    server = RawServer(lambda: [b"HTTP/1.1 200 OK\r\n\r\n", *repeat(b"x" * 50_000, 10)])
    with server, session.Session(server.host, None, 10) as opened:
        response = opened.send("POST", b"", {})
    assert response.body == b"x" * 65_536


def test_a_compressed_body_is_not_expanded() -> None:
    """A few kilobytes of it could become gigabytes."""
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(bomb.compress(b"\0" * 10**6) for _ in range(30)) + bomb.flush()
    head = b"HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    server = RawServer(lambda: [head + body], keep_alive=True)
    with server, session.Session(server.host, None, 10) as opened:
        response = opened.send("POST", b"", {})
    assert response.status == 500
    assert response.body == body[:65_536]
    assert gzip.decompress(body) == b"\0" * 30_000_000


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize(
    "rest",
    [
        LENGTH + b"x" * 10,
        CHUNKED + b"ff\r\nabc",
        CHUNKED + b"garbage\r\n",
        CHUNKED + b"-5\r\n",
        CHUNKED + b"3\r\nabcdefg\r\n",
        GZIP + LENGTH + b"not gzip",
        b"Content-Length: many\r\n\r\nabc",
        b"Content-Length: -1\r\n\r\nabc",
        b"Content-Length: 3, 3\r\n\r\nabc",
        b"Transfer-Encoding: unheard-of\r\n\r\nabc",
        b"\r\n\xff\xfe\x00",
        b"no colon at all\r\n\r\nabc",
        b"Set-Cookie: ;;;=\r\nContent-Type: ;;\r\n\r\nabc",
    ],
    ids=range(13),
)
@pytest.mark.parametrize("reset", [False, True])
def test_a_broken_body_changes_nothing(rest: bytes, status: int, reset: bool) -> None:
    head = b"HTTP/1.1 %d Some Words\r\n" % status
    with RawServer(lambda: [head + rest, 0.02], reset=reset) as server:
        if status == 200:
            post(server.host)
        else:
            assert rejection(server.host).status == status


@pytest.mark.skipif(
    not hasattr(urllib3.HTTPResponse, "read1"), reason="urllib3 1 cannot read what there is"
)
def test_an_error_text_that_came_before_the_silence_is_kept(impatient: None) -> None:
    text = b'{"code": "c", "message": "All of it."}'
    with RawServer(lambda: [b"HTTP/1.1 400 No\r\n\r\n" + text, FOREVER]) as server:
        assert rejection(server.host).message == "All of it."


# No response


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"\r\n",
        b"garbage\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 abc No\r\n\r\n",
        b"HTTP/1.1 99999 No\r\n\r\n",
        b"HTTP/1.1 20",
        b"SMTP 220 ready\r\n",
        b"x" * 70_000,
        b"HTTP/3.1 200 OK\r\n\r\n",
    ],
    ids=range(10),
)
@pytest.mark.parametrize("reset", [False, True])
def test_what_is_not_a_response_is_a_network_error(response: bytes, reset: bool) -> None:
    with RawServer(lambda: [response], reset=reset) as server:
        assert re.match(r"127\.0\.0\.1:\d+: \w+", str(network_error(server.host)))


@pytest.mark.parametrize(
    "start, piece",
    [
        (b"", b"\0"),
        (b"HTTP/1.1 ", b" "),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
@in_real_time
def test_a_status_line_that_drips_is_waited_for_no_longer_than_the_timeout(
    start: bytes, piece: bytes
) -> None:
    with RawServer(lambda: chain_drip(start, piece)) as server:
        began = time.monotonic()
        error = network_error(server.host, timeout=0.2)
        assert 0.19 <= time.monotonic() - began < 0.2 + MARGIN
    assert str(error) == f"127.0.0.1:{server.port}: ReadTimeout: TimeoutError"


@pytest.mark.parametrize("start", [b"", b"A: "])
@in_real_time
def test_headers_that_drip_are_waited_for_no_longer_than_the_timeout(start: bytes) -> None:
    """The status line is there, and decides."""
    for status in (200, 503):
        head = b"HTTP/1.1 %d Said\r\n" % status + start
        with RawServer(lambda: chain_drip(head, b"x")) as server:  # noqa: B023  it is gone before the next
            began = time.monotonic()
            if status == 200:
                post(server.host, timeout=0.2)
            else:
                assert rejection(server.host, timeout=0.2).status == status
            assert 0.19 <= time.monotonic() - began < 0.2 + MARGIN


@pytest.mark.parametrize("timeout", [0.2, (10, 0.2)])
@in_real_time
def test_silence_ends_with_the_timeout(timeout: object) -> None:
    with RawServer(lambda: [FOREVER]) as server:
        began = time.monotonic()
        error = network_error(server.host, timeout=timeout)
        assert str(error).startswith(f"127.0.0.1:{server.port}: ReadTimeout")
        assert 0.19 <= time.monotonic() - began < 0.2 + MARGIN


@in_real_time
def test_a_server_that_reads_nothing_is_given_up_after_the_timeout() -> None:
    """A body that the buffers of the system do not hold cannot be sent to it."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        batch = make_batch(15, text="x" * 32_000)
        batch = Batch(batch.messages * 20)
        began = time.monotonic()
        error = failure(f"http://127.0.0.1:{listener.getsockname()[1]}", batch, timeout=0.3)
    assert isinstance(error, NetworkError)
    assert time.monotonic() - began < 0.6 + MARGIN


def test_a_rejected_connection_is_named_so() -> None:
    error = network_error(f"http://127.0.0.1:{UNUSED_PORT}")
    assert str(error) == f"127.0.0.1:{UNUSED_PORT}: ConnectionError: Connection refused"


def test_a_reset_connection_is_named_so() -> None:
    with RawServer(list, reset=True) as server:
        error = network_error(server.host)
    assert str(error) == f"127.0.0.1:{server.port}: ConnectionError: Connection reset by peer"


def test_a_connection_closed_without_a_response_is_named_so() -> None:
    with RawServer(list) as server:
        error = network_error(server.host)
    assert str(error) == f"127.0.0.1:{server.port}: ConnectionError: RemoteDisconnected"


def test_a_host_that_does_not_exist_is_named() -> None:
    assert "no-such-host.invalid: ConnectionError: " in str(
        network_error("http://no-such-host.invalid")
    )


def test_an_error_that_the_application_handles_meanwhile_is_not_taken_for_the_cause() -> None:
    """In sync mode the request is made inside its `except` block."""
    with RawServer(list) as server:
        try:
            Path("/no/such/file").read_text()
        except FileNotFoundError:
            error = network_error(server.host)
    assert str(error) == f"127.0.0.1:{server.port}: ConnectionError: RemoteDisconnected"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_network_error_tells_a_url_a_password_or_the_write_key(
    scheme: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    host = f"{scheme}://127.0.0.1:{UNUSED_PORT}/hidden-path"
    proxies = {scheme: f"http://somebody:hidden-password@127.0.0.1:{UNUSED_PORT}"}
    errors: list[SegmentError] = [network_error(host), network_error(host, proxies=proxies)]
    monkeypatch.setenv(f"{scheme}_proxy", "http://u:hidden-password@[")
    with pytest.raises(ConfigError) as raised:
        post(host)
    for error in (*errors, raised.value):
        for told in (everything_told_by(error), caplog.text):
            assert WRITE_KEY not in told
            assert BASIC not in told
            assert "hidden-password" not in told
        assert "hidden-path" not in everything_told_by(error)
        assert error.__cause__ is None
        assert error.__suppress_context__


# Proxies

PASSWORD = base64.b64encode(b"somebody:pass word").decode()


def proxy_url(proxy: LocalSegment) -> str:
    return f"http://somebody:pass%20word@127.0.0.1:{proxy.port}"


@pytest.fixture
def proxy() -> Iterator[LocalSegment]:
    """Take requests for any host, as a plain HTTP proxy does."""
    with LocalSegment() as local:
        yield local


UNREACHABLE = "http://segment.invalid"


def test_a_proxy_gets_the_request_with_its_own_credentials(proxy: LocalSegment) -> None:
    post(UNREACHABLE, proxies={"http": proxy_url(proxy)})
    (request,) = proxy.requests
    assert request.headers["Host"] == "segment.invalid"
    assert request.headers["Proxy-Authorization"] == f"Basic {PASSWORD}"
    assert request.headers["Authorization"] == f"Basic {BASIC}"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_the_environment_names_a_proxy(
    proxy: LocalSegment, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, proxy_url(proxy))
    post(UNREACHABLE)
    assert proxy.requests[0].headers["Proxy-Authorization"] == f"Basic {PASSWORD}"


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "*", "example.com,127.0.0.1", "127.0.0.0/8"])
def test_the_environment_names_hosts_without_a_proxy(
    server: LocalSegment, proxy: LocalSegment, no_proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy_url(proxy))
    monkeypatch.setenv("NO_PROXY", no_proxy)
    post(server.host)
    assert (len(server.requests), len(proxy.requests)) == (1, 0)


def test_the_option_comes_before_the_environment(
    server: LocalSegment, proxy: LocalSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{UNUSED_PORT}")
    post(UNREACHABLE, proxies={"http": proxy_url(proxy)})
    assert len(proxy.requests) == 1
    post(server.host, proxies={"http": ""})
    assert len(server.requests) == 1


def test_the_option_counts_for_hosts_that_the_environment_excepts(
    server: LocalSegment, proxy: LocalSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    post(server.host, proxies={"http": proxy_url(proxy)})
    assert (len(server.requests), len(proxy.requests)) == (0, 1)


def test_a_proxy_that_rejects_a_tunnel_is_named_with_its_status() -> None:
    reject = b"HTTP/1.1 407 No hidden-password\r\nContent-Length: 0\r\n\r\n"
    with RawServer(lambda: [reject]) as proxy_server:
        error = network_error("https://segment.invalid", proxies={"https": proxy_server.host})
    place = f"segment.invalid via 127.0.0.1:{proxy_server.port}"
    assert str(error) == f"{place}: ProxyError: Tunnel connection failed: 407"
    assert proxy_server.requests[0].startswith(b"CONNECT segment.invalid:443 ")
    assert b"Authorization" not in proxy_server.requests[0]


class Tunnel(socketserver.BaseRequestHandler):
    """Accept a CONNECT, and pass on what each side sends to the other."""

    heads: ClassVar[list[bytes]] = []

    def handle(self) -> None:
        head = self.request.recv(65_536)
        self.heads.append(head)
        port = int(head.split(b" ")[1].rpartition(b":")[2])
        with socket.create_connection(("127.0.0.1", port)) as upstream:
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            others = {self.request: upstream, upstream: self.request}
            while True:
                for readable in select.select(list(others), [], [])[0]:
                    if not (piece := readable.recv(65_536)):
                        return
                    others[readable].sendall(piece)


def test_tls_goes_through_the_tunnel_of_a_proxy_that_sees_only_its_own_credentials(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    server = RawServer(lambda: [SUCCESS], keep_alive=True, tls=tls)
    with server, socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as tunnel:
        thread = threading.Thread(target=tunnel.serve_forever, args=(0.01,))
        thread.start()
        proxies = {"https": f"http://somebody:pass%20word@127.0.0.1:{tunnel.server_address[1]}"}
        with transport_to(server.host, proxies=proxies) as transport:
            for _ in range(3):
                transport.send(make_batch())
        tunnel.shutdown()
        thread.join()

    (head,) = Tunnel.heads
    assert head.startswith(f"CONNECT 127.0.0.1:{server.port} ".encode())
    assert f"Proxy-Authorization: Basic {PASSWORD}".encode() in head
    assert BASIC.encode() not in head
    assert len(server.requests) == 3
    for request in server.requests:
        assert f"Authorization: Basic {BASIC}".encode() in request
        assert b"Proxy-Authorization" not in request


@in_real_time
def test_a_proxy_that_drips_is_given_up_after_the_timeout() -> None:
    with RawServer(lambda: chain_drip(b"HTTP/1.1 200 OK\r\nA: ", b"x")) as proxy_server:
        began = time.monotonic()
        network_error("https://segment.invalid", proxies={"https": proxy_server.host}, timeout=0.2)
        assert time.monotonic() - began < 0.2 + MARGIN


def test_a_redirect_by_a_proxy_leaks_nothing(proxy: LocalSegment, server: LocalSegment) -> None:
    proxy.respond(307, headers={"Location": server.host})
    assert rejection(UNREACHABLE, proxies={"http": proxy_url(proxy)}).code == "redirect"
    assert server.requests == []


# TLS


def test_an_unknown_certificate_is_rejected_before_anything_is_sent(tls: ssl.SSLContext) -> None:
    with RawServer(lambda: [SUCCESS], tls=tls) as server:
        error = network_error(server.host)
    assert re.fullmatch(r"127\.0\.0\.1:\d+: SSLError: self[- ]signed certificate", str(error))
    assert server.requests == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environment_names_authorities_to_trust(
    tls: ssl.SSLContext, certificate: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(certificate))
    server = RawServer(lambda: [SUCCESS], keep_alive=True, tls=tls)
    with server, transport_to(server.host) as transport:
        for _ in range(3):
            transport.send(make_batch())
    assert len(server.requests) == 3
    assert server.connections == 1


def test_a_certificate_for_another_name_is_rejected(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with RawServer(lambda: [SUCCESS], tls=tls) as server:
        error = network_error(f"https://localhost:{server.port}")
    assert f"localhost:{server.port}: SSLError: " in str(error)
    assert server.requests == []


def test_a_server_that_does_not_speak_tls_is_a_network_error(server: LocalSegment) -> None:
    error = network_error(server.host.replace("http:", "https:"), timeout=5)
    assert f"127.0.0.1:{server.port}: SSLError: " in str(error)


@pytest.mark.parametrize("name", ["silence", "bytes dripping", "the length of a chunk dripping"])
@in_real_time
def test_a_body_that_never_ends_holds_nothing_up_over_tls(
    tls: ssl.SSLContext,
    certificate: Path,
    name: str,
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with RawServer(answering(200, NEVER_ENDING[name]), tls=tls) as server:
        began = time.monotonic()
        post(server.host)
        assert SHORT * 0.9 <= time.monotonic() - began < SHORT + MARGIN
