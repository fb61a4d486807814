"""The checkout of a shop: what it does, and what it tracks."""

from __future__ import annotations

import os
from typing import NamedTuple

import segment_librato as analytics

analytics.write_key = os.environ.get("SEGMENT_WRITE_KEY")
analytics.host = os.environ.get("SEGMENT_HOST")  # None is Segment itself


class Line(NamedTuple):
    """A line of a cart."""

    product_id: str
    price: float
    quantity: int = 1


class EmptyCartError(Exception):
    """There is nothing to order."""


def sign_up(user_id: str, email: str) -> None:
    """Welcome a new customer."""
    analytics.identify(user_id, {"email": email})
    analytics.track(user_id, "Signed Up")


def checkout(user_id: str, order_id: str, cart: list[Line]) -> float:
    """Order what is in the cart; return what it costs."""
    if not cart:
        raise EmptyCartError
    total = sum(line.price * line.quantity for line in cart)
    analytics.track(
        user_id,
        "Order Completed",
        {
            "order_id": order_id,
            "revenue": total,
            "currency": "EUR",
            "products": [
                {"product_id": line.product_id, "price": line.price, "quantity": line.quantity}
                for line in cart
            ],
        },
    )
    analytics.gauge("cart.lines", len(cart), source="checkout")
    return total


if __name__ == "__main__":
    sign_up("ada", "ada@example.com")
    print(checkout("ada", "order-1", [Line("tea", 4.5), Line("pot", 38.0)]))
