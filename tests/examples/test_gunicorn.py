"""Workers that fork from a master which has loaded the application, and tracked."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING

from support.examples import check_messages, request, serving, stop

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment

WORKERS = 2


def order(port: int, number: int) -> tuple[str, str]:
    """Place an order; return the id of the worker and that of the order."""
    order_id = f"order-{number}"
    payload = {"user_id": f"user-{number}", "order_id": order_id, "revenue": 42.5}
    reply = request(port, "/orders", payload)
    assert reply.status == 201
    return reply.body.split()[1], order_id


def test_what_master_and_workers_track_arrives_once_although_they_are_stopped(
    server: LocalSegment, port: int
) -> None:
    with server.hold(), serving(server, "gunicorn", "gunicorn", port) as process:
        taken: dict[str, list[str]] = defaultdict(list)
        numbers = count()
        with ThreadPoolExecutor(4) as threads:
            while len(taken) < WORKERS or min(map(len, taken.values())) < 5:
                for worker, order_id in threads.map(
                    order, [port] * 8, [next(numbers) for _ in range(8)]
                ):
                    taken[worker].append(order_id)
        stop(process, server)
    started, *orders = sorted(
        server.messages, key=lambda message: message["event"] != "Server Started"
    )
    assert (started["userId"], started["properties"]) == ("shop", {"process": process.pid})
    arrived: dict[str, list[str]] = defaultdict(list)
    for message in orders:
        assert message["event"] == "Order Completed"
        properties = message["properties"]
        assert message["userId"].removeprefix("user-") == properties["order_id"].removeprefix(
            "order-"
        )
        assert (properties["revenue"], properties["currency"]) == (42.5, "EUR")
        arrived[str(properties["process"])].append(properties["order_id"])
    assert {worker: sorted(ids) for worker, ids in arrived.items()} == {
        worker: sorted(ids) for worker, ids in taken.items()
    }
    ids = [message["messageId"] for message in server.messages]
    assert len(set(ids)) == len(ids)
    check_messages(server)
