"""A row becomes a message, or is rejected with a reason that names its field."""

from __future__ import annotations

import json
import math
import pickle
from collections import UserDict
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from segment_librato import ConfigError, MessageTooLargeError, ValidationError
from segment_librato.bulk.outcomes import Unreadable
from segment_librato.bulk.rows import RowEncoder
from segment_librato.bulk.rules import RowRules

AT = "2024-03-05T12:13:14.567Z"
A_TIME = "a time of the years 1 to 9999, a str in ISO 8601"
ARRAY = np.array([1, 2])  # its comparison has no truth
LIBRARY = "segment-librato"
ROW = {"userId": "ada", "event": "Signed Up", "timestamp": AT}


def message_of(row: object, **rules: Any) -> dict[str, Any]:
    message_id, data = RowEncoder("key", RowRules(**rules)).encode(row)
    message: dict[str, Any] = json.loads(data)
    assert message["messageId"] == message_id
    assert message["context"].pop("library")["name"] == LIBRARY
    return message


def rejection(row: object, **rules: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        RowEncoder("key", RowRules(**rules)).encode(row)
    return str(caught.value)


def test_a_message_keeps_all_its_fields() -> None:
    row = {
        **ROW,
        "type": "track",
        "messageId": "order-1",
        "anonymousId": "browser-1",
        "properties": {"value": 42, "tags": ["a", None]},
        "context": {"ip": "198.51.100.24"},
        "integrations": {"All": False},
    }
    assert message_of(row) == {**row, "timestamp": "2024-03-05T12:13:14.567+00:00"}


@pytest.mark.parametrize(
    "kind, own",
    [
        ("identify", {"traits": {"plan": "pro"}}),
        ("group", {"groupId": "team-1", "traits": {"plan": "pro"}}),
        ("alias", {"previousId": "browser-1"}),
        ("page", {"name": "Home", "category": "Docs", "properties": {"path": "/"}}),
        ("screen", {"name": "Home", "category": "Docs", "properties": {"path": "/"}}),
        ("track", {"event": "Signed Up", "properties": {"plan": "pro"}}),
    ],
)
def test_each_type_has_its_own_fields(kind: str, own: dict[str, Any]) -> None:
    message = message_of({"type": kind, "userId": "ada", "timestamp": AT, **own})
    assert {name: message[name] for name in own} == own
    assert message["type"] == kind


def test_the_type_is_that_of_all_rows_or_of_the_row_or_follows_from_the_event() -> None:
    assert message_of(ROW)["type"] == "track"
    assert message_of({"userId": "ada", "timestamp": AT}, event="Imported")["event"] == "Imported"
    assert message_of({**ROW, "event": "Mine"}, event="Imported")["event"] == "Imported"
    row = {"userId": "ada", "timestamp": AT, "type": "page"}
    assert message_of(row, message_type="identify")["type"] == "identify"
    assert "event" not in message_of(row, event="Imported")


OWN = {"track": ["event"], "group": ["groupId"], "alias": ["previousId"]}


@pytest.mark.parametrize(
    "kind, field",
    [("track", "userId"), ("track", "anonymousId"), ("group", "groupId"), ("alias", "previousId")],
)
def test_a_whole_float_is_the_id_that_the_int_is(kind: str, field: str) -> None:
    row = {"userId": "ada", "groupId": "g", "previousId": "b", "event": "e", "timestamp": AT}
    own = {name: row[name] for name in ("userId", "timestamp", *OWN[kind])}
    assert str(message_of({**own, "type": kind, field: 7.0})[field]) == "7"
    assert str(message_of({**own, "type": kind, field: 7.5})[field]) == "7.5"


def test_a_row_may_be_any_mapping() -> None:
    assert message_of(UserDict(ROW))["event"] == "Signed Up"


@pytest.mark.parametrize("timestamp", [{}, {"timestamp": None}, {"timestamp": ""}])
def test_a_row_without_a_timestamp_is_rejected_unless_it_may_count_as_of_now(
    timestamp: dict[str, Any],
) -> None:
    row = {"userId": "ada", "event": "Signed Up", **timestamp}
    assert rejection(row) == "timestamp: missing; --now (now=True) uses the current time"
    before = datetime.now(timezone.utc)
    sent = datetime.fromisoformat(message_of(row, now=True)["timestamp"])
    assert abs((sent - before).total_seconds()) < 60


NO_TIMES = [44927.5, 2026100112, 202610011200, 20261001120000, Decimal(20261001), math.nan]
NOT_SECONDS = (
    "timestamp: expected a time such as 2026-10-01T12:00:00Z, or seconds since 1970, "
    "got a number that is a time before 1980, or in more than a year"
)


@pytest.mark.parametrize(
    "row, reason",
    [
        ([1], "row: expected a dict, got list"),
        (None, "row: expected a dict, got NoneType"),
        (Unreadable("line 3: not JSON", "{"), "line 3: not JSON"),
        ({"userId": "ada", "timestamp": AT}, "type: missing; a row without an event needs one"),
        (
            {**ROW, "type": "trakc"},
            "type: expected one of alias, group, identify, page, screen, track",
        ),
        ({**ROW, "type": 5}, "type: expected a str, got int"),
        (
            {"event": "e", "timestamp": AT},
            "userId or anonymousId: expected a non-empty str or a number, got NoneType",
        ),
        ({**ROW, "event": None, "type": ""}, "type: missing; a row without an event needs one"),
        (
            {**ROW, "plan": ARRAY},
            "plan: not a field of track messages; does it belong in properties?",
        ),
        (
            {**ROW, "timestamp": ARRAY},
            "timestamp: expected a datetime, date, ISO 8601 str or number of seconds, got ndarray",
        ),
        ({**ROW, "messageId": ARRAY}, "messageId: expected a str or a number, got ndarray"),
        ({**ROW, "userId": []}, "userId: expected a str or a number, got list"),
        ({**ROW, "messageId": "m" * 100}, "messageId: expected 1 to 99 characters, got 100"),
        ({**ROW, "event": 5}, "event: expected a str, got int"),
        (
            {**ROW, "timestamp": "yesterday"},
            f"timestamp: expected {A_TIME}, got an unreadable str",
        ),
        ({**ROW, "properties": "[1]"}, "properties: expected a dict or None, got str"),
        (
            {**ROW, "plan": "pro"},
            "plan: not a field of track messages; does it belong in properties?",
        ),
        (
            {**ROW, "type": "group", "groupId": 1, "event": "e"},
            "event: not a field of group messages; does it belong in traits?",
        ),
        (
            {"type": "alias", "userId": "a", "previousId": "b", "timestamp": AT, "plan": "pro"},
            "plan: not a field of alias messages",
        ),
        ({**ROW, "user_id": "x"}, "user_id: not a field of track messages; did you mean userId?"),
        (
            {**ROW, "Properties": 1},
            "Properties: not a field of track messages; did you mean properties?",
        ),
        ({**ROW, "timestamp": 20261001}, NOT_SECONDS),
        *(({**ROW, "timestamp": number}, NOT_SECONDS) for number in NO_TIMES),
    ],
)
def test_a_row_that_cannot_be_a_message_is_rejected_with_the_reason(
    row: object, reason: str
) -> None:
    assert rejection(row) == reason


class Lazy(UserDict[str, Any]):
    """A record that is read when somebody looks, and whose session is closed by then."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("secret")


@pytest.mark.parametrize("rules", [{}, {"mapping": {}}, {"mapping": {"properties.city": "city"}}])
def test_what_cannot_be_read_is_rejected_and_costs_only_its_row(rules: dict[str, Any]) -> None:
    lazy = Lazy({"a": 1})
    assert rejection(lazy, **rules) == "row: reading it raised RuntimeError"
    for order in (("properties", "city"), ("city", "properties")):
        values: dict[str, Any] = {"properties": lazy, "city": "Graz"}
        row = {**ROW, **{name: values[name] for name in order}}
        if rules:
            assert rejection(row, **rules) == "properties: reading it raised RuntimeError"


@pytest.mark.parametrize("field", ["userId", "anonymousId", "messageId"])
def test_a_text_that_is_far_too_long_is_named_as_the_row_has_it(field: str) -> None:
    with pytest.raises(MessageTooLargeError) as caught:
        message_of({**ROW, field: "x" * 40_000})
    assert str(caught.value).startswith(f"{field}: expected at most 32768 bytes of JSON, got 40000")


def test_fields_that_hold_nothing_or_that_segment_adds_do_no_harm() -> None:
    nothing: dict[str, Any] = {"traits": {}, "groupId": None, "name": ""}
    message = message_of({**ROW, **nothing, "receivedAt": AT, "version": 2})
    assert not message.keys() & {"traits", "groupId", "name", "receivedAt", "version"}


def test_a_message_of_more_than_32_kb_is_rejected_and_its_largest_part_named() -> None:
    row = {**ROW, "properties": {"report": "x" * 33_000}}
    with pytest.raises(MessageTooLargeError, match=r"largest part is properties\.report"):
        RowEncoder("key", RowRules()).encode(row)


def test_a_row_is_rejected_if_what_must_be_converted_is_far_too_large() -> None:
    with pytest.raises(MessageTooLargeError):
        RowEncoder("key", RowRules()).encode({**ROW, "properties": {"n": {"x" * 2_000_000}}})


def test_a_row_may_be_larger_than_its_message() -> None:
    assert message_of({**ROW, "_metadata": "x" * 40_000})["userId"] == "ada"


@pytest.mark.parametrize("key", [[], ["userId"]])
@pytest.mark.parametrize(
    "value, sent",
    [
        (Decimal("1.5"), 1.5),
        (date(2024, 3, 5), "2024-03-05"),
        ((1, 2), [1, 2]),
        (float("nan"), None),
        (2**70, 2**70),
        ({1: "one"}, {"1": "one"}),
        ("\ud800", "\ufffd"),
        ("é\n", "é\n"),
    ],
)
def test_values_become_what_a_call_makes_of_them(key: list[str], value: Any, sent: Any) -> None:
    assert message_of({**ROW, "properties": {"n": value}}, key=key)["properties"] == {"n": sent}


def test_rules_can_be_pickled() -> None:
    rules = RowRules(event="e", mapping={"userId": "customer"}, key=["id"], name="orders")
    assert pickle.loads(pickle.dumps(rules)) == rules  # noqa: S301  our own pickle


@pytest.mark.parametrize(
    "rules, text",
    [
        ({"message_type": "order"}, "message_type: expected one of"),
        ({"event": 5}, "event: expected a str or None, got int"),
        ({"name": None}, "name: expected a str, got NoneType"),
        ({"mapping": "userId=customer"}, "mapping: expected a dict or None, got str"),
        ({"mapping": {"user": "customer"}}, "mapping: expected a dict of targets"),
        ({"mapping": {"userId.name": "customer"}}, "mapping: expected a dict of targets"),
        ({"mapping": {"properties..a": "customer"}}, "mapping: expected a dict of targets"),
        ({"mapping": {5: "customer"}}, "mapping: expected a dict of targets"),
        ({"mapping": {"userId": 5}}, "mapping: expected a dict of targets"),
        ({"key": "order_id"}, "key: expected a list of columns, each a str, got str"),
        ({"key": [1]}, "key: expected a list of columns, each a str, got list"),
        ({"key": [""]}, "key: expected a list of columns, each a str, got list"),
        (
            {"message_type": "identify", "event": "Signed Up"},
            "event: expected None, as identify messages have none",
        ),
        (
            {"event": "Signed Up", "mapping": {"event": "label"}},
            "event: expected one for all rows, or a column of it, not both",
        ),
        (
            {"message_type": "page", "mapping": {"type": "kind"}},
            "type: expected one for all rows, or a column of it, not both",
        ),
    ],
)
def test_a_wrong_rule_is_named(rules: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text.replace("(", r"\(")):
        RowRules(**rules)
