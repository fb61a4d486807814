"""A row of Spark has the id that it has in a file, or in a program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from segment_librato import import_rows
from segment_librato.bulk.rows import RowEncoder
from segment_librato.bulk.rules import RowRules
from segment_librato.spark import deliver
from segment_librato.spark.columns import read_messages

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

    from segment_librato.devserver import LocalSegment

USER = {"userId": "ada", "event": "E", "timestamp": "2026-03-01T12:00:00Z"}
PRODUCTS = [{"sku": "a", "price": 1.5}, {"sku": "b"}]
ROWS: list[dict[str, Any]] = [
    {**USER, "properties": {"products": PRODUCTS, "coupon": {"code": "c"}}},
    {**USER, "properties": {"coupon": {"note": "n"}}},
    USER,
]


def test_a_row_has_the_id_that_it_has_without_its_nulls() -> None:
    """As a line of JSON has it; Spark has all columns in each row."""
    columns = [pa.array([row.get(name) for row in ROWS]) for name in ROWS[0]]
    batch = pa.RecordBatch.from_arrays(columns, [*ROWS[0]])
    ids = []
    for some in (ROWS, read_messages(batch)):
        encoder = RowEncoder("key", RowRules())
        ids.append([encoder.encode(row)[0] for row in some])
        encoder.close()
    assert ids[0] == ids[1]


def test_what_a_program_has_imported_is_not_imported_again(
    spark: SparkSession, server: LocalSegment, tmp_path: Path
) -> None:
    rows = ROWS * 3
    import_rows(rows, "key", host=server.host)
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    table = spark.read.json(str(tmp_path / "a.jsonl")).repartition(3)
    assert deliver(table, "key", host=server.host).count() == len(rows)
    assert (len(server.messages), server.duplicates) == (len(rows), len(rows))


def test_rows_that_are_equal_but_for_a_null_are_told_apart(
    spark: SparkSession, server: LocalSegment
) -> None:
    user = "'ada' userId, 'E' event"
    table = spark.sql(
        f"SELECT {user}, map('a', 'b') properties UNION ALL SELECT {user}, map('a', 'b', 'c', null)"
    )
    result = deliver(table.repartition(2), "key", host=server.host, now=True)
    assert len({row.messageId for row in result.collect()}) == 2
    assert (len(server.messages), server.duplicates) == (2, 0)
