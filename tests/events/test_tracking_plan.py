"""Tracking plans: both forms, what a rule applies to, and what is against it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from segment_librato import ConfigError
from segment_librato.events import Problem, TrackingPlan, check
from segment_librato.events.tracking_plan import NAMED_BY

if TYPE_CHECKING:
    from pathlib import Path

DRAFT = "http://json-schema.org/draft-07/schema#"


def schema(field: str = "properties", **rules: Any) -> dict[str, Any]:
    """Return the schema of a message whose properties, or traits, have these rules."""
    inner = {"type": "object", **rules}
    return {"$schema": DRAFT, "type": "object", "properties": {field: inner}, "required": [field]}


ORDER = schema(
    properties={
        "order_id": {"type": "string"},
        "total": {"type": ["number", "null"]},
        "season": {"type": "string", "pattern": "^(fall|winter)$"},
        "at": {"type": "string", "format": "date-time"},
        "items": {"type": "array", "items": {"type": "object", "required": ["sku"]}},
    },
    required=["order_id"],
    additionalProperties=False,
)


def rule(kind: str, key: str | None, rules: Any, version: int = 1) -> dict[str, Any]:
    return {"type": kind, "key": key, "version": version, "jsonSchema": rules}


def plan_of(*rules: dict[str, Any]) -> TrackingPlan:
    return TrackingPlan({"data": {"rules": [*rules], "pagination": {"current": "MA=="}}})


PLAN = plan_of(rule("TRACK", "Order Completed", ORDER))


def order(event: str = "Order Completed", **properties: Any) -> dict[str, Any]:
    properties = {"order_id": "o-1", **properties}
    return {"type": "track", "userId": "ada", "event": event, "properties": properties}


def texts(message: dict[str, Any], plan: TrackingPlan = PLAN) -> list[str]:
    return [problem.text for problem in check(message, plan)]


@pytest.mark.parametrize(
    "document",
    [
        {"data": {"rules": [rule("TRACK", "Order Completed", ORDER)]}},
        {"rules": [rule("TRACK", "Order Completed", ORDER)]},
        [rule("TRACK", "Order Completed", ORDER)],
        {"rules": {"events": [{"name": "Order Completed", "version": 1, "rules": ORDER}]}},
        {"tracking_plan": {"rules": {"events": [{"name": "Order Completed", "rules": ORDER}]}}},
    ],
    ids=["public API", "its data", "its rules", "Typewriter", "Config API"],
)
def test_a_plan_is_read_in_each_form_that_the_apis_have(document: Any, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    plan = TrackingPlan.load(file)
    assert plan.events == ["Order Completed"]
    assert check(order(), plan=plan) == []
    assert texts(order(order_id=5), plan) == ["properties.order_id is an integer, not a string"]


@pytest.mark.parametrize(
    "properties, problem",
    [
        (
            {"total": "5"},
            Problem(
                "wrong_type",
                "properties.total",
                "properties.total is a string, not a number or null",
            ),
        ),
        (
            {"season": "spring"},
            Problem(
                "not_as_planned",
                "properties.season",
                'properties.season is against the plan: pattern "^(fall|winter)$"',
            ),
        ),
        (
            {"at": "yesterday"},
            Problem(
                "not_as_planned",
                "properties.at",
                'properties.at is against the plan: format "date-time"',
            ),
        ),
        (
            {"items": [{"sku": "s"}, {}]},
            Problem("missing", "properties.items[1].sku", "properties.items[1].sku is missing"),
        ),
        (
            {"seasons": "fall"},
            Problem(
                "not_planned",
                "properties.seasons",
                "properties.seasons is not in the tracking plan, which has season",
                "season",
            ),
        ),
        (
            {"other": 1},
            Problem(
                "not_planned", "properties.other", "properties.other is not in the tracking plan"
            ),
        ),
    ],
    ids=lambda one: str(one)[:40],
)
def test_what_is_against_a_rule_is_told_without_the_value(
    properties: dict[str, Any], problem: Problem
) -> None:
    assert check(order(**properties), PLAN) == [problem]
    assert check(order(total=None, season="fall", at="2026-11-28T10:00:00Z", items=[]), PLAN) == []


def test_all_that_is_missing_is_told() -> None:
    plan = plan_of(rule("TRACK", "X", schema(required=["a", "b", "c"])))
    assert texts({**order("X"), "properties": {"b": 1}}, plan) == [
        "properties.a is missing",
        "properties.c is missing",
    ]
    message = {**order("X")}
    del message["properties"]
    assert texts(message, plan) == ["properties is missing"]


def test_an_event_that_is_not_planned_is_told_with_the_one_it_looks_like() -> None:
    assert check(order("Order completed"), PLAN) == [
        Problem(
            "not_planned",
            "event",
            'event "Order completed" is not in the tracking plan, which has "Order Completed"',
            "Order Completed",
        )
    ]
    assert texts(order("Signed Up")) == ['event "Signed Up" is not in the tracking plan']


def test_where_the_plan_has_a_rule_the_spec_does_not_count() -> None:
    own = schema(properties={"orderId": {"type": "integer"}, "total": {"type": "string"}})
    plan = plan_of(rule("TRACK", "Order Completed", own))
    message = {**order(), "properties": {"orderId": 5, "total": "5", "our_own": 1}}
    assert check(message, plan) == []
    assert texts({**message, "context": {"ip": 5}}, plan) == [
        "context.ip is an integer, not a string"
    ]


def test_where_it_has_none_the_spec_counts() -> None:
    assert texts({"type": "identify", "userId": "ada", "traits": {"age": "5"}}) == [
        "traits.age is a string, not a number"
    ]
    plan = plan_of(rule("IDENTIFY", None, schema("traits")))
    assert texts(order("Order completed"), plan) == [
        'event "Order completed" looks like "Order Completed"'
    ]


@pytest.mark.parametrize(
    "message, kind, key",
    [
        ({"type": "identify", "traits": {"plan": 5}}, "IDENTIFY", None),
        ({"type": "group", "groupId": "acme", "traits": {"plan": 5}}, "GROUP", None),
        ({"type": "page", "name": "Home", "properties": {"plan": 5}}, "PAGE", "Home"),
        ({"type": "screen", "name": "Home", "properties": {"plan": 5}}, "SCREEN", "Home"),
        ({"type": "identify", "traits": {"plan": 5}}, "COMMON", None),
    ],
    ids=lambda one: str(one)[:20],
)
def test_messages_of_all_types_have_rules(message: dict[str, Any], kind: str, key: Any) -> None:
    field = "traits" if "traits" in message else "properties"
    plan = plan_of(rule(kind, key, schema(field, properties={"plan": {"type": "string"}})))
    assert texts({"userId": "ada", **message}, plan) == [
        f"{field}.plan is an integer, not a string"
    ]


def test_the_rules_of_the_config_api_are_for_all_types() -> None:
    traits = schema("traits", required=["email"])
    rules = {"events": [], "global": {"required": ["context"]}, "identify": traits, "group": {}}
    plan = TrackingPlan({"rules": {**rules, "identify_traits": [], "group_traits": []}})
    assert texts({"type": "identify", "userId": "ada", "traits": {}}, plan) == [
        "context is missing",
        "traits.email is missing",
    ]
    assert texts({**order("Signed Up", email=1), "context": {}}, plan) == [
        "properties.email is an integer, not a string"
    ]


@pytest.mark.parametrize(
    "version, kind",
    [(2, "integer"), (1, "string"), (None, "string"), (9, "string"), ("2", "string")],
)
def test_the_context_says_which_version_counts_otherwise_the_oldest(
    version: Any, kind: str
) -> None:
    rules = [
        rule("TRACK", "X", schema(properties={"a": {"type": "integer"}}), 2),
        rule("TRACK", "X", schema(properties={"a": {"type": "string"}}), 1),
    ]
    message = {**order("X", a=5 if kind == "integer" else "5")}
    message["context"] = {"protocols": {"event_version": version}}
    plan = plan_of(*rules)
    assert plan.check(message) == []
    assert plan.check({**message, "properties": {"a": []}}) != []


def test_rules_of_a_kind_that_is_not_known_are_left_alone() -> None:
    plan = plan_of(rule("FUTURE", "X", {"type": 5}), rule("TRACK", "X", schema()))
    assert plan.events == ["X"]


def test_references_lead_into_their_own_schema_only() -> None:
    own = {
        "definitions": {"id": {"type": "string"}},
        **schema(properties={"a": {"$ref": "#/definitions/id"}}),
    }
    assert texts(order("X", a=5), plan_of(rule("TRACK", "X", own))) == [
        "properties.a is an integer, not a string"
    ]
    elsewhere = schema(properties={"a": {"$ref": "http://127.0.0.1:9/schema.json"}})
    with pytest.raises(ConfigError, match=r"^the tracking plan refers to a missing schema: X$"):
        check(order("X", a=5), plan_of(rule("TRACK", "X", elsewhere)))


def test_what_jsonschema_cannot_compare_is_a_problem_of_the_message() -> None:
    plan = plan_of(rule("TRACK", "X", schema(properties={"a": {"multipleOf": 0.01}})))
    assert texts(order("X", a=10**400), plan) == [
        "the message cannot be compared with the plan: OverflowError"
    ]


@pytest.mark.parametrize("kind, name", [("track", 5), ("page", ["Home"]), ("page", None)])
def test_a_name_that_is_no_text_has_no_rule(kind: str, name: Any) -> None:
    plan = plan_of(rule("PAGE", "None", schema(required=["x"])))
    message = {"type": kind, "userId": "ada", NAMED_BY[kind.upper()]: name}
    assert texts(message, plan) == (
        ["event is an integer, not a string"] if kind == "track" else []
    )


def test_a_key_that_is_no_text_is_not_planned() -> None:
    message = order()
    message["properties"][5] = "x"
    assert texts(message) == ["properties.5 is not in the tracking plan"]


@pytest.mark.parametrize(
    "document, text",
    [
        ({}, "this is not a tracking plan"),
        ([], "the tracking plan has no rules"),
        ({"rules": {}}, "this is not a tracking plan"),
        ([5], "this is not a tracking plan"),
        ([{"type": "TRACK", "key": "X"}], "this is not a tracking plan"),
        ([rule("TRACK", "X", schema(), "two")], "this is not a tracking plan"),  # type: ignore[arg-type]
        (5, "this is not a tracking plan"),
        ("plan", "this is not a tracking plan"),
        ([rule("TRACK", "X", {"type": 5})], r"the tracking plan has a wrong schema: X, \$.type"),
        ([rule("COMMON", None, 5)], "this is not a tracking plan"),
        (
            [rule("TRACK", "X", {"pattern": "("})],
            r"the tracking plan has a wrong schema: X, \$.pattern",
        ),
    ],
    ids=lambda one: str(one)[:50],
)
def test_what_is_no_plan_is_told(document: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=f"^{text}"):
        TrackingPlan(document)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^cannot read the tracking plan: .*/miss\\u202eing.json: No such file"
    ):
        TrackingPlan.load(tmp_path / "miss\u202eing.json")
    for data, text in (
        (b"", "the tracking plan is not JSON"),
        (b"\xff", "the tracking plan is not JSON"),
        (b"[" * 100_000, "the tracking plan is not JSON"),
        (b"[]", "the tracking plan has no rules"),
    ):
        (tmp_path / "plan.json").write_bytes(data)
        with pytest.raises(ConfigError, match=rf"^cannot use .*/plan\.json: {text}$"):
            TrackingPlan.load(tmp_path / "plan.json")


def test_the_extra_is_named_if_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(ConfigError, match=r'pip install "segment-librato\[plan\]"$'):
        plan_of(rule("TRACK", "X", schema()))


def test_checks_with_the_spec_do_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    assert texts(order(total="5"), None) == ["properties.total is a string, not a number"]  # type: ignore[arg-type]
