"""Names that look like others."""

from __future__ import annotations

import pytest

from segment_librato.events.catalog import EVENTS
from segment_librato.events.names import find_similar, in_snake_case, is_camel_case


@pytest.mark.parametrize(
    "name, right",
    [
        ("Order completed", "Order Completed"),
        ("ORDER COMPLETED", "Order Completed"),
        ("order_completed", "Order Completed"),
        ("orderCompleted", "Order Completed"),
        ("Order  Completed ", "Order Completed"),
        ("Completed Order", "Order Completed"),  # as version 1 of the spec had it
        ("Viewed Product", "Product Viewed"),
        ("Order Complete", "Order Completed"),
        ("Order Compelted", "Order Completed"),
        ("Order Completedd", "Order Completed"),
        ("Order Complited", "Order Completed"),
        ("Order Canceled", "Order Cancelled"),
        ("Product Searched", "Products Searched"),
        ("SignedUp", "Signed Up"),
    ],
)
def test_a_standard_event_misspelt_is_recognized(name: str, right: str) -> None:
    assert find_similar(name, EVENTS, with_plurals=True) == right


@pytest.mark.parametrize(
    "name",
    [
        "Card Viewed",  # a short word is another word
        "Product Liked",
        "Order Shipped",
        "User Signed Up",
        "Order",
        "",
        "Completed",
        "Bestellung abgeschlossen",
        "Orders Complete",  # two slips
        "Order Completed" * 50,
    ],
)
def test_a_name_of_ones_own_is_not(name: str) -> None:
    assert find_similar(name, EVENTS, with_plurals=True) is None


def test_a_standard_event_is_never_like_another() -> None:
    assert [event for event in EVENTS if find_similar(event, EVENTS, with_plurals=True)] == []


@pytest.mark.parametrize(
    "name, with_plurals, right",
    [
        ("prices", True, "price"),
        ("prices", False, None),
        ("product", False, None),
        ("product", True, "products"),
    ],
)
def test_a_plural_is_a_slip_only_where_it_is_wanted(
    name: str, with_plurals: bool, right: str | None
) -> None:
    assert find_similar(name, ["price", "products"], with_plurals=with_plurals) == right


def test_other_cases_of_a_property_are_the_same_name() -> None:
    known = ["order_id", "checkout_id"]
    for name in ("orderId", "OrderID", "Order Id", "order-id", "id_order"):
        assert find_similar(name, known) == "order_id", name


def test_camel_case_is_told_from_others_and_becomes_snake_case() -> None:
    assert [is_camel_case(name) for name in ("orderTotal", "aB2c")] == [True, True]
    for name in ("order_total", "order", "Order", "ORDER", "orderTotal_eur", "order Total", ""):
        assert not is_camel_case(name), name
    assert in_snake_case("orderTotalEUR") == "order_total_eur"
