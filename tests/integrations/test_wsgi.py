"""The middleware for WSGI: who is in a scope, and for how long."""

from __future__ import annotations

import io
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
from support import server_process
from support.marks import needs_fork

import segment_librato as analytics
from segment_librato.integrations.wsgi import SegmentMiddleware
from segment_librato.message.scope import current_scope
from segment_librato.testing import Capture, capture

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator, Iterable, Iterator

    from segment_librato.devserver import LocalSegment

    App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

SERVERS = Path(__file__).parent / "servers"
ASKED_FOR: dict[str, Any] = {"ip": True, "query": True, "ajs_cookie": True}


@pytest.fixture
def segment() -> Iterator[Capture]:
    with capture() as recorded:
        yield recorded


def begin(app: App, **environ: Any) -> Iterable[bytes]:
    """Make a request; return the response, which is not sent yet."""
    environ = {"REMOTE_ADDR": "192.0.2.1", "HTTP_HOST": "shop.example", **environ}
    setup_testing_defaults(environ)
    response = app(environ, lambda *_: io.BytesIO().write)
    assert current_scope.get() is None
    return response


def run(app: App, **environ: Any) -> bytes:
    """Make a request as a server does, one that checks all that the specification asks for."""
    environ = {"QUERY_STRING": "", **environ}
    response = begin(validator(app), **environ)
    try:
        body = b""
        for part in response:
            assert current_scope.get() is None
            body += part
        return body
    finally:
        response.close()  # type: ignore[attr-defined]  # the validator has one
        assert current_scope.get() is None


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    analytics.track(event="Seen")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"page"]


def test_a_call_takes_what_the_request_says(segment: Capture) -> None:
    environ = {
        "wsgi.url_scheme": "https",
        "SCRIPT_NAME": "/shop",
        "PATH_INFO": "/caf\u00c3\u00a9",  # UTF-8, each byte as a character
        "QUERY_STRING": "coupon=TEA",
        "HTTP_USER_AGENT": "Lynx",
        "HTTP_REFERER": "https://search.example/?q=tea",
        "HTTP_ACCEPT_LANGUAGE": "fr;q=0.5, de",
        "HTTP_COOKIE": "ajs_anonymous_id=visitor-1",
    }
    assert run(SegmentMiddleware(page, **ASKED_FOR), **environ) == b"page"
    (message,) = segment.messages
    del message["context"]["library"]
    assert (message["userId"], message["anonymousId"]) == (None, "visitor-1")
    assert message["context"] == {
        "ip": "192.0.2.1",
        "userAgent": "Lynx",
        "locale": "de",
        "page": {
            "path": "/shop/caf%C3%A9",
            "url": "https://shop.example/shop/caf%C3%A9?coupon=TEA",
            "search": "?coupon=TEA",
            "referrer": "https://search.example/?q=tea",
        },
    }


def test_a_server_may_know_little(segment: Capture) -> None:
    app = SegmentMiddleware(page, user_id=lambda _: "user-1", **ASKED_FOR)
    run(app, HTTP_HOST="", SERVER_NAME="10.0.0.1", SERVER_PORT="8000", REMOTE_ADDR="")
    assert segment.messages[0]["context"]["page"] == {"path": "/", "url": "http://10.0.0.1:8000/"}


def test_the_user_is_asked_for_late_and_only_if_a_call_needs_one(segment: Capture) -> None:
    asked: list[str] = []

    def user_id(environ: dict[str, Any]) -> str:
        asked.append(environ["shop.user"])
        return asked[-1]

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["shop.user"] = "user-1"
        analytics.track("user-2", "Seen")
        assert asked == []
        return page(environ, start_response)

    run(SegmentMiddleware(app, user_id=user_id))
    assert asked == ["user-1"]
    assert [message["userId"] for message in segment.messages] == ["user-2", "user-1"]


class Streamed:
    """A response whose code runs when it is iterated over, in each part, and when it is closed."""

    def __iter__(self) -> Generator[bytes]:
        analytics.track(event="Iterated")
        for part in (b"1", b"2"):
            analytics.track(event="Part Sent")
            yield part
        analytics.track(event="Last Part Sent")

    def close(self) -> None:
        analytics.track(event="Closed")


def test_a_response_is_sent_and_closed_in_the_scope(segment: Capture) -> None:
    def app(environ: Any, start_response: Any) -> Streamed:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Streamed()

    assert run(SegmentMiddleware(app, user_id=lambda _: "user-1")) == b"12"
    events = [message["event"] for message in segment.messages]
    assert events == ["Iterated", *["Part Sent"] * 2, "Last Part Sent", "Closed"]
    assert {message["userId"] for message in segment.messages} == {"user-1"}


def test_a_generator_that_is_left_early_is_closed_in_the_scope(segment: Capture) -> None:
    def app(environ: Any, start_response: Any) -> Generator[bytes]:
        try:
            yield b"1"
            yield b"2"
        finally:
            analytics.track(event="Closed")

    response: Any = begin(SegmentMiddleware(app, user_id=lambda _: "user-1"))
    assert next(response) == b"1"
    response.close()
    assert [message["userId"] for message in segment.messages] == ["user-1"]


def test_a_response_need_not_have_a_close() -> None:
    response: Any = begin(SegmentMiddleware(lambda *_: iter([b"1"])))
    assert list(response) == [b"1"]
    response.close()


@pytest.mark.parametrize(
    "make", [lambda: [b"1"], lambda: (b"1",), lambda: FileWrapper(io.BytesIO())]
)
def test_what_is_sent_without_code_stays_as_it_is(make: Any) -> None:
    """A server gives a list a Content-Length, and a file to the kernel."""
    body = make()
    app = SegmentMiddleware(lambda *_: body)
    assert begin(app, **{"wsgi.file_wrapper": FileWrapper}) is body


def test_a_server_whose_file_wrapper_is_a_function_sends_files() -> None:
    app = SegmentMiddleware(lambda *_: FileWrapper(io.BytesIO(b"1")))
    assert list(begin(app, **{"wsgi.file_wrapper": lambda file: file})) == [b"1"]


def test_an_exception_passes_and_ends_the_scope() -> None:
    def fail(*_: Any) -> Any:
        raise LookupError("no such page")

    def fail_later(*_: Any) -> Generator[bytes]:
        yield b"1"
        raise LookupError("no such page")

    with pytest.raises(LookupError, match="no such page"):
        begin(SegmentMiddleware(fail))
    response = begin(SegmentMiddleware(fail_later))
    with pytest.raises(LookupError, match="no such page"):
        list(response)
    assert current_scope.get() is None


def test_concurrent_requests_never_see_the_scope_of_another(segment: Capture) -> None:
    """Parts of different responses are sent in turn, by whichever thread is free."""
    barrier = threading.Barrier(20)

    def app(environ: dict[str, Any], start_response: Any) -> Generator[bytes]:
        number = int(environ["PATH_INFO"][1:])
        for _ in range(3):
            analytics.track(event="Part Sent", properties={"number": number})
            yield b"1"

    middleware = SegmentMiddleware(app, user_id=lambda environ: f"user-{environ['PATH_INFO'][1:]}")

    def serve(first: int) -> None:
        barrier.wait(10)
        responses = [
            begin(middleware, PATH_INFO=f"/{number}") for number in range(first, first + 10)
        ]
        for parts in zip(*responses, strict=True):
            assert parts == (b"1",) * 10

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(serve, range(0, 200, 10)))
    assert len(segment.messages) == 600
    for message in segment.messages:
        number = message["properties"]["number"]
        assert message["userId"] == f"user-{number}"
        assert message["context"]["page"]["path"] == f"/{number}"


@pytest.mark.slow
@needs_fork
@pytest.mark.parametrize("worker", ["gthread", "gevent"])
def test_gunicorn_keeps_the_scopes_of_requests_apart(
    server: LocalSegment, listener: socket.socket, worker: str
) -> None:
    pytest.importorskip("gevent" if worker == "gevent" else "gunicorn")
    # gevent warns of every import before it patches
    command = [sys.executable, "-W", "ignore", "-m", "gunicorn", "--worker-class", worker]
    bind = ["--bind", f"fd://{listener.fileno()}", "--threads", "8", "--log-level", "warning"]

    def get(number: int) -> None:
        host, port = listener.getsockname()
        connection = HTTPConnection(host, port, timeout=60)
        connection.request("GET", f"/user-{number}")
        assert connection.getresponse().read() == b"xxx"
        connection.close()

    with server_process.running(server, SERVERS, *command, *bind, "streaming_app"):
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(get, range(200)))
        assert server.wait_for(600)
    for message in server.messages:
        path = message["properties"]["path"]
        assert (message["userId"], message["context"]["page"]["path"]) == (path.strip("/"), path)
