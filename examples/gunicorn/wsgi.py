"""A shop behind gunicorn: the master loads this module once, and its workers fork from it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import segment_librato as analytics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

analytics.write_key = os.environ["SEGMENT_WRITE_KEY"]
analytics.host = os.environ.get("SEGMENT_HOST")  # None is Segment itself
analytics.preload()  # what sends is imported once, and shared by all workers

# Tracked by the master, and sent by it: no worker inherits the message.
analytics.track("shop", "Server Started", {"process": os.getpid()})


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Take an order."""
    order = json.load(environ["wsgi.input"])
    analytics.track(
        order["user_id"],
        "Order Completed",
        {
            "order_id": order["order_id"],
            "revenue": order["revenue"],
            "currency": "EUR",
            "process": os.getpid(),
        },
    )
    start_response("201 Created", [("Content-Type", "text/plain")])
    return [b"Worker %d took the order.\n" % os.getpid()]
