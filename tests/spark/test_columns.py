"""What Spark adds to the columns of Arrow; tests/bulk/test_arrow.py has the rest."""

from __future__ import annotations

import pyarrow as pa
import pyspark
import pytest

from segment_librato.bulk.outcomes import Unreadable
from segment_librato.spark.columns import read_messages, read_rows


def test_json_text_is_an_object_where_one_must_be() -> None:
    texts = ['{"a": [1]}', "", None, "[1]", "{", "5", "[" * 100_000]
    batch = pa.RecordBatch.from_arrays([pa.array(texts), pa.array(texts)], ["traits", "name"])
    rows = list(read_messages(batch))
    assert rows[:3] == [
        {"traits": {"a": [1]}, "name": texts[0]},
        {"traits": {}, "name": ""},
        {"traits": None, "name": None},
    ]
    problem = "traits: expected a dict, or the JSON of an object, got "
    kinds = ("list", "str", "int", "str")
    assert rows[3:] == [
        Unreadable(problem + kind, {"traits": text, "name": text})
        for text, kind in zip(texts[3:], kinds, strict=True)
    ]


def test_messages_that_cannot_be_read_stay_so() -> None:
    days = pa.array([10**7], pa.int32()).cast(pa.date32())
    batch = pa.RecordBatch.from_arrays([days, pa.array(["{}"])], ["timestamp", "properties"])
    (row,) = read_messages(batch)
    assert isinstance(row, Unreadable)


@pytest.mark.skipif(pyspark.__version__ < "4", reason="variants came with Spark 4")
def test_a_variant_is_what_it_holds() -> None:
    metadata = {"variant": "true"}
    kind = pa.struct(
        [pa.field("value", pa.binary()), pa.field("metadata", pa.binary(), metadata=metadata)]
    )
    one = {"value": b"\x0c\x01", "metadata": b"\x01\x00\x00"}
    values = [one, None, {"value": None, "metadata": b"\x01\x00\x00"}]
    batch = pa.RecordBatch.from_arrays([pa.array(values, kind)], ["variant"])
    assert list(read_rows(batch)) == [{"variant": 1}, {"variant": None}, {"variant": None}]
