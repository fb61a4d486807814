"""What `check` finds in a message, going by Segment's spec."""

from __future__ import annotations

import re
from datetime import date, datetime, timezone
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, get_type_hints, is_typeddict

import pytest

from segment_librato import Client, events
from segment_librato.events import EVENTS, Problem, check
from segment_librato.events.values import check_object

if TYPE_CHECKING:
    from collections.abc import Mapping


def track(event: object, properties: object = None, **fields: Any) -> dict[str, Any]:
    return {"type": "track", "userId": "ada", "event": event, "properties": properties, **fields}


def identify(**traits: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": "ada", "traits": traits}


def texts(message: Mapping[str, Any]) -> list[str]:
    return [problem.text for problem in check(message)]


def test_what_a_client_sends_has_no_problems() -> None:
    client = Client("test-key", send=False)
    now, product = datetime.now(timezone.utc), {"product_id": "p-1", "price": Decimal("9.5")}
    sent = [
        client.track("ada", "Order Completed", {"order_id": "o-1", "products": [product]}),
        client.track("ada", "Trial Started", {"trial_start_date": now}),
        client.track("ada", "Something of our own", {"our_key": [1]}),
        client.identify("ada", {"createdAt": now, "company": {"id": 7}, "our_trait": 1}),
        client.group("ada", "acme", {"employees": 329}),
        client.page(
            "ada", "Docs", "Home", {"keywords": ["a"]}, {"ip": "::1", "page": {"url": "u"}}
        ),
        client.screen("ada", "Settings", "Home"),
        client.alias("anonymous", "ada"),
        client.gauge("queue.depth", 42, source="web-1"),
    ]
    assert [check(message) for _, message in sent] == [[]] * len(sent)


def test_a_message_before_it_is_encoded_may_have_dates_and_decimals() -> None:
    properties = {"trial_start_date": date(2026, 1, 1), "revenue": Decimal("9.5")}
    assert check(track("Trial Started", properties)) == []
    assert check(track("Trial Started", {"trial_start_date": "2026-01-01T10:00:00Z"})) == []


def test_a_problem_says_what_where_and_how_it_would_be_right() -> None:
    (problem,) = check(track("Order completed"))
    assert problem == Problem(
        code="event_name",
        path="event",
        text='event "Order completed" looks like "Order Completed"',
        suggestion="Order Completed",
    )
    assert str(problem) == problem.text


@pytest.mark.parametrize(
    "message, text",
    [
        ({}, "type is not track, identify, group, alias, page or screen"),
        ({"type": "order"}, "type is not track, identify, group, alias, page or screen"),
        ({"type": []}, "type is not track, identify, group, alias, page or screen"),
        ({"type": "track", "event": "X"}, "userId is missing, and so is anonymousId"),
        (track(""), "event is missing"),
        (track(5), "event is an integer, not a string"),
        (track(["X"]), "event is an array, not a string"),
        ({"type": "group", "anonymousId": "a"}, "groupId is missing"),
        ({"type": "alias", "userId": "a"}, "previousId is missing"),
        (track("X", []), "properties is an array, not an object"),
        (track("X", 5), "properties is an integer, not an object"),
        (track("X", context=[]), "context is an array, not an object"),
    ],
    ids=lambda one: str(one)[:50],
)
def test_a_message_needs_its_fields(message: dict[str, Any], text: str) -> None:
    assert texts(message) == [text]


def test_required_properties_are_missing_also_if_they_are_null() -> None:
    for order in ({}, {"order_id": None}):
        (problem,) = check(track("Order Completed", order))
        assert (problem.code, problem.path) == ("missing", "properties.order_id")
    assert texts(track("Product Viewed")) == ["properties.product_id is missing"]
    products = [{"product_id": "p"}, {"sku": "s"}]
    assert texts(track("Cart Viewed", {"products": products})) == [
        "properties.products[1].product_id is missing"
    ]


@pytest.mark.parametrize(
    "event, properties, problem",
    [
        ("Cart Viewed", {"cart_id": 5}, "cart_id is an integer, not a string"),
        ("Cart Viewed", {"cart_id": []}, "cart_id is an array, not a string"),
        ("Cart Viewed", {"products": {}}, "products is an object, not an array"),
        ("Cart Viewed", {"products": "p"}, "products is a string, not an array"),
        ("Cart Viewed", {"products": [3]}, "products[0] is an integer, not an object"),
        ("Coupon Applied", {"discount": "5"}, "discount is a string, not a number"),
        ("Coupon Applied", {"discount": True}, "discount is a boolean, not a number"),
        ("Coupon Applied", {"discount": float("nan")}, "discount is NaN or infinite, not a number"),
        ("Video Playback Paused", {"sound": 5.5}, "sound is a number, not an integer"),
        ("Video Playback Paused", {"full_screen": 1}, "full_screen is an integer, not a boolean"),
        (
            "Video Playback Paused",
            {"ad_asset_id": 5},
            "ad_asset_id is an integer, not a string or an array",
        ),
        (
            "Video Playback Paused",
            {"ad_asset_id": [5]},
            "ad_asset_id[0] is an integer, not a string",
        ),
        (
            "Video Ad Started",
            {"load_type": "static"},
            'load_type is not "linear" or "dynamic"',
        ),
        (
            "Video Ad Started",
            {"type": 5},
            'type is an integer, not "pre-roll", "mid-roll" or "post-roll"',
        ),
        (
            "Video Ad Started",
            {"content": {"airdate": "soon"}},
            "content.airdate is a string, not a date in ISO 8601",
        ),
        ("Products Searched", {"query": 5}, "query is an integer, not a string or an object"),
        ("Something Else", {"revenue": "5"}, "revenue is a string, not a number"),
        ("Signed Up", {"value": "5"}, "value is a string, not a number"),
        ("Signed Up", {"username": {1, 2}}, "username is set, not a string"),
    ],
    ids=lambda one: str(one)[:60],
)
def test_a_value_of_another_type_is_told(event: str, properties: Any, problem: str) -> None:
    assert texts(track(event, properties)) == [f"properties.{problem}"]


@pytest.mark.parametrize(
    "properties",
    [
        {"total_length": None, "position": 3.0, "framerate": 29.97, "ad_type": "mid-roll"},
        {"ad_asset_id": ["a", "b"]},
        {"ad_asset_id": ("a", "b")},
        {"quality": None},
    ],
)
def test_null_is_no_value_and_a_whole_number_an_integer(properties: dict[str, Any]) -> None:
    assert check(track("Video Playback Paused", properties)) == []


def test_traits_and_the_context_are_checked_as_well() -> None:
    message = identify(
        age="40", address={"postal_code": "1"}, company="acme", createdAt="2026-02-30"
    )
    message["context"] = {
        "ip": 5,
        "user_agent": "x",
        "traits": {"email": 5},
        "Librato": {"source": 1},
    }
    assert texts(message) == [
        "traits.age is a string, not a number",
        "traits.address.postal_code looks like postalCode",
        "traits.company is a string, not an object",
        "traits.createdAt is a string, not a date in ISO 8601",
        "context.ip is an integer, not a string",
        "context.user_agent looks like userAgent",
        "context.traits.email is an integer, not a string",
        "context.Librato.source is an integer, not a string",
    ]


def test_a_property_misspelt_is_told_once() -> None:
    problems = check(track("Order Completed", {"orderId": "o", "currncy": "EUR"}))
    assert [(one.code, one.path, one.suggestion) for one in problems] == [
        ("property_name", "properties.orderId", "order_id"),
        ("property_name", "properties.currncy", "currency"),
    ]


def test_a_name_beside_the_right_one_is_ones_own() -> None:
    assert check(track("Order Completed", {"order_id": "o", "orderId": 5, "discounts": []})) == []


def test_camel_case_among_snake_case_is_told_with_the_name_in_snake_case() -> None:
    (problem,) = check(track("Gift Wrapped", {"wrap_color": "red", "giftCard": True}))
    assert problem == Problem(
        code="mixed_case",
        path="properties.giftCard",
        text="properties.giftCard is camelCase among snake_case: gift_card",
        suggestion="gift_card",
    )


def test_camel_case_is_right_where_it_is_the_only_one_or_the_spec_has_it() -> None:
    assert check(track("Gift Wrapped", {"wrapColor": "red", "giftCard": True, "price": 5})) == []
    assert check(identify(firstName="Ada", createdAt="2026-01-01", lifetime_value=5)) == []
    assert check(track("Video Quality Updated", {"startupTime": 1, "our_own": 2})) == []
    assert texts(identify(lifetime_value=5, favoriteColor="red")) == [
        "traits.favoriteColor is camelCase among snake_case: favorite_color"
    ]


def test_texts_have_no_values_and_cannot_control_a_terminal() -> None:
    message = track("Cart Viewed", {"cart_id": {"secret": 1}, "products": [{"product_id": "p"}]})
    message["properties"]["\x1b[31m_" + "x" * 200 + "Yy"] = 1
    message["event"] = "Cart viewed"
    for text in texts(message) + texts(
        track("Cart Viewed", {"products": [{5: 6, "price": "secret"}]})
    ):
        assert "secret" not in text
        assert text.isprintable()
        assert len(text) < 200


def test_only_a_mapping_is_a_message() -> None:
    message: Any = []
    (problem,) = check(message)
    assert problem == Problem("wrong_type", "", "the message is an array, not an object")


class Untrue:
    """Like an array of numpy: it has no truth, and a comparison has none either."""

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise ValueError

    def __eq__(self, other: object) -> bool:
        raise ValueError


@pytest.mark.parametrize("name", ["type", "userId", "event", "properties", "context"])
def test_a_value_without_truth_is_checked_like_any_other(name: str) -> None:
    check(track("Order Completed", {"order_id": "o-1"}) | {name: Untrue()})


def test_numbers_beyond_all_floats_are_numbers_and_nan_is_none() -> None:
    def wrong(value: object) -> list[str]:
        return texts(track("Order Completed", {"order_id": "o-1", "total": value}))

    assert wrong(10**400) == []
    assert wrong(Fraction(10**400)) == []
    assert wrong(Decimal("1e400")) == []
    for value in (Decimal("nan"), Decimal("snan"), Decimal("-inf"), float("nan"), float("inf")):
        assert len(wrong(value)) == 1


TYPES = [getattr(events, name) for name in events.__all__ if is_typeddict(getattr(events, name))]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_each_key_of_each_type_is_checked(kind: Any) -> None:
    """An object that JSON does not have is wrong for all, so each has words for what is right."""
    for key in get_type_hints(kind):
        (problem,) = [
            one for one in check_object({key: object()}, kind, "x") if one.path == f"x.{key}"
        ]
        assert re.fullmatch(rf"x\.{key} is object, not (an? \w|\").*", problem.text)


def test_each_event_has_one_of_the_public_types() -> None:
    assert all(kind in TYPES for kind in EVENTS.values())
    assert len(EVENTS) == 68
