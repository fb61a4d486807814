"""How many rows a second Spark delivers, by the number of its tasks.

Owns a program of its own, for the environment that has Spark: `.tox/spark/bin/python -m
benchmarks.spark`. Must not know the other subjects.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from benchmarks.events import small_event
from benchmarks.sink import run_sink
from benchmarks.subjects import WRITE_KEY
from segment_librato.spark import deliver

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from benchmarks.sink import Sink

ROWS = 200_000
ROUNDS = 2
COLUMNS = (  # those of the lines in `measures.history`
    "'track' type",
    "concat('customer-', lpad(id % 1000, 4, '0')) userId",
    "'Subscription Renewed' event",
    "timestamp'2024-03-01 12:13:14.567' + make_dt_interval(id % 28) timestamp",
    "named_struct('order', id, {}) properties".format(
        ", ".join(f"'{name}', {value!r}" for name, value in [*small_event(0).items()][1:])
    ),
    (
        "named_struct('ip', '198.51.100.24', 'locale', 'de-AT', 'page', named_struct("
        "'path', '/account/plan', 'title', 'Your plan', 'referrer', 'https://shop.example/')) "
        "context"
    ),
)


def main() -> None:
    """Print rows a second for one task and two, with a key and without."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
    }
    spark = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    with run_sink() as sink:
        for _ in range(1 + ROUNDS):  # the first warms up
            for tasks, key in [(1, True), (2, True), (2, False)]:
                rows = spark.range(0, ROWS, 1, tasks).selectExpr(*COLUMNS)
                _report(sink, rows, tasks, key=key)
    spark.stop()


def _report(sink: Sink, rows: DataFrame, tasks: int, *, key: bool) -> None:
    columns = ["properties.order"] if key else []
    sink.reset()
    began = time.perf_counter()
    result = deliver(rows, WRITE_KEY, host=sink.url, key=columns)
    result.write.format("noop").mode("overwrite").save()
    seconds = time.perf_counter() - began
    tally = sink.tally()
    if tally["distinct_ids"] != ROWS:
        raise SystemExit(f"{tally['distinct_ids']} of {ROWS} rows arrived")
    size = tally["bytes"] / ROWS
    shown = "with a key" if key else "without"
    print(f"tasks: {tasks}, {shown}: {ROWS / seconds:,.0f} rows a second of {size:.0f} bytes")


if __name__ == "__main__":
    main()
