"""Flask's own server, and gunicorn, which is stopped while events wait."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from support.examples import by_event, check_messages, request, serving, stop

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment

SECRET = {"FLASK_SECRET_KEY": "test-secret"}
BROWSER = {"User-Agent": "Mozilla/5.0", "Accept-Language": "de-AT,de;q=0.8"}


def sign_up_and_order(port: int) -> None:
    """Do what a customer does; nobody who has not signed up can order."""
    order = {"order_id": "order-1", "revenue": 42.5}
    assert request(port, "/orders", order).status == 401
    customer = {"user_id": "ada", "email": "ada@example.com"}
    welcome = request(port, "/signup", customer, headers=BROWSER)
    assert welcome.status == 201
    reply = request(port, "/orders", order, headers={"Cookie": welcome.cookie, **BROWSER})
    assert reply.status == 201


def check(server: LocalSegment, port: int) -> None:
    identified, signed_up, ordered = by_event(server, "identify", "Signed Up", "Order Completed")
    assert identified["traits"] == {"email": "ada@example.com"}
    assert signed_up["properties"] == {"email": "ada@example.com"}
    assert ordered["properties"] == {"order_id": "order-1", "revenue": 42.5, "currency": "EUR"}
    for message, path in [(identified, "/signup"), (signed_up, "/signup"), (ordered, "/orders")]:
        assert message["userId"] == "ada"
        context = message["context"]
        assert context["userAgent"] == "Mozilla/5.0"
        assert context["locale"] == "de-AT"
        assert context["page"]["path"] == path
        assert context["page"]["url"] == f"http://127.0.0.1:{port}{path}"
    check_messages(server)


def test_ctrl_c_of_flasks_own_server_loses_nothing(server: LocalSegment, port: int) -> None:
    with server.hold(), serving(server, "flask", "flask run", port, **SECRET) as process:
        sign_up_and_order(port)
        written = stop(process, server, signal.SIGINT, status=None)
    assert "Traceback" not in written
    check(server, port)


def test_a_stop_of_gunicorn_loses_nothing(server: LocalSegment, port: int) -> None:
    with server.hold(), serving(server, "flask", "gunicorn", port, **SECRET) as process:
        sign_up_and_order(port)
        stop(process, server)
    check(server, port)
