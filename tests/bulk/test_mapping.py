"""Columns of flat rows go to their fields, and nothing that a column holds is lost."""

from __future__ import annotations

from typing import Any

import pytest

from segment_librato import ConfigError, ValidationError
from segment_librato.bulk import mapping as module
from segment_librato.bulk.mapping import Columns


def fields_of(
    row: dict[Any, Any],
    mapping: dict[str, str] | None = None,
    message_type: str | None = None,
    event: str | None = None,
) -> dict[str, Any]:
    return Columns(mapping or {}, message_type, event).fields(row)


def test_a_mapped_column_goes_to_its_targets_and_the_rest_to_properties() -> None:
    row = {"customer": 7, "amount": 42, "when": "2024-03-05", "currency": "EUR", "city": None}
    mapping = {
        "userId": "customer",
        "timestamp": "when",
        "properties.value": "amount",
        "properties.customer": "customer",
        "context.location.city": "city",
        "context.location.country": "country",
    }
    assert fields_of(row, mapping) == {
        "userId": 7,
        "timestamp": "2024-03-05",
        "properties": {"customer": 7, "value": 42, "currency": "EUR"},
        "context": {"location": {"city": None}},
    }


@pytest.mark.parametrize("kind, own", [("identify", "traits"), ("page", "properties")])
def test_the_rest_goes_to_traits_if_the_type_has_them(kind: str, own: str) -> None:
    expected = {"userId": 1, own: {"plan": "pro"}}
    assert fields_of({"userId": 1, "plan": "pro"}, message_type=kind) == expected
    row = {"userId": 1, "plan": "pro", "kind": kind}
    assert fields_of(row, {"type": "kind"}) == {**expected, "type": kind}


def test_a_column_with_the_name_of_a_field_of_its_type_is_that_field() -> None:
    row = {"name": "Ada", "properties.plan": "pro", "context.ip": "10.1.2.3", "traits.age": 7}
    assert fields_of(row, message_type="track") == {
        "properties": {"name": "Ada", "plan": "pro", "traits.age": 7},
        "context": {"ip": "10.1.2.3"},
    }
    assert fields_of({"name": "Home"}, message_type="page") == {"name": "Home"}


@pytest.mark.parametrize("turn", [1, -1])
def test_the_column_that_is_mapped_wins_wherever_it_stands(turn: int) -> None:
    row = {"created": 1, "timestamp": 2, "mail": "a", "userId": 3, "context.ip": 4, "address": 5}
    mapping = {"timestamp": "created", "userId": "mail", "context.ip": "address"}
    assert fields_of(dict([*row.items()][::turn]), mapping) == {
        "timestamp": 1,
        "userId": "a",
        "context": {"ip": 5},
        "properties": {"timestamp": 2, "userId": 3, "context.ip": 4},
    }


@pytest.mark.parametrize("turn", [1, -1])
def test_a_column_whose_place_is_taken_is_told(turn: int) -> None:
    mapping = {"properties.value": "amount"}
    with pytest.raises(ValidationError) as caught:
        fields_of(dict([("amount", 1), ("value", 2)][::turn]), mapping)
    assert str(caught.value) == "value: properties.value is mapped; map this column elsewhere"
    assert fields_of({"value": None, "amount": 1}, mapping) == {"properties": {"value": 1}}


@pytest.mark.parametrize("turn", [1, -1])
def test_two_columns_with_one_place_are_told(turn: int) -> None:
    row = dict([("value", 1), ("properties.value", 2)][::turn])
    columns = Columns({}, None, None)
    assert columns.fields({"value": 1}) == columns.fields({"properties.value": 1})
    with pytest.raises(ValidationError, match=r"has its place, properties\.value, too"):
        columns.fields(row)
    with pytest.raises(ValidationError, match=r"has its place, properties\.value, too"):
        Columns({}, None, None).check(row)


@pytest.mark.parametrize("turn", [1, -1])
def test_what_is_mapped_into_an_object_wins_wherever_that_stands(turn: int) -> None:
    mapping = {"properties.products.total": "amount"}
    row = dict([("products", {"total": 1, "n": 2}), ("amount", 5)][::turn])
    assert fields_of(row, mapping) == {"properties": {"products": {"total": 5, "n": 2}}}


def test_a_place_cannot_be_within_another_that_is_mapped() -> None:
    text = r"mapping: properties\.a cannot be a value and have values in it"
    with pytest.raises(ConfigError, match=text):
        Columns({"properties.a.b": "x", "properties.a": "y"}, None, None)


def test_columns_that_are_in_no_row_are_known() -> None:
    columns = Columns({"userId": "customer", "properties.value": "amout"}, None, None)
    assert columns.unseen == []
    columns.fields({"customer": 7, "amount": 42})
    assert columns.unseen == ["amout"]
    columns.fields({"amout": 42})
    assert columns.unseen == []


def test_a_column_is_a_property_if_the_field_of_its_name_is_the_same_for_all() -> None:
    row = {"type": "annual", "event": "party", "userId": 1}
    assert fields_of(row, message_type="track", event="Booked") == {
        "userId": 1,
        "properties": {"type": "annual", "event": "party"},
    }


@pytest.mark.parametrize("row", [{"n": 1, "properties": {"n": 2, "m": 3}}, {"n": 1}])
def test_an_object_and_single_columns_come_together_and_the_row_stays_as_it_is(
    row: dict[str, Any],
) -> None:
    before = str(row)
    for one in (row, dict(reversed(row.items()))):
        assert fields_of(one)["properties"] == {**row.get("properties", {}), "n": 1}
    assert str(row) == before


def test_what_is_nested_in_a_row_is_not_changed() -> None:
    row = {"properties": {"address": {"city": "Graz"}}, "zip": 8010}
    fields = fields_of(row, {"properties.address.zip": "zip"})
    assert fields == {"properties": {"address": {"city": "Graz", "zip": 8010}}}
    assert row["properties"] == {"address": {"city": "Graz"}}


def test_json_text_is_the_object_that_it_is() -> None:
    assert fields_of({"context": '{"ip": "10.1.2.3"}'}) == {"context": {"ip": "10.1.2.3"}}
    assert fields_of({"tags": '{"a": 1}'}, {"properties": "tags"}) == {"properties": {"a": 1}}
    assert fields_of({"properties": "", "context": None}) == {"properties": {}, "context": {}}


@pytest.mark.parametrize(
    "value, kind", [("[1]", "list"), ("{", "str"), ("[" * 9999, "str"), (5, "int")]
)
def test_anything_else_where_an_object_must_be_is_rejected(value: object, kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        fields_of({"properties": value})
    expected = "properties: expected a dict, or the JSON of an object, got"
    assert str(caught.value) == f"{expected} {kind}"


def test_a_column_need_not_be_a_str() -> None:
    assert fields_of({5: "five"}) == {"properties": {5: "five"}}


def test_the_columns_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COLUMNS", 10)
    columns = Columns({}, None, None)
    for number in range(100):
        name = f"column-{number}"
        assert columns.fields({name: 1}) == {"properties": {name: 1}}
    assert len(columns._known) <= 10  # noqa: SLF001  there is no other way to see it
