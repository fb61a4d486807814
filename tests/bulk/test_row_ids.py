"""The id of a row is the same whenever and wherever it is imported, and no other row has it."""

from __future__ import annotations

import json
import math
import random
import uuid
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.script import run

from segment_librato import ValidationError
from segment_librato.bulk.files.delimited import to_value
from segment_librato.bulk.files.items import Gap
from segment_librato.bulk.files.source import Reading, Source
from segment_librato.bulk.ids import RowIds
from segment_librato.bulk.limits import MAX_ROW_BYTES
from segment_librato.bulk.rows import RowEncoder
from segment_librato.bulk.rules import RowRules
from segment_librato.encoding.strict import canonical

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

ROWS: list[dict[str, Any]] = [{"n": number % 7, "x": "é"} for number in range(40)]


def ids_of(rows: list[Any], key: tuple[str, ...] = (), **others: str) -> list[str]:
    ids = RowIds(others.get("write_key", "key"), others.get("name", "import"), key)
    try:
        return [ids.id_of(row, canonical(row, MAX_ROW_BYTES)[0]) for row in rows]
    finally:
        ids.close()


def test_an_id_never_changes() -> None:
    """These ids are in sources of Segment by now."""
    row = {"userId": "ada", "event": "Signed Up", "properties": {"b": 1.5, "a": None, "é": [True]}}
    assert ids_of([row, row]) == [
        "d7215b89-d88b-55f5-8bd4-35570dc22bf3",
        "6591bfb4-678c-5e22-bf96-7cccb7c32a7e",
    ]
    assert ids_of([row], ("userId", "properties.b")) == ["87b97f8f-18d5-5d3e-94c6-c41b189cf391"]


AT = datetime(2026, 3, 1, 12, 0, 0, 567_891, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "values,rules,expected",
    [
        ({"v": AT}, {}, "cbdedfa7-2203-5a7a-b1d3-daac70ad7c90"),
        ({"v": AT.replace(tzinfo=None)}, {}, "2972bd02-fa3f-52ec-a246-53548a1150b4"),
        (
            {"v": AT.astimezone(timezone(timedelta(hours=1)))},
            {},
            "0ba4fb5c-5792-55ab-9571-726ae295a9c5",
        ),
        ({"v": AT.date()}, {}, "0f68310e-da29-5529-a569-97a0d64e82ab"),
        ({"v": Decimal("1.50")}, {}, "241b059c-673c-5ec2-bdcd-d9d1360e81c4"),
        ({"v": b"\xff\x00"}, {}, "9cbb9846-ff47-5374-9705-2ee6755475fd"),
        ({}, {}, "23115f0a-c1dc-5695-a6ce-1a052aaa48dc"),
        ({"v": None}, {}, "23115f0a-c1dc-5695-a6ce-1a052aaa48dc"),
        ({"v": math.nan}, {}, "23115f0a-c1dc-5695-a6ce-1a052aaa48dc"),
        ({"v": (1, "a")}, {}, "5077c4bc-204e-509e-94bd-c8064ed970ff"),
        ({"v": 2**70}, {}, "45c2afc1-4b8e-543e-abc9-8ad437eb5f83"),
        ({"v": uuid.UUID(int=7)}, {}, "71970636-4078-5fb0-bd4e-b1085d717917"),
        ({"v": np.int64(7)}, {}, "3ddee34e-c067-58ab-b38d-f8a0b23d3d7f"),
        ({"v": to_value("7")}, {}, "3ddee34e-c067-58ab-b38d-f8a0b23d3d7f"),
        ({"v": to_value("7.50")}, {}, "82e3d62c-fb4e-5a00-ae29-077016a78416"),
        ({"v": to_value("007")}, {}, "7fc28b56-2998-57bc-bb1e-873e09a89a21"),
        ({"v": to_value("TRUE")}, {}, "74af1561-6dd6-5f52-aaac-bb76e2907172"),
        ({"v": 1}, {"mapping": {"properties.w": "v"}}, "ae19a26d-a625-57d3-8fb7-4718dc19c4b1"),
        ({"v": 1}, {"mapping": {}, "key": ["v"]}, "8f759c31-73ba-53a6-96d9-bfa1b08449fc"),
        ({"v": AT}, {"mapping": {}, "key": ["v"]}, "1b55b61d-af71-52a6-a8cb-7421e87222f4"),
        ({"v": 1}, {"mapping": {}, "name": "Zürich"}, "ec6b694e-90e8-5ad4-8703-82d6defbb76a"),
    ],
)
def test_nor_does_that_of_a_row_with_other_values(
    values: dict[str, Any], rules: dict[str, Any], expected: str
) -> None:
    """Of databases, Parquet, CSV and data frames."""
    encoder = RowEncoder("key", RowRules(**{"mapping": {}, **rules}))
    row = {"userId": "ada", "event": "E", "timestamp": "2026-03-01T12:00:00Z", **values}
    message_id, _ = encoder.encode(row)
    encoder.close()
    assert message_id == expected


@pytest.mark.parametrize(
    "whole", [7.0, np.float32(7), np.float64(7), np.int64(7), to_value("7"), to_value("7.0")]
)
def test_a_whole_number_is_the_same_key_as_an_int_or_a_float(whole: object) -> None:
    """A data frame has floats for ints as soon as one of them is missing."""
    assert ids_of([{"id": whole}], ("id",)) == ids_of([{"id": 7}], ("id",))
    different: list[object] = ["7", "7.0", 7.5, 2.0**60, True]
    ids = ids_of([{"id": one} for one in [7, *different]], ("id",))
    assert len({*ids}) == len(ids)


def full_of_nulls(value: Any, chance: random.Random) -> Any:
    """Return a value with members that are null here and there."""
    if isinstance(value, list):
        return [full_of_nulls(one, chance) for one in value]
    if not isinstance(value, dict):
        return value
    members = [(name, full_of_nulls(one, chance)) for name, one in value.items()]
    members += [(f"n{n}", chance.choice([None, math.nan])) for n in range(chance.randrange(3))]
    return dict(chance.sample(members, len(members)))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@pytest.mark.once
@given(row=st.dictionaries(st.text(), JSON), seed=st.integers())
@example(row={"text": '{"a":null,"b":[null]}', "null": {"null": [None]}}, seed=1)
def test_a_member_that_is_null_is_none(row: dict[str, Any], seed: int) -> None:
    """Tables have null where JSON lines leave a field out; the item of a list has its place."""
    other = full_of_nulls(row, random.Random(seed))  # noqa: S311  a failure can be repeated
    first, second = ids_of([row, other])
    assert first != second  # the second of two that are equal
    assert ids_of([other, row]) == [first, second]
    assert ids_of([{"id": row}], ("id",)) == ids_of([{"id": other}], ("id",))


def test_the_item_of_a_list_and_an_object_without_members_are_something() -> None:
    rows: list[dict[str, Any]] = [{}, {"a": []}, {"a": [None]}, {"a": [None, None]}, {"a": {}}]
    rows += [{"a": [{}]}, {"a": ""}, {"a": 0}, {"a": False}, {"a": "null"}]
    assert len({ids_of([one])[0] for one in rows}) == len(rows)


def test_keys_that_are_no_text_keep_their_order() -> None:
    """That of numbers, which is not the one of their texts."""
    rows = [{"a": {2: 1, 10: 1}, **more} for more in ({}, {"b": None})]
    assert ids_of(rows[:1]) == ids_of(rows[1:])
    assert ids_of(rows[:1], ("a",)) == ids_of([{"a": {2: 1, 10: 1, 11: None}}], ("a",))


def test_a_row_so_deep_that_it_cannot_be_read_back_has_an_id() -> None:
    ids = RowIds("key", "import", ())
    assert ids.id_of({}, b'{"a":' * 100_000 + b"null" + b"}" * 100_000)
    ids.close()


def test_a_row_is_the_same_in_all_formats(tmp_path: Path) -> None:
    """Parquet has all columns in each row, as Spark has them."""
    some = [{"sku": "a", "price": 1.5}, {"sku": "b"}]
    users: list[dict[str, Any]] = [
        {"userId": "bob", "properties": {"products": some, "coupon": {"code": "c"}}},
        {"userId": "bob", "properties": {"products": some[:1], "coupon": {"name": "n"}}},
        {"userId": "ada"},
    ]
    rows = [{**one, "event": "E", "timestamp": "2026-03-01T12:00:00Z"} for one in users]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    ids = []
    for name in ("a.jsonl", "a.parquet"):
        source = Source(str(tmp_path / name), Reading())
        encoder = RowEncoder("key", RowRules())
        encoder.count(rows[0])
        ids.append([encoder.encode(item.row)[0] for item in source.read([Gap()])])
        encoder.close()
    assert ids[0] == ids[1] == ids_of([rows[0], *rows])[1:]


def test_an_id_is_a_uuid_of_version_5() -> None:
    for one in ids_of(ROWS):
        assert str(uuid.UUID(one)) == one
        assert (uuid.UUID(one).version, uuid.UUID(one).variant) == (5, uuid.RFC_4122)


def test_equal_rows_have_different_ids_the_same_in_any_order() -> None:
    shuffled = random.Random(1).sample(ROWS, len(ROWS))  # noqa: S311  the same each time
    backwards = [dict(reversed(row.items())) for row in ROWS]
    assert len({*ids_of(ROWS)}) == len(ROWS)
    assert {*ids_of(shuffled)} == {*ids_of(ROWS)}
    assert ids_of(backwards) == ids_of(ROWS)


def test_with_a_key_equal_keys_have_the_same_id_whatever_else_is_in_the_row() -> None:
    rows = [{"id": 1, "n": 1}, {"id": 1, "n": 2}, {"id": "1"}, {"id": 2}]
    first, again, text, other = ids_of(rows, ("id",))
    assert ids_of([{"id": "null"}], ("id",))
    assert first == again
    assert len({first, text, other}) == 3


def test_a_key_may_be_a_field_within_another_or_a_column_with_a_dot() -> None:
    nested, flat = {"properties": {"id": 1}}, {"properties.id": 1}
    assert ids_of([nested], ("properties.id",)) == ids_of([flat], ("properties.id",))


@pytest.mark.parametrize(
    "row", [{}, {"id": None}, {"properties": 5}, {"id": math.nan}, {"id": np.float64("nan")}]
)
def test_a_row_without_a_value_for_its_key_is_rejected(row: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"^(id|properties\.a\.b): the row has no value"):
        ids_of([row], ("id",))
    with pytest.raises(ValidationError, match=r"^properties\.a\.b: the row has no value"):
        ids_of([row], ("properties.a.b",))


def test_an_empty_text_is_no_value_for_a_key_of_its_own() -> None:
    with pytest.raises(ValidationError, match=r"^n: the row has no value for its key$"):
        ids_of([{"n": ""}], ("n",))
    assert len(ids_of([{"n": "", "m": "a"}], ("n", "m"))) == 1


def test_another_type_or_event_of_all_rows_makes_other_ids() -> None:
    """One table may hold users as well as what they did."""
    row = {"userId": "ada", "timestamp": "2026-03-01"}
    rules: list[dict[str, Any]] = [
        {"message_type": "identify"},
        {"message_type": "page"},
        {"message_type": "track", "event": "Signed Up"},
        {"event": "Signed Up"},
        {"event": "page"},
    ]
    ids = set()
    for key in ((), ("userId",)):
        for one in rules:
            encoder = RowEncoder("key", RowRules(mapping={}, key=key, **one))
            ids.add(encoder.encode(row)[0])
            encoder.close()
    assert len(ids) == 2 * len(rules)


def test_another_write_key_or_name_makes_other_ids() -> None:
    row = {"id": 1}
    for key in ((), ("id",)):
        ids = {
            *ids_of([row], key),
            *ids_of([row], key, write_key="other"),
            *ids_of([row], key, name="other"),
        }
        assert len(ids) == 3


def test_orjson_makes_no_difference(server: LocalSegment) -> None:
    rows = [{"n": number} for number in (1e16, 1e-5, 1e22, 0.1, -0.0, 2**53, 1e300)]
    script = f"""
        from segment_librato.bulk.ids import RowIds
        from segment_librato.encoding.strict import canonical
        ids = RowIds("key", "import", ())
        for row in {rows!r}:
            print(ids.id_of(row, canonical(row, 1_000)[0]))
    """
    without = "import sys; sys.modules['orjson'] = None"
    assert run(server, script, before_import=without).split() == ids_of(rows)


def test_nothing_else_tells_rows_apart() -> None:
    ids = RowIds("key", "import", ())
    assert not ids.tells_equal_rows_apart
    ids.id_of({}, b"{}")
    assert ids.tells_equal_rows_apart
    keyed = RowIds("key", "import", ("id",))
    keyed.id_of({"id": 1}, b"")
    assert not keyed.tells_equal_rows_apart
    keyed.close()
