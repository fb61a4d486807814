"""The programs of docs/spark.md, one after the other."""

from __future__ import annotations

import re
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyspark
import pytest
from support.pages import blocks_for

from segment_librato.spark import deliver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyspark.sql import SparkSession

    from segment_librato.devserver import LocalSegment

NEEDS_SPARK_4 = ("SegmentDataSource", 'format("segment")')


def programs() -> list[str]:
    left_out = () if pyspark.__version__ >= "4.1" else NEEDS_SPARK_4
    texts = [block.text for block in blocks_for(__file__)]
    return [text for text in texts if not any(word in text for word in left_out)]


def of_databricks(write_key: str) -> SimpleNamespace:
    """Return as much of `dbutils` as the page uses."""
    return SimpleNamespace(secrets=SimpleNamespace(get=lambda scope, key: write_key))


@pytest.fixture
def orders(spark: SparkSession, tmp_path: Path) -> Iterator[None]:
    folder = (tmp_path / "orders").as_uri()
    rows = spark.range(0, 100, 1, 4).selectExpr(
        "id order_id",
        "concat('user-', id % 7) customer",
        "id / 4 amount",
        "timestamp'2025-03-01 10:00:00' ordered_at",
    )
    rows.write.option("path", folder).saveAsTable("orders")
    yield
    for table in ("orders", "orders_outcomes", "streamed_outcomes"):
        spark.sql(f"DROP TABLE IF EXISTS {table}")


@pytest.mark.usefixtures("orders")
def test_the_programs_run(spark: SparkSession, server: LocalSegment, tmp_path: Path) -> None:
    names: dict[str, Any] = {"spark": spark, "checkpoint": str(tmp_path / "checkpoint")}
    names["deliver_here"] = partial(deliver, host=server.host)
    names["dbutils"] = of_databricks("YOUR_WRITE_KEY")
    for program in programs():
        here = re.sub(r"\bdeliver\(", "deliver_here(", program)
        host = f'format("segment").option("host", "{server.host}")'
        exec(here.replace('format("segment")', host), names)  # noqa: S102  our own page
        for query in spark.streams.active:
            query.awaitTermination(200)
    assert spark.table("orders_outcomes").where("outcome = 'delivered'").count() == 100
    assert spark.table("streamed_outcomes").where("outcome = 'delivered'").count() == 100
    orders = [message["properties"].get("order_id") for message in server.messages]
    assert set(orders) == {*range(100)}
