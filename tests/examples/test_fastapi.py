"""uvicorn, which ends itself by the signal that it got, without exit hooks."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from support.examples import check_messages, request, serving, stop

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment

BROWSER = {"User-Agent": "Mozilla/5.0", "Accept-Language": "de-AT,de;q=0.8"}


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 0)])
def test_the_end_of_the_lifespan_delivers_what_waits(
    server: LocalSegment, port: int, number: signal.Signals, status: int
) -> None:
    order = {"order_id": "order-1", "revenue": 42.5}
    with server.hold(), serving(server, "fastapi", "uvicorn", port) as process:
        customer = {"user_id": "ada", "email": "ada@example.com"}
        assert request(port, "/signup", customer, headers=BROWSER).status == 201
        assert request(port, "/orders", order).status == 422
        for user_id in ("ada", "grace"):
            reply = request(port, "/orders", order, headers={"X-User-Id": user_id, **BROWSER})
            assert reply.status == 201
        written = stop(process, server, number, status)
    assert "ERROR" not in written
    identified, *events = server.messages
    assert (identified["type"], identified["userId"]) == ("identify", "ada")
    assert [(one["event"], one["userId"]) for one in events] == [
        ("Signed Up", "ada"),
        ("Order Completed", "ada"),
        ("Order Completed", "grace"),
    ]
    properties = {"order_id": "order-1", "revenue": 42.5, "currency": "EUR"}
    assert events[1]["properties"] == events[2]["properties"] == properties
    for message in server.messages:
        path = "/orders" if message.get("event") == "Order Completed" else "/signup"
        assert message["context"]["userAgent"] == "Mozilla/5.0"
        assert message["context"]["locale"] == "de-AT"
        assert message["context"]["page"]["path"] == path
        assert message["context"]["page"]["url"] == f"http://127.0.0.1:{port}{path}"
    check_messages(server)
