"""Arrow to Python, without Spark or files."""

from __future__ import annotations

import signal
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from segment_librato.bulk.arrow import ArrowReader
from segment_librato.bulk.outcomes import Unreadable

if TYPE_CHECKING:
    from types import FrameType

AT_TEN = datetime(2025, 3, 1, 10, tzinfo=timezone.utc)
NEW_YORK = pa.timestamp("us", "America/New_York")
NOWHERE = pa.timestamp("us", "GMT+8")  # a zone that Spark takes and Python does not know
TAGS = pa.map_(pa.string(), pa.int32())

NUMBERS = pa.RecordBatch.from_arrays([pa.array([1, 2])], ["n"])

reader = ArrowReader()
read_rows = reader.rows


def read(values: list[Any], kind: pa.DataType) -> list[Any]:
    column = pa.array(values, kind)
    batch = pa.RecordBatch.from_arrays([column], ["column"])
    rows = list(read_rows(batch))
    for start in range(len(values)):  # a slice is as good as a whole
        assert list(read_rows(batch.slice(start))) == rows[start:]
    return [row["column"] for row in rows if isinstance(row, dict)]


@pytest.mark.parametrize(
    "values, kind",
    [
        (["text", None, ""], pa.string()),
        ([1, None], pa.int64()),
        ([Decimal("1.50"), None], pa.decimal128(5, 2)),
        ([b"\x00\xff", None], pa.binary()),
        ([date(2025, 3, 1), None], pa.date32()),
        ([timedelta(days=1), None], pa.duration("us")),
        ([[1, None], None, [], [2]], pa.list_(pa.int32())),
        ([None, None], pa.null()),
        ([{"a": 1, "b": None}, None], pa.struct([("a", pa.int32()), ("b", pa.string())])),
        ([{}, None], pa.struct([])),
        ([[{"a": [1]}, None], None], pa.list_(pa.struct([("a", pa.list_(pa.int32()))]))),
    ],
)
def test_a_value_is_read_as_what_it_is(values: list[Any], kind: pa.DataType) -> None:
    assert read(values, kind) == values


@pytest.mark.parametrize("zone", [NEW_YORK, NOWHERE, pa.timestamp("us"), pa.timestamp("ns")])
def test_a_time_is_in_utc(zone: pa.DataType) -> None:
    times = [AT_TEN if zone.tz else AT_TEN.replace(tzinfo=None), None]
    assert read(times, zone) == [AT_TEN, None]
    nested = pa.struct([("when", pa.list_(zone))])
    assert read([{"when": times}], nested) == [{"when": [AT_TEN, None]}]


def test_a_map_is_a_dict() -> None:
    maps = [[("a", 1), ("b", None)], None, [], [("c", 3)]]
    assert read(maps, TAGS) == [{"a": 1, "b": None}, None, {}, {"c": 3}]
    assert read([{"tags": maps[3]}, None], pa.struct([("tags", TAGS)])) == [
        {"tags": {"c": 3}},
        None,
    ]


def test_a_row_that_cannot_be_read_costs_only_itself() -> None:
    long_ago = pa.array([None, 1, 10**7, 2, 10**7], pa.int32()).cast(pa.date32())
    numbers = pa.array(range(5))
    batch = pa.RecordBatch.from_arrays([numbers, long_ago], ["n", "day"])
    reason = "day: the value, a date32[day], cannot be read (OverflowError)"
    assert list(read_rows(batch)) == [
        {"n": 0, "day": None},
        {"n": 1, "day": date(1970, 1, 2)},
        Unreadable(reason, {"n": "[2]", "day": "[29349-01-26]"}),
        {"n": 3, "day": date(1970, 1, 3)},
        Unreadable(reason, {"n": "[4]", "day": "[29349-01-26]"}),
    ]


def test_text_that_is_not_utf8_costs_only_its_row() -> None:
    offsets, data = pa.py_buffer(b"\0\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"\xc3\x28a")
    broken = pa.Array.from_buffers(pa.string(), 2, [None, offsets, data])
    tags = pa.MapArray.from_arrays(pa.array([0, 1, 2]), broken, pa.array([1, 2]))
    first, second = read_rows(pa.RecordBatch.from_arrays([tags], ["tags"]))
    assert isinstance(first, Unreadable)
    assert first.reason == "tags: the text is not UTF-8"
    assert second == {"tags": {"a": 2}}


@pytest.mark.parametrize(
    "kind, entry",
    [(pa.list_(pa.string()), pa.string()), (TAGS, pa.struct([TAGS.key_field, TAGS.item_field]))],
)
def test_lists_that_java_writes_without_offsets_are_read(
    kind: pa.DataType, entry: pa.DataType
) -> None:
    entries = [pa.array([], entry)]
    inner = pa.Array.from_buffers(kind, 0, [None, pa.allocate_buffer(0)], children=entries)
    products = pa.StructArray.from_arrays([inner], ["codes"])
    outer = pa.ListArray.from_arrays(pa.array([0, 0, 0], pa.int32()), products)
    batch = pa.RecordBatch.from_arrays([outer], ["products"])
    assert list(read_rows(batch)) == [{"products": []}, {"products": []}]
    assert list(read_rows(pa.RecordBatch.from_arrays([inner], ["codes"]))) == []


def test_a_map_whose_keys_are_objects_costs_only_its_row() -> None:
    kind = pa.map_(pa.struct([("a", pa.int32())]), pa.int32())
    column = pa.array([[({"a": 1}, 2)], []], kind)
    first, second = read_rows(pa.RecordBatch.from_arrays([column], ["places"]))
    assert isinstance(first, Unreadable)
    assert first.reason.startswith("places: the value, a map<struct<a: int32>, int32")
    assert second == {"places": {}}


def test_a_key_that_is_there_twice_costs_only_its_row() -> None:
    column = pa.array([[("a", 1), ("a", 2)], [("a", 3)]], TAGS)
    first, second = read_rows(pa.RecordBatch.from_arrays([column], ["tags"]))
    assert isinstance(first, Unreadable)
    assert second == {"tags": {"a": 3}}


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_a_time_that_python_cannot_have_is_not_taken_for_another(unit: str) -> None:
    numbers = pa.array([2**62, 0], pa.int64())
    column = numbers.cast(pa.timestamp(unit, "UTC"))
    first, second = read_rows(pa.RecordBatch.from_arrays([column], ["when"]))
    assert isinstance(first, Unreadable)
    assert second == {"when": datetime(1970, 1, 1, tzinfo=timezone.utc)}


@pytest.mark.parametrize("error", [IndexError, MemoryError, NotImplementedError])
def test_a_fault_that_is_not_the_row_s_raises(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(column: pa.Array) -> list[Any]:
        raise error

    monkeypatch.setattr(reader, "values", fail)
    with pytest.raises(error):
        list(reader.rows(NUMBERS))


def test_a_time_limit_is_not_the_row_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class TimeIsUpError(ValueError):
        pass

    def end(signum: int, frame: FrameType | None) -> None:
        raise TimeIsUpError

    def values(column: pa.Array) -> list[Any]:
        signal.raise_signal(signal.SIGALRM)
        return []

    monkeypatch.setattr(reader, "values", values)
    former = signal.signal(signal.SIGALRM, end)
    try:
        with pytest.raises(TimeIsUpError):
            list(reader.rows(NUMBERS))
    finally:
        signal.signal(signal.SIGALRM, former)
