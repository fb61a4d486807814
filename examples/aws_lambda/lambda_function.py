"""Take an order behind API Gateway, and deliver its event before Lambda freezes the process."""

from __future__ import annotations

import json
import logging
import os
from abc import abstractmethod
from typing import Any, Protocol

import segment_librato as analytics

MAX_FLUSH = 3.0  # seconds
RESERVE = 0.5  # seconds for the response

log = logging.getLogger(__name__)

analytics.write_key = os.environ["SEGMENT_WRITE_KEY"]
analytics.host = os.environ.get("SEGMENT_HOST")  # None is Segment itself
analytics.preload()  # during the cold start, not in the first invocation


class Context(Protocol):
    """What is used of Lambda's context."""

    @abstractmethod
    def get_remaining_time_in_millis(self) -> int:
        """Return how long this invocation may still take."""


def lambda_handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Take the order in the body of a request, in API Gateway's format 2.0."""
    order = json.loads(event["body"])
    analytics.track(
        order["user_id"],
        "Order Completed",
        {"order_id": order["order_id"], "revenue": order["revenue"], "currency": "EUR"},
        context={"ip": event["requestContext"]["http"]["sourceIp"]},
    )
    deliver(context)
    return {"statusCode": 201, "body": json.dumps({"order_id": order["order_id"]})}


def deliver(context: Context) -> None:
    """Flush, for as long as the invocation allows; the next one delivers what is left."""
    left = context.get_remaining_time_in_millis() / 1000 - RESERVE
    if not analytics.flush(timeout=max(0.0, min(MAX_FLUSH, left))):
        log.warning("events that wait for the next invocation: %d", analytics.stats.pending)
