"""Parquet: rows with positions, and the types of Python."""

from __future__ import annotations

import sys
from datetime import date, datetime, timedelta, timezone
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segment_librato.bulk.files import parquet
from segment_librato.bulk.files.items import FileError, Gap
from segment_librato.bulk.files.parquet import open_parquet, read_parquet
from segment_librato.bulk.outcomes import Unreadable


def file_of(table: Any, rows_of_a_group: int = 1_000_000) -> Any:
    stream = BytesIO()
    pq.write_table(table, stream, row_group_size=rows_of_a_group)
    return open_parquet(stream)


@pytest.mark.parametrize("group", [1, 7, 10, 100])
@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_any_gap_can_be_read(group: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "BATCH_ROWS", batch)
    file = file_of(pa.table({"n": range(20)}), group)
    for first in range(21):
        for last in (*range(first + 1, 21), None):
            items = [*read_parquet(file, Gap(first, last, first))]
            expected = range(first, 20 if last is None else last)
            assert [item.row for item in items] == [{"n": n} for n in expected]
            assert [item.end for item in items] == [n + 1 for n in expected]
            assert [item.number for item in items] == [n + 1 for n in expected]


@pytest.mark.parametrize("width,rows", [(10, 1000), (20_000, 400), (10_000_000, 1)])
def test_of_wide_rows_few_are_in_memory(width: int, rows: int) -> None:
    of_a_group = max(rows, 2)
    text = [f"{n:08}" * (width // 8) for n in range(of_a_group)]
    file = file_of(pa.table({"text": text}), of_a_group)
    sizes: list[int] = []
    original = file.iter_batches

    def iter_batches(size: int, groups: list[int]) -> Any:
        sizes.append(size)
        return original(size, groups)

    file.iter_batches = iter_batches
    assert len([*read_parquet(file, Gap())]) == of_a_group
    assert [size * width // (rows * width) for size in sizes] == [1]


def test_a_group_may_be_empty() -> None:
    for kind in (pa.int64(), pa.binary()):
        assert [*read_parquet(file_of(pa.table({"n": pa.array([], kind)})), Gap())] == []


def test_row_groups_outside_of_a_gap_are_not_read() -> None:
    file = file_of(pa.table({"n": range(100)}), 10)
    read: list[int] = []
    original = file.iter_batches

    def iter_batches(size: int, groups: list[int]) -> Any:
        read.extend(groups)
        return original(size, groups)

    file.iter_batches = iter_batches
    assert len([*read_parquet(file, Gap(25, 40, 25))]) == 15
    assert read == [2, 3]


def test_values_are_those_of_python() -> None:
    at = datetime(2024, 3, 1, 12, 0, 0, 123456, timezone.utc)
    table = pa.table(
        {
            "at": pa.array([at], pa.timestamp("ns", "UTC")),
            "local": pa.array([at.replace(tzinfo=None)], pa.timestamp("ns")),
            "day": [date(2024, 3, 1)],
            "properties": [{"value": 1.5, "tags": ["a"], "none": None}],
            "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            "nothing": pa.array([None], pa.string()),
        }
    )
    ((row, *_),) = read_parquet(file_of(table), Gap())
    assert row == {
        "at": at,
        "local": at,
        "day": date(2024, 3, 1),
        "properties": {"value": 1.5, "tags": ["a"], "none": None},
        "map": {"k": 1},
    }
    assert {type(row["at"]), type(row["local"])} == {datetime}


def test_nested_times_are_those_of_python_too() -> None:
    at = datetime(2024, 3, 1, 12, 0, 0, 123456, timezone.utc)
    stamp = pa.timestamp("ns", "UTC")
    kinds: dict[str, tuple[Any, Any]] = {
        "struct": (pa.struct([("at", stamp)]), {"at": at}),
        "list": (pa.list_(stamp), [at]),
        "large_list": (pa.large_list(stamp), [at]),
        "map": (pa.map_(pa.string(), stamp), {"k": at}),
        "time": (pa.time64("ns"), at.time()),
        "duration": (pa.duration("ns"), timedelta(seconds=1.5)),
        "deep": (pa.list_(pa.struct([("a", pa.list_(stamp))])), [{"a": [at]}]),
    }
    columns = {
        name: pa.array([[*value.items()] if name == "map" else value], kind)
        for name, (kind, value) in kinds.items()
    }
    ((row, *_),) = read_parquet(file_of(pa.table(columns)), Gap())
    assert row == {name: value for name, (_, value) in kinds.items()}
    assert {type(row["struct"]["at"]), type(row["list"][0])} == {datetime}


def test_a_row_that_python_cannot_have_costs_only_itself() -> None:
    far = pa.array([0, 253_402_300_800_000, 1], pa.timestamp("ms"))
    first, second, third = read_parquet(file_of(pa.table({"at": far, "n": [1, 2, 3]})), Gap())
    assert [first.row["n"], third.row["n"]] == [1, 3]  # type: ignore[index]
    assert isinstance(second.row, Unreadable)
    assert second.row.reason == "at: the value, a timestamp[ms], cannot be read (OverflowError)"
    assert second.row.text == {"at": "[10000-01-01 00:00:00.000]", "n": "[2]"}
    assert (second.end, second.number) == (2, 2)


BYTES = {
    "binary": pa.binary(),
    "large": pa.large_binary(),
    "fixed": pa.binary(3),
}


@pytest.mark.parametrize("kind", BYTES)
def test_bytes_that_are_text_become_text(kind: str) -> None:
    table = pa.table({"user.id": pa.array([b"ada", None, b"bob"], BYTES[kind]), "n": [1, 2, 3]})
    found = [item.row for item in read_parquet(file_of(table), Gap())]
    assert found == [{"user.id": "ada", "n": 1}, {"n": 2}, {"user.id": "bob", "n": 3}]


@pytest.mark.parametrize("kind", BYTES)
def test_a_column_of_bytes_is_text_or_not_as_its_first_rows_are(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "BATCH_ROWS", 2)
    texts = pa.array([b"ada", b"bob", b"\xff\xfe\xfd", b"eve"], BYTES[kind])
    others = pa.array([b"\xff\xfe\xfd", b"ada", b"bob", b"eve"], BYTES[kind])
    file = file_of(pa.table({"text": texts, "other": others}), 3)
    for first in (0, 2):  # wherever an import goes on
        items = [*read_parquet(file, Gap(first, None, first))]
        bad, good = (item.row for item in items[-2:])
        assert isinstance(bad, Unreadable)
        assert bad.reason == "text: the text is not UTF-8"
        assert "626F62" in bad.text["other"]  # bob
        assert good == {"text": "eve", "other": b"eve"}


def test_a_column_that_is_there_twice_is_told() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(FileError, match="it has the column a twice"):
        file_of(table)


def test_what_is_not_parquet_is_told() -> None:
    with pytest.raises(FileError, match="it is not a Parquet file: "):
        open_parquet(BytesIO(b"a,b\n1,2\n"))


def test_without_pyarrow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FileError, match=r'pip install "segment-librato\[parquet\]"'):
        open_parquet(BytesIO())
