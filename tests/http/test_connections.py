"""Connections: which are used again, what comes over them, and what decides about a request."""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest
import requests
from support.counting import count_calls
from support.raw_server import FOREVER, Ending, RawServer
from support.real_time import in_real_time

from segment_librato import Client, LibratoConfig, OpenTelemetryConfig
from segment_librato.config.client import Config
from segment_librato.errors import APIError, NetworkError
from segment_librato.gauge_delivery.librato import LibratoTransport
from segment_librato.gauge_delivery.otlp import OpenTelemetryTransport
from segment_librato.http import adapter, deadlines
from segment_librato.http.connections import _addresses
from segment_librato.http.pool import Sessions
from segment_librato.http.session import Session
from segment_librato.queue.batch import Batch
from segment_librato.transport.segment import SegmentTransport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

    from segment_librato.http.response import Response
    from segment_librato.transport.base import Transport

    Transports = Callable[..., Transport]

SUCCESS = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
FAILURE = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
MARGIN = 1.5  # seconds that a slow machine may take on top of a limit

MESSAGE = b'{"type":"track","event":"e","userId":"u","messageId":"1"}'
MEASUREMENT = b'{"name":"depth","value":1,"source":"web-1"}'


def segment(host: str, **options: Any) -> Transport:
    return SegmentTransport(Config(write_key="key", host=host, **options))


def librato(host: str, **options: Any) -> Transport:
    return LibratoTransport(LibratoConfig("ada@example.com", "token", host=host, **options))


def otlp(host: str, **options: Any) -> Transport:
    return OpenTelemetryTransport(OpenTelemetryConfig(host, **options))


BATCHES = {segment: Batch((MESSAGE,)), librato: Batch((MEASUREMENT,)), otlp: Batch((MEASUREMENT,))}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(params=BATCHES, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Transports:
    made: Transports = request.param
    return made


@contextmanager
def sender(make: Transports, host: str, **options: Any) -> Iterator[Callable[..., Any]]:
    """Yield a function that sends a batch, and returns the status of the response."""
    transport = make(host, **{"timeout": 10, **options})

    def send(timeout: float | None = None) -> int | None:
        try:
            transport.send(BATCHES[make], timeout)
        except APIError as error:
            return error.status
        return 200

    yield send
    transport.close()


@contextmanager
def opened(server: RawServer, timeout: float = 10) -> Iterator[Session]:
    with Session(server.host, None, timeout) as session:
        yield session


def post(session: Session, body: bytes = b"{}", seconds: float | None = None) -> Response:
    return session.post(body, {}, seconds)


# A connection that was forgotten


def forgets(*numbers: int, server: list[RawServer]) -> Callable[[], Iterator[bytes | float]]:
    """Answer all requests but those of these numbers, which get nothing at all."""

    def script() -> Iterator[bytes | float]:
        yield FOREVER if len(server[0].requests) in numbers else SUCCESS

    return script


@contextmanager
def forgetting(*numbers: int) -> Iterator[RawServer]:
    servers: list[RawServer] = []
    with RawServer(forgets(*numbers, server=servers), keep_alive=True) as server:
        servers.append(server)
        yield server


@pytest.mark.parametrize("seconds", [None, 1.5])
@in_real_time
def test_a_kept_connection_that_brings_no_answer_leaves_time_for_a_new_one(
    make: Transports, seconds: float | None
) -> None:
    with (
        forgetting(2) as server,
        sender(make, server.host, timeout=1.5 if not seconds else 10) as send,
    ):
        assert send() == 200
        assert send(seconds) == 200
        assert (server.connections, len(server.requests)) == (2, 3)
    _, second, third = [request.partition(b"\r\n\r\n")[2] for request in server.requests]
    assert second == third


def test_a_shutdown_delivers_though_the_connection_was_forgotten() -> None:
    with forgetting(2) as server:
        client = Client("key", server.host, timeout=3)
        for _ in range(2):
            client.track("user", "event")
            assert client.flush(10)
        assert client.shutdown(10)
        assert client.stats.delivered == 2
        assert client.stats.retries == 0


@in_real_time
def test_silence_over_a_kept_connection_and_a_new_one_ends_with_the_timeout(
    make: Transports,
) -> None:
    with forgetting(2, 3) as server, sender(make, server.host, timeout=0.6) as send:
        assert send() == 200
        began = time.monotonic()
        with pytest.raises(NetworkError, match="ReadTimeout"):
            send()
        assert 0.5 < time.monotonic() - began < 0.6 + MARGIN
        assert len(server.requests) == 3


@in_real_time
def test_the_deadline_counts_for_both_connections() -> None:
    with forgetting(2, 3) as server, opened(server) as session:
        post(session)
        began = time.monotonic()
        with pytest.raises(NetworkError, match="ReadTimeout"):
            post(session, seconds=0.6)
        assert 0.5 < time.monotonic() - began < 0.6 + MARGIN


@in_real_time
def test_silence_over_a_new_connection_is_not_tried_twice() -> None:
    with forgetting(1, 2) as server, opened(server, timeout=0.1) as session:
        for _ in range(2):
            with pytest.raises(NetworkError, match="ReadTimeout"):
                post(session)
        assert server.wait_until(lambda: len(server.requests) == 2)
        assert server.connections == 2


def test_a_kept_connection_that_takes_no_body_leaves_time_for_a_new_one() -> None:
    """What the buffers of the system do not hold cannot even be sent."""
    body = b"x" * 20_000_000
    got: list[int] = []

    def serve() -> None:
        first, _ = listener.accept()
        first.recv(65_536)
        first.sendall(SUCCESS)
        second, _ = listener.accept()  # nothing more is read from the first one
        while sum(got) < len(body):
            got.append(len(second.recv(1_000_000)))
        second.sendall(SUCCESS)
        first.close()
        second.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        host = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Session(host, None, 4) as session:
            post(session)
            assert post(session, body).status == 200
        server.join()


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    make: Transports, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(lambda: [SUCCESS], keep_alive=True) as server:
        with sender(make, server.host) as send:
            assert [send(), send()] == [200, 200]
            assert server.connections == 1
            now = time.monotonic()
            monkeypatch.setattr(adapter, "monotonic", lambda: now + 61)
            assert [send(), send()] == [200, 200]
            assert server.connections == 2
        assert server.wait_until(lambda: server.open_connections == 0)


# Interim responses


def interim(status: int) -> bytes:
    return b"HTTP/1.1 %d Wait\r\nLink: </style.css>; rel=preload\r\n\r\n" % status


@pytest.mark.parametrize("status", [100, 102, 103, 110, 199])
def test_an_interim_response_is_not_the_answer(make: Transports, status: int) -> None:
    answers = iter([SUCCESS, FAILURE, SUCCESS])
    server = RawServer(lambda: [interim(status) * 2, next(answers)], keep_alive=True)
    with server, sender(make, server.host) as send:
        assert [send(), send(), send()] == [200, 500, 200]
        assert server.connections == 1


def test_interim_responses_without_end_are_no_answer(make: Transports) -> None:
    server = RawServer(lambda: repeat(interim(103), 5_000))
    with server, sender(make, server.host) as send, pytest.raises(NetworkError):
        send()


def test_an_answer_cut_off_after_an_interim_response_is_none(make: Transports) -> None:
    server = RawServer(lambda: [interim(103)])
    with server, sender(make, server.host) as send, pytest.raises(NetworkError):
        send()


def test_switching_protocols_is_an_answer_and_the_end_of_the_connection(make: Transports) -> None:
    server = RawServer(lambda: [b"HTTP/1.1 101 Switching\r\n\r\n"], keep_alive=True)
    with server, sender(make, server.host) as send:
        assert [send(), send()] == [101, 101]
        assert server.connections == 2


# What is odd or surplus


@pytest.mark.parametrize(
    "first",
    [
        SUCCESS + SUCCESS,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" + SUCCESS,
        b"HTTP/1.1 204 No Content\r\n\r\n" + SUCCESS,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SUCCESS,
        SUCCESS + b"\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: x, chunked\r\nX: y\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: y\r\n z\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    ],
    ids=range(13),
)
def test_a_connection_over_which_anything_odd_came_is_not_used_again(
    make: Transports, first: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next batch could count as delivered by the answer to this one."""
    monkeypatch.setattr(deadlines, "MAX_BODY_SECONDS", 0.05)
    answers = iter([first, FAILURE])
    server = RawServer(lambda: [next(answers)], keep_alive=True)
    with server, sender(make, server.host) as send:
        assert [send(), send()] == [200, 500]
        assert server.connections == 2


def test_the_end_of_a_body_is_known_if_lines_end_in_a_line_feed_alone(
    make: Transports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each answer of such a server is waited for until the time for bodies is over."""
    monkeypatch.setattr(deadlines, "MAX_BODY_SECONDS", FOREVER)
    answer = b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"
    server = RawServer(lambda: [answer], keep_alive=True)
    with server, sender(make, server.host, timeout=FOREVER) as send:
        assert send() == 200


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one(make: Transports) -> None:
    go_on, sent = threading.Event(), threading.Event()
    numbers = iter(range(2))

    def script() -> Iterator[bytes]:
        if next(numbers):
            yield FAILURE
            return
        yield SUCCESS
        go_on.wait(10)
        yield SUCCESS
        sent.set()

    with RawServer(script, keep_alive=True) as server, sender(make, server.host) as send:
        assert send() == 200
        go_on.set()
        assert sent.wait(10)
        assert send() == 500


def test_surplus_that_tls_holds_back_is_seen(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes in one record with an answer that fills the buffer to the brim."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    size = 8_192 - len(head % 1_000)
    answers = iter([head % size + b"x" * size + SUCCESS, FAILURE])
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    server = RawServer(lambda: [next(answers)], keep_alive=True, tls=tls)
    with server, sender(segment, server.host) as send:
        assert [send(), send()] == [200, 500]
        assert server.connections == 2


# The status line decides


MANY_HEADERS = b"".join(b"X-%d: y\r\n" % n for n in range(1_000))


@pytest.mark.parametrize(
    "rest",
    [
        [MANY_HEADERS + b"Content-Length: 0\r\n\r\n"],
        [b"Retry-After: 1\r\n" * 1_000 + b"\r\n"],
        [b"X: " + b"y" * 70_000 + b"\r\n\r\n"],
        [b"X: " + b"y" * 10_000_000],
        [b"X: y\r\n" * 100_000],
        [b"X: y\r\n"],
        [b"X: y\r\n", Ending.RESET],
        [b"X: y"],
        [],
        [Ending.RESET],
        [FOREVER],
        [b"X: y\r\n", FOREVER],
        [b"Content-Encoding: " + b"gzip, " * 10_000 + b"gzip\r\nContent-Length: 0\r\n\r\n"],
    ],
    ids=range(13),
)
@pytest.mark.parametrize("status", [200, 400])
@in_real_time
def test_nothing_after_the_status_line_changes_what_it_says(
    make: Transports, status: int, rest: list[bytes | float | Ending]
) -> None:
    line = b"HTTP/1.1 %d Said\r\n" % status
    server = RawServer(lambda: [line, 0.05, *rest])
    with server, sender(make, server.host, timeout=0.5) as send:
        assert send() == status
        assert len(server.requests) == 1


def test_headers_beyond_the_limit_are_not_read(make: Transports) -> None:
    server = RawServer(lambda: [b"HTTP/1.1 200 OK\r\n", *repeat(b"X: y\r\n" * 10_000, 2_000)])
    with server, sender(make, server.host) as send:
        assert send() == 200
        assert server.wait_until(lambda: server.open_connections == 0)
        assert server.bytes_sent < 10_000_000  # what the buffers of the system hold


def test_headers_that_are_used_are_found_among_many() -> None:
    head = b"HTTP/1.1 429 No\r\n" + MANY_HEADERS + b"rEtry-after:  17 \r\n"
    answer = head + b"Content-Type: a\xe9b\r\nContent-Length: 2\r\n\r\n{}"
    with RawServer(lambda: [answer], keep_alive=True) as server, opened(server) as session:
        for _ in range(2):
            response = post(session)
            assert (response.status, response.body) == (429, b"{}")
            assert response.retry_after() == 17
            assert response.headers["content-type"] == "a\xe9b"
        assert server.connections == 1


@pytest.mark.parametrize(
    "headers",
    [
        b"Set-Cookie: a=b\r\n" + (b"Set-Cookie2: " + b"a=b; " * 120 + b"\r\n") * 95,
        b"Content-Encoding: " + b", ".join([b"gzip", b"deflate"] * 50) + b"\r\n",
    ],
    ids=["cookies", "encodings"],
)
def test_cookies_and_encodings_are_dropped_before_anything_parses_them(headers: bytes) -> None:
    plain = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
    answers = iter([plain + b"\r\n{}", plain + b"\r\n{}", plain + headers + b"\r\n{}"])
    with RawServer(lambda: [next(answers)], keep_alive=True) as server, opened(server) as session:
        post(session)
        usual = len(count_calls(lambda: post(session)))
        got: list[Response] = []
        calls = count_calls(lambda: got.append(post(session)))
    assert set(got[0].headers) == {"Content-Length"}
    assert len(calls) < usual + 95 * 12


@pytest.mark.parametrize("clock", ["time", "time_ns", "perf_counter"])
def test_a_clock_that_a_test_of_the_application_replaced_costs_no_answer(
    clock: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As `mock.patch("time.time", side_effect=[...])` does, when the list has come to its end."""

    def is_over() -> float:
        raise StopIteration

    caplog.set_level(logging.DEBUG, "urllib3")  # it asks for the time
    server = RawServer(lambda: [SUCCESS[:-2] + b"Set-Cookie: a=b\r\n\r\n"], keep_alive=True)
    with server, opened(server) as session:
        post(session)
        with monkeypatch.context() as patch:
            patch.setattr(time, clock, is_over)
            response = post(session)
        assert response.status == 200
        assert len(server.requests) == 2


# Sessions


class Interruption:
    """Ctrl-C at a line of what sends, counted from the first."""

    def __init__(self, at: int) -> None:
        self._left = at

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(
            ("urllib3", "requests", "segment_librato.http", "queue", "threading")
        ):
            return None
        if event == "line":
            self._left -= 1
            if self._left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self.trace


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("is_kept", [True, False], ids=["kept connection", "new connection"])
def test_after_ctrl_c_at_any_line_the_next_request_is_answered(*, is_kept: bool) -> None:
    """And by the answer to itself."""
    server: RawServer

    def script() -> Iterator[bytes]:
        body = server.requests[-1].partition(b"\r\n\r\n")[2]
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def try_all_lines() -> int:
        at = 1
        while True:
            if is_kept:
                sessions.post(b"%d" % at, {})
            is_interrupted = _interrupt(lambda: sessions.post(b"interrupted", {}), at)
            assert sessions.post(b"after %d" % at, {}).body == b"after %d" % at
            if not is_interrupted:
                return at
            at += 5
            if not is_kept:
                sessions.close()

    # On a thread of its own: CPython may leave one with an exception that it takes for handled.
    with RawServer(script, keep_alive=True) as server, ThreadPoolExecutor(1) as thread:
        sessions = Sessions(server.host, None, 10)
        assert thread.submit(try_all_lines).result() > 500
        sessions.close()


def _interrupt(call: Callable[[], object], at: int) -> bool:
    """Make a call, interrupt it at a line, and return whether there was one."""
    previous = sys.gettrace()
    sys.settrace(Interruption(at).trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(previous)
    return False


def test_what_a_signal_handler_raises_while_a_body_is_read_reaches_the_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a time limit of Celery does."""

    class TimeLimitError(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise TimeLimitError

    server = RawServer(lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", FOREVER])
    monkeypatch.setattr(deadlines.TimedResponse, "read", interrupt)
    monkeypatch.setattr(deadlines.TimedResponse, "read1", interrupt)
    with server, opened(server) as session, pytest.raises(TimeLimitError):
        post(session)


@pytest.mark.parametrize("content", [None, b"", b'{"code": "c"}'])
def test_a_response_without_a_raw_one_is_a_response(
    content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests of applications make such."""

    def send(*_: object, **__: object) -> requests.Response:
        response = requests.Response()
        response.status_code = 418
        response._content = content  # noqa: SLF001  as they do
        return response

    monkeypatch.setattr(requests.Session, "send", send)
    with Session("http://127.0.0.1:1", None, 1) as session:
        response = post(session)
    assert (response.status, response.body) == (418, content or b"")


@pytest.mark.parametrize("target", [requests.Session, requests.adapters.HTTPAdapter])
def test_a_mock_in_the_place_of_a_response_has_a_body_that_ends(
    make: Transports, monkeypatch: pytest.MonkeyPatch, target: type
) -> None:
    monkeypatch.setattr(target, "send", MagicMock(**{"return_value.status_code": 200}))
    with sender(make, "http://127.0.0.1:1") as send:
        assert send() == 200


def test_each_request_is_an_object_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[requests.PreparedRequest] = []
    real = requests.Session.send

    def watch(
        session: requests.Session, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        seen.append(request)
        return real(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", watch)
    with RawServer(lambda: [SUCCESS], keep_alive=True) as server, opened(server) as session:
        for n in range(3):
            session.post(json.dumps(n).encode(), {"X-Number": str(n)})
    assert [request.body for request in seen] == [b"0", b"1", b"2"]
    assert [request.headers["x-number"] for request in seen] == ["0", "1", "2"]
    assert len({id(request) for request in seen}) == 3


def test_an_address_with_a_zone_is_connected_to() -> None:
    """The zone is `%25` and a name in a URL; here a number, as `::1` takes no name."""
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        socket.getaddrinfo("::1%1", 80)
    except OSError:
        pytest.skip("no IPv6 here, or no zones")
    requests_seen: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        requests_seen.append(connection.recv(65_536))
        connection.sendall(SUCCESS)
        connection.close()

    with listener:
        server = threading.Thread(target=serve)
        server.start()
        port = listener.getsockname()[1]
        with sender(segment, f"http://[::1%251]:{port}") as send:
            assert send() == 200
        server.join()
    head = requests_seen[0].partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert f"Host: [::1]:{port}".encode() in head


def test_an_address_that_the_system_finds_keeps_its_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link-local address, as of `printer.local`, cannot be connected to without."""
    kind = socket.SOCK_STREAM, socket.IPPROTO_TCP, ""
    found = [
        (socket.AF_INET6, *kind, ("fe80::1", 80, 0, 3)),
        (socket.AF_INET6, *kind, ("2001:db8::1", 80, 0, 0)),
        (socket.AF_INET, *kind, ("192.0.2.1", 80)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
    assert _addresses("printer.local", 80) == ["fe80::1%3", "2001:db8::1", "192.0.2.1"]
