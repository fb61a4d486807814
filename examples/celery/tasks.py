"""What the shop does in the background."""

from __future__ import annotations

import os

from celery import Celery

import segment_librato as analytics
from segment_librato.integrations.celery import carry_scopes

analytics.write_key = os.environ["SEGMENT_WRITE_KEY"]
analytics.host = os.environ.get("SEGMENT_HOST")  # None is Segment itself

app = Celery("tasks", config_source="celeryconfig")
carry_scopes()  # a task is in the scope in which it was sent


@app.task
def complete_order(order_id: str, revenue: float) -> None:
    """Charge the customer; the scope says who it is."""
    with analytics.timer("payment.duration", source="worker"):
        ...  # your payment provider goes here
    analytics.track(
        event="Order Completed",
        properties={"order_id": order_id, "revenue": revenue, "currency": "EUR"},
    )
