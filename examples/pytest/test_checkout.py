"""What the checkout tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from checkout import EmptyCartError, Line, checkout, sign_up

if TYPE_CHECKING:
    from segment_librato.testing import Capture


def test_an_order_is_tracked_with_its_products(segment: Capture) -> None:
    """The total is that of all lines, and so is the number of the gauge."""
    checkout("ada", "order-1", [Line("tea", 4.5, quantity=2), Line("pot", 38.0)])
    segment.assert_tracked(
        "Order Completed",
        user_id="ada",
        times=1,
        order_id="order-1",
        revenue=pytest.approx(47.0),
        products=[
            {"product_id": "tea", "price": 4.5, "quantity": 2},
            {"product_id": "pot", "price": 38.0, "quantity": 1},
        ],
    )
    segment.assert_gauge("cart.lines", 2, source="checkout")


def test_an_empty_cart_is_no_order(segment: Capture) -> None:
    """It raises, and nothing is tracked."""
    with pytest.raises(EmptyCartError):
        checkout("ada", "order-1", [])
    assert segment.messages == []


def test_a_new_customer_is_identified(segment: Capture) -> None:
    """The event comes with the traits of the user."""
    sign_up("grace", "grace@example.com")
    segment.assert_identified("grace", email="grace@example.com")
    segment.assert_tracked("Signed Up", user_id="grace", times=1)


def test_a_checkout_costs_what_its_lines_cost() -> None:
    """This test does not ask for `segment`; pytest.ini lets nothing out all the same."""
    assert checkout("ada", "order-2", [Line("tea", 4.5)]) == pytest.approx(4.5)
