"""Scopes with Flask: views, the session, streams, and concurrent requests."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, Response, request, send_file, session, stream_with_context
from werkzeug.serving import make_server

import segment_librato as analytics
from segment_librato.integrations.wsgi import SegmentMiddleware
from segment_librato.message.scope import current_scope
from segment_librato.testing import Capture, capture

if TYPE_CHECKING:
    from collections.abc import Iterator

app = Flask(__name__)
app.secret_key = "not a secret"  # noqa: S105  of a test
app.testing = True
app.wsgi_app = SegmentMiddleware(  # type: ignore[method-assign]  # as Flask documents it
    app.wsgi_app, user_id=lambda _: session.get("user_id"), ajs_cookie=True
)


@app.get("/<path:name>")
def view(name: str) -> str:
    analytics.track(event="Seen", properties={"name": name})
    return name


@app.post("/login")
def log_in() -> str:
    analytics.track(event="Form Sent")
    session["user_id"] = request.form["user"]
    analytics.identify(traits={"plan": "pro"})
    return ""


@app.get("/stream")
def stream() -> Response:
    def parts() -> Iterator[str]:
        for _ in range(3):
            analytics.track(event="Part Sent")
            yield "x"

    return Response(stream_with_context(parts()))


@app.get("/file")
def file() -> Any:
    return send_file(__file__)


@app.get("/fail")
def fail() -> str:
    raise LookupError("no such page")


@pytest.fixture
def segment() -> Iterator[Capture]:
    with capture() as recorded:
        yield recorded


def test_the_user_is_whoever_the_session_names_at_the_call(segment: Capture) -> None:
    browser = app.test_client()
    browser.set_cookie("ajs_anonymous_id", "visitor-1")
    browser.post("/login", data={"user": "user-1"})
    browser.get("/cart?coupon=TEA")
    ids = [(message["userId"], message["anonymousId"]) for message in segment.messages]
    assert ids == [(None, "visitor-1"), ("user-1", "visitor-1"), ("user-1", "visitor-1")]
    page = {"path": "/cart", "url": "http://localhost/cart"}
    assert segment.messages[-1]["context"]["page"] == page


def test_a_stream_is_in_the_scope_of_its_request(segment: Capture) -> None:
    browser = app.test_client()
    with browser.session_transaction() as before:
        before["user_id"] = "user-1"
    assert browser.get("/stream").text == "xxx"
    assert [message["userId"] for message in segment.messages] == ["user-1"] * 3
    assert current_scope.get() is None


def test_files_are_sent() -> None:
    with app.test_client().get("/file") as response:
        assert response.data.startswith(b'"""Scopes with Flask')


def test_an_exception_passes() -> None:
    with pytest.raises(LookupError, match="no such page"):
        app.test_client().get("/fail")
    assert current_scope.get() is None


def test_concurrent_requests_never_see_the_scope_of_another(segment: Capture) -> None:
    """Of a real server, with a thread for each request."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def get(number: int) -> None:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
        cookie = f"ajs_anonymous_id=visitor-{number}"
        connection.request("GET", f"/{number}", headers={"Cookie": cookie})
        assert connection.getresponse().read() == str(number).encode()
        connection.close()

    try:
        with ThreadPoolExecutor(50) as pool:
            list(pool.map(get, range(200)))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    names = {message["properties"]["name"]: message for message in segment.messages}
    assert len(names) == len(segment.messages) == 200
    for number, message in names.items():
        assert message["anonymousId"] == f"visitor-{number}"
        assert message["context"]["page"]["path"] == f"/{number}"
