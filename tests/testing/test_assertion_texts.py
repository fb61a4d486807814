"""What a failed assertion shows: the nearest message, and where it differs."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY

import pytest

from segment_librato import Client
from segment_librato.events import TrackingPlan
from segment_librato.testing import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segment_librato.testing import Capture

AT = datetime(2026, 11, 28, tzinfo=timezone.utc)


@pytest.fixture
def segment() -> Iterator[Capture]:
    with capture() as segment:
        client = Client("test-key")
        client.track(
            "user-1", "Order Completed", {"value": 40, "coupon": "X", "items": [{"sku": "a"}]}
        )
        client.track("user-2", "Order completed", {"value": 42.5})
        client.identify("user-1", {"plan": "pro", "address": {"city": "Berlin", "zip": "10115"}})
        client.gauge("queue.depth", 42, source="web-1")
        yield segment


def failure(check: Callable[..., None], *of: Any, **fields: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        check(*of, **fields)
    return str(caught.value)


def test_the_nearest_message_is_shown_field_by_field(segment: Capture) -> None:
    items = [{"sku": "b"}, {"sku": "c"}]
    text = failure(
        segment.assert_tracked, "Order Completed", user_id=1, value=40, items=items, at=AT
    )
    assert text == (
        '"Order Completed" was not tracked like this; '
        "the nearest of 3 track messages (- expected, + recorded):\n"
        '  event                    "Order Completed"\n'
        '- userId                   "1"\n'
        '+ userId                   "user-1"\n'
        "  properties.value         40\n"
        '- properties.items[0].sku  "b"\n'
        '+ properties.items[0].sku  "a"\n'
        '- properties.items[1]      {"sku": "c"}\n'
        "+ properties.items[1]      (missing)\n"
        '- properties.at            "2026-11-28T00:00:00+00:00"\n'
        "+ properties.at            (missing)\n"
        "  its other properties: coupon"
    )


def test_a_misspelt_event_is_shown(segment: Capture) -> None:
    text = failure(segment.assert_tracked, "Order  Completed", value=42.5)
    assert text == (
        '"Order  Completed" was not tracked like this; '
        "the nearest of 3 track messages (- expected, + recorded):\n"
        '- event             "Order  Completed"\n'
        '+ event             "Order completed"\n'
        "  properties.value  42.5"
    )


def test_a_value_that_is_no_json_is_shown_as_it_is(segment: Capture) -> None:
    text = failure(segment.assert_tracked, "Order Completed", value=pytest.approx(1.5), coupon=ANY)
    assert "- properties.value   1.5 ± 1.5e-06\n+ properties.value   40\n" in text
    assert '  properties.coupon  "X"\n' in text


def test_a_long_value_is_cut(segment: Capture) -> None:
    text = failure(segment.assert_tracked, "Order Completed", coupon="x" * 1_000)
    assert f'- properties.coupon  "{"x" * 199}…\n' in text


def test_long_values_are_shown_from_where_they_differ(segment: Capture) -> None:
    Client("test-key").track("user", "Page Scrolled", {"path": "/a" * 500 + "/here" + "/b" * 500})
    text = failure(segment.assert_tracked, "Page Scrolled", path="/a" * 500 + "/there")
    wanted, recorded = text.splitlines()[-2:]
    assert wanted == f'- properties.path  …a{"/a" * 9}/there"'
    assert recorded.startswith(f"+ properties.path  …a{'/a' * 9}/here/b/b")
    assert recorded.endswith("/b/b…")


def test_no_event_is_not_any_event(segment: Capture) -> None:
    nothing: Any = None
    for check in (segment.assert_tracked, segment.assert_not_tracked):
        with pytest.raises(TypeError, match=r"^event: expected a str, got NoneType$"):
            check(nothing)


def test_too_few_and_too_many_are_told_apart(segment: Capture) -> None:
    Client("test-key").track(None, "Order Completed", {"value": 40}, anonymous_id="anonymous")
    text = failure(segment.assert_tracked, "Order Completed", times=3, value=40)
    assert text.startswith(
        '"Order Completed" was tracked 2 times like this, not 3 times; '
        "the nearest of 2 track messages (- expected, + recorded):\n"
        '- event             "Order Completed"\n'
        '+ event             "Order completed"\n'
    )
    text = failure(segment.assert_tracked, "Order Completed", times=1)
    assert text == (
        '"Order Completed" was tracked 2 times, not once:\n'
        '  user-1  {"value": 40, "coupon": "X", "items": [{"sku": "a"}]}\n'
        '  anonymous  {"value": 40}'
    )
    segment.clear()
    Client("test-key").track("user", "Order Completed")
    text = failure(segment.assert_tracked, "Order Completed", times=2)
    assert text == '"Order Completed" was tracked once, not 2 times:\n  user  {}'


def test_what_should_not_be_tracked_is_listed_up_to_ten(segment: Capture) -> None:
    for number in range(12):
        Client("test-key").track("user", "event", {"number": number})
    assert failure(segment.assert_not_tracked, "event").splitlines() == [
        '"event" was tracked 12 times:',
        *[f'  user  {{"number": {number}}}' for number in range(10)],
        "  and 2 more",
    ]


def test_without_such_messages_the_others_are_counted(segment: Capture) -> None:
    segment.clear()
    name = '"Signed Up" was not tracked; '
    assert failure(segment.assert_tracked, "Signed Up") == f"{name}nothing was recorded"
    client = Client("test-key")
    for _ in range(2):
        client.identify("user")
    client.group("user", "group")
    text = failure(segment.assert_tracked, "Signed Up")
    assert text == f"{name}what was recorded: 2 identify, 1 group"
    assert failure(segment.assert_gauge, "Signed Up") == (
        'gauge "Signed-Up" was not measured; what was recorded: 2 identify, 1 group'
    )


def test_the_nearest_traits_are_shown(segment: Capture) -> None:
    address = {"city": "Potsdam", "street": "Am Kanal"}
    assert failure(segment.assert_identified, "user-1", plan="pro", address=address) == (
        '"user-1" was not identified like this; '
        "the only identify message (- expected, + recorded):\n"
        '  userId                 "user-1"\n'
        '  traits.plan            "pro"\n'
        '- traits.address.city    "Potsdam"\n'
        '+ traits.address.city    "Berlin"\n'
        '- traits.address.street  "Am Kanal"\n'
        "+ traits.address.street  (missing)\n"
        "- traits.address.zip     (missing)\n"
        '+ traits.address.zip     "10115"'
    )


def test_the_nearest_measurement_is_shown(segment: Capture) -> None:
    assert failure(segment.assert_gauge, "queue.depth", 43, source="web-1") == (
        'gauge "queue.depth" was not measured like this; '
        "the nearest of 3 measurements (- expected, + recorded):\n"
        '  name    "queue.depth"\n'
        "- value   43\n"
        "+ value   42\n"
        '  source  "web-1"'
    )


def test_why_an_event_makes_no_measurement_is_said(segment: Capture) -> None:
    segment.clear()
    Client("test-key").identify("user")
    Client("test-key").track("user", "Signed Up", integrations={"Librato": False})
    assert failure(segment.assert_gauge, "Signed Up") == (
        'gauge "Signed-Up" was not measured:\n'
        "  No measurement: Librato is switched off for this message."
    )
    Client("test-key").gauge("other", 5)
    assert failure(segment.assert_gauge, "Signed Up", 1) == (
        'gauge "Signed-Up" was not measured like this:\n'
        "  No measurement: Librato is switched off for this message."
    )
    assert failure(segment.assert_gauge, "Sign Up") == (
        'gauge "Sign-Up" was not measured; the only measurement (- expected, + recorded):\n'
        '- name  "Sign-Up"\n'
        '+ name  "other"'
    )


def test_what_is_not_as_the_spec_wants_it_is_listed_by_message(segment: Capture) -> None:
    segment.clear()
    segment.assert_valid()
    client = Client("test-key")
    client.track("user-1", "Order Completed", {"order_id": "o-1"})
    segment.assert_valid()
    client.track("user-1", "Order completed", {"total": "42.5"})
    client.identify(traits={"email": 5, "firstname": "Ada"}, anonymous_id="anonymous")
    assert failure(segment.assert_valid) == (
        "problems in 2 of 3 messages:\n"
        '  track "Order completed" of user-1\n'
        '    event "Order completed" looks like "Order Completed"\n'
        "  identify of anonymous\n"
        "    traits.email is an integer, not a string\n"
        "    traits.firstname looks like firstName"
    )
    for _ in range(10):
        client.identify("user", {"email": 5})
    assert failure(segment.assert_valid).endswith("\n  and 2 more")


def test_what_is_not_as_planned_is_listed_too(segment: Capture) -> None:
    segment.clear()
    schema = {"properties": {"properties": {"required": ["plan"]}}}
    plan = TrackingPlan([{"type": "TRACK", "key": "Signed Up", "jsonSchema": schema}])
    client = Client("test-key")
    client.track("user", "Signed Up", {"plan": "pro"})
    segment.assert_valid(plan)
    client.track("user", "Signed Up")
    segment.assert_valid()
    assert failure(segment.assert_valid, plan) == (
        'problems in 1 of 2 messages:\n  track "Signed Up" of user\n    properties.plan is missing'
    )


def test_a_name_that_is_no_identifier_is_quoted(segment: Capture) -> None:
    text = failure(segment.assert_tracked, "Order Completed", **{"Order Id": 1})
    assert '- properties["Order Id"]  1\n' in text
    Client("test-key").track("user", "event", {"line\nbreak": 1, "plan": "pro"})
    text = failure(segment.assert_tracked, "event", number=1)
    assert text.endswith('\n  its other properties: "line\\nbreak", plan')


def test_an_array_is_compared_as_it_is_sent(segment: Capture) -> None:
    numpy = pytest.importorskip("numpy")
    Client("test-key").track("user", "event", {"of": numpy.array([1, 2])})
    segment.assert_tracked("event", of=numpy.array([1, 2]))
    text = failure(segment.assert_tracked, "event", of=numpy.array([1, 3]))
    assert "- properties.of[1]  3\n+ properties.of[1]  2" in text
