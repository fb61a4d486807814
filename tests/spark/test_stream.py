"""Streams: through the data source from Spark 4.1 on, and through `foreachBatch`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyspark
import pytest
from pyspark.errors import StreamingQueryException
from support.script import sequence_numbers
from support.secrets import tells

from segment_librato.spark import deliver

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.readwriter import DataStreamWriter

    from segment_librato.devserver import LocalSegment

VERSION = tuple(int(part) for part in pyspark.__version__.split(".")[:2])
needs_stream_writer = pytest.mark.skipif(VERSION < (4, 1), reason="came with Spark 4.1")

COUNT = 3_000


@pytest.fixture
def stream(spark: SparkSession, events: DataFrame, tmp_path: Path) -> DataFrame:
    """A stream of three micro-batches, each of a file of 1,000 rows."""
    folder = str(tmp_path / "rows")
    rows = events.limit(COUNT).repartition(3)
    rows.write.parquet(folder)
    reader = spark.readStream.schema(events.schema).option("maxFilesPerTrigger", 1)
    return reader.parquet(folder)


def writer(stream: DataFrame, server: LocalSegment, **options: Any) -> DataStreamWriter:
    from segment_librato.spark import SegmentDataSource

    stream.sparkSession.dataSource.register(SegmentDataSource)
    made = stream.writeStream.format("segment").trigger(availableNow=True)
    values = {"writeKey": "key-of-stream", "host": server.host, "key": "properties.n"}
    return made.options(**{"name": "stream", **values, **options})


@needs_stream_writer
def test_each_row_of_a_stream_arrives_once(
    stream: DataFrame, server: LocalSegment, tmp_path: Path, event_logs: Path, spark_log: Path
) -> None:
    options = {"name": "each-row", "checkpointLocation": str(tmp_path / "checkpoint")}
    query = writer(stream, server, **options).start()
    assert query.awaitTermination(200)
    assert len(sorted(sequence_numbers(server))) == COUNT
    assert server.duplicates == 0
    log = spark_log.read_text()
    counts = re.findall(r"import each-row, batch (\d): rows delivered: (\d+), rejected: 0", log)
    assert [batch for batch, _ in counts] == ["0", "1", "2"]
    assert sum(int(count) for _, count in counts) == COUNT
    files = [path for path in event_logs.rglob("*") if path.is_file()]
    kept = "".join(path.read_text(errors="replace") for path in files)
    progress = "".join(str(one) for one in query.recentProgress)
    assert not tells(log + kept + progress, "key-of-stream")


@needs_stream_writer
def test_a_micro_batch_that_failed_is_written_again_with_the_same_ids(
    stream: DataFrame, server: LocalSegment, tmp_path: Path, spark_log: Path
) -> None:
    options = {"checkpointLocation": str(tmp_path / "checkpoint"), "concurrency": "1"}
    refusal = server.respond(401, accept=True, times=None)
    query = writer(stream, server, **options).start()
    with pytest.raises(StreamingQueryException, match="answered 401; check `write_key`"):
        query.awaitTermination(200)
    assert "import stream, batch 0 failed: tasks that ended: 0 of 1" in spark_log.read_text()
    server.withdraw(refusal)
    query = writer(stream, server, **options).start()
    assert query.awaitTermination(200)
    assert len(sorted(sequence_numbers(server))) == COUNT
    assert server.duplicates >= 1_000


@needs_stream_writer
def test_an_output_mode_that_overwrites_is_refused(
    stream: DataFrame, server: LocalSegment, tmp_path: Path
) -> None:
    counts = stream.groupBy("userId").count()
    options = {"checkpointLocation": str(tmp_path / "checkpoint")}
    query = writer(counts, server, **options).outputMode("complete").start()
    with pytest.raises(StreamingQueryException, match="expected append"):
        query.awaitTermination(200)
    assert server.requests == []


def test_for_each_batch_has_a_table_of_outcomes(
    stream: DataFrame, server: LocalSegment, tmp_path: Path
) -> None:
    outcomes = str(tmp_path / "outcomes")

    def deliver_batch(batch: DataFrame, _: int) -> None:
        deliver(batch, "key", host=server.host).write.mode("append").parquet(outcomes)

    stream.writeStream.foreachBatch(deliver_batch).trigger(availableNow=True).option(
        "checkpointLocation", str(tmp_path / "checkpoint")
    ).start().awaitTermination(200)
    assert len(sorted(sequence_numbers(server))) == COUNT
    assert stream.sparkSession.read.parquet(outcomes).count() == COUNT
