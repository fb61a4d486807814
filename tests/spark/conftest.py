"""A Spark on this machine, a local Segment, and rows for them.

A task may fail three times before its job does. What a test has Spark run in tasks is written as
lambdas and nested functions: these are pickled as they are, while Spark's processes could not
import a module of tests.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import SparkSession

from segment_librato.devserver import LocalSegment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pyspark.sql import DataFrame

os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ.pop("COVERAGE_PROCESS_CONFIG", None)  # Spark kills its processes of Python
os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"

SETTINGS: dict[str, Any] = {
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # for short jobs
    "spark.driver.memory": "1g",
    "spark.eventLog.compress": "false",
    "spark.eventLog.enabled": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "500",
    "spark.sql.session.timeZone": "America/New_York",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.port": "0",
    "spark.ui.showConsoleProgress": "false",
}


@pytest.fixture(scope="session")
def event_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("events")


@pytest.fixture(scope="session")
def spark_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Java and the processes of Python that it starts write to stderr."""
    return tmp_path_factory.mktemp("log") / "stderr"


@pytest.fixture(scope="session")
def spark(
    event_logs: Path, spark_log: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SparkSession]:
    folders = {
        "spark.eventLog.dir": event_logs.as_uri(),
        "spark.sql.warehouse.dir": tmp_path_factory.mktemp("warehouse").as_uri(),
    }
    builder = SparkSession.builder.master("local[2,4]").config(map=SETTINGS).config(map=folders)
    with spark_log.open("wb") as file, stderr_to(file.fileno()):
        session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@contextmanager
def stderr_to(file: int) -> Iterator[None]:
    former = os.dup(2)
    os.dup2(file, 2)
    try:
        yield
    finally:
        os.dup2(former, 2)
        os.close(former)


@pytest.fixture
def server() -> Iterator[LocalSegment]:
    with LocalSegment() as made:
        yield made


@pytest.fixture
def make_events(spark: SparkSession) -> Callable[[int], DataFrame]:
    """Make rows in 4 partitions, each a message without an id."""

    def make(count: int) -> DataFrame:
        return spark.range(0, count, 1, 4).selectExpr(
            "concat('user-', id % 100) userId",
            "'Order Completed' event",
            "timestamp'2025-03-01 10:00:00' + make_dt_interval(0, 0, 0, id) timestamp",
            "named_struct('n', id) properties",
        )

    return make


@pytest.fixture
def events(make_events: Callable[[int], DataFrame]) -> DataFrame:
    return make_events(20_000)
