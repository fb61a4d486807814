"""Cancel the orders that nobody has paid: a nightly job that never waits for the network."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import segment_librato as analytics

ORDERS = Path(__file__).parent / "orders.csv"

analytics.write_key = os.environ["SEGMENT_WRITE_KEY"]
analytics.host = os.environ.get("SEGMENT_HOST")  # None is Segment itself
# Only write: `segment-librato spool drain` delivers.
analytics.spool = analytics.SpoolConfig(os.environ.get("SEGMENT_SPOOL", "spool"), deliver=False)


def cancel_unpaid_orders() -> int:
    """Cancel what was ordered and not paid; return the number of orders."""
    with ORDERS.open(encoding="utf-8", newline="") as file:
        unpaid = [order for order in csv.DictReader(file) if order["paid"] == "no"]
    for order in unpaid:
        analytics.track(
            order["user_id"],
            "Order Cancelled",
            {"order_id": order["order_id"], "total": float(order["total"]), "currency": "EUR"},
        )
    return len(unpaid)


if __name__ == "__main__":
    print(f"Cancelled {cancel_unpaid_orders()} unpaid orders.")
