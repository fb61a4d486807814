"""The data source of Spark 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyspark
import pytest

from segment_librato.spark import deliver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa
    from pyspark.sql import DataFrame, DataFrameWriter, SparkSession

    from segment_librato.devserver import LocalSegment
    from segment_librato.devserver.http.exchange import Request

if pyspark.__version__ < "4":
    pytest.skip("data sources in Python came with Spark 4", allow_module_level=True)

from pyspark import TaskContext
from pyspark.errors import PySparkException
from support.script import sequence_numbers
from support.secrets import tells

from segment_librato.spark import SegmentDataSource

KEY = "write-key"


@pytest.fixture(autouse=True)
def registered(spark: SparkSession) -> None:
    spark.dataSource.register(SegmentDataSource)


def writer(df: DataFrame, server: LocalSegment, **options: Any) -> DataFrameWriter:
    values = {"writeKey": KEY, "host": server.host, "key": "properties.n", **options}
    return df.write.format("segment").options(**values).mode("append")


def test_a_write_delivers_each_row_once(
    events: DataFrame, server: LocalSegment, spark_log: Path
) -> None:
    writer(events, server, name="orders").save()
    assert sorted(sequence_numbers(server)) == [*range(20_000)]
    assert {request.write_key for request in server.requests} == {KEY}
    assert "import orders: rows delivered: 20000, rejected: 0\n" in spark_log.read_text()


def test_the_same_write_twice_has_the_same_ids(events: DataFrame, server: LocalSegment) -> None:
    writer(events, server).save()
    writer(events.repartition(3), server).save()
    deliver(events, KEY, host=server.host, key=["properties.n"]).collect()
    assert sorted(sequence_numbers(server)) == [*range(20_000)]
    assert server.duplicates == 40_000
    writer(events, server, name="another").save()
    assert len(server.messages) == 40_000


def test_a_task_that_fails_is_run_again(events: DataFrame, server: LocalSegment) -> None:
    def pass_on(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(batches):
            context = TaskContext.get()
            assert context
            if (context.partitionId(), context.attemptNumber(), number) == (2, 0, 5):
                raise OSError("the disk is broken")
            yield batch

    writer(events.mapInArrow(pass_on, events.schema), server).save()
    assert sorted(sequence_numbers(server)) == [*range(20_000)]


def reject_some(server: LocalSegment) -> None:
    def is_poisoned(request: Request) -> bool:
        return any(message["properties"]["n"] % 10_000 == 7 for message in request.messages)

    body = b'{"message": "no such number: 7"}'
    server.respond(400, body=body, times=None, when=is_poisoned)


def test_a_rejected_row_fails_the_job_when_the_others_are_delivered(
    events: DataFrame, server: LocalSegment, spark_log: Path
) -> None:
    reject_some(server)
    with pytest.raises(PySparkException) as caught:
        writer(events, server, name="some-rejected").save()
    text = "rows rejected: 2 of 20000, more than maxRejects=0; 2 for the server answered 400"
    assert text in str(caught.value)
    assert len(server.messages) == 19_998
    logged = spark_log.read_text()
    assert "import some-rejected: rows delivered: 19998, rejected: 2; 2 for the server" in logged
    assert "import some-rejected failed when all tasks had ended: rows delivered: 19998" in logged
    assert "no such number" not in logged


@pytest.mark.parametrize("allowed", ["2", "0.01%"])
def test_so_many_rows_may_be_rejected(
    events: DataFrame, server: LocalSegment, allowed: str
) -> None:
    reject_some(server)
    writer(events, server, maxRejects=allowed).save()
    assert len(server.messages) == 19_998


def test_an_aborted_write_says_what_may_have_arrived(
    events: DataFrame, server: LocalSegment, spark_log: Path
) -> None:
    def is_last(request: Request) -> bool:
        return any(message["properties"]["n"] >= 15_000 for message in request.messages)

    server.respond(401, times=None, when=is_last)
    with pytest.raises(PySparkException, match="answered 401; check `write_key`"):
        writer(events, server, name="aborted", concurrency=1).save()
    text = "import aborted failed: tasks that ended: 3 of 4, rows delivered by them: 15000; "
    assert text in spark_log.read_text()


def test_the_rate_is_divided_by_the_partitions(events: DataFrame, server: LocalSegment) -> None:
    writer(events.limit(2_000).repartition(4), server, rate=2_000, partitions=4).save()
    assert len(server.messages) == 2_000
    assert max(request.batch_size for request in server.requests) == 500


@pytest.mark.parametrize(
    "options, problem",
    [
        ({"rat": "5"}, "rat: no such option; the options are writeKey, name, "),
        ({"gzip": "perhaps"}, "gzip: expected true or false"),
        ({"rate": "5"}, "partitions: expected how many tasks share the rate, got None"),
        ({"maxRejects": "-1"}, "maxRejects: expected a number, or a percentage such as 5%"),
        ({"key": ""}, "key: expected columns with commas between them"),
        ({"mapping": "userId=user"}, "mapping: expected a JSON object of targets to columns"),
    ],
)
def test_a_wrong_option_fails_before_anything_is_sent(
    events: DataFrame, server: LocalSegment, options: dict[str, str], problem: str
) -> None:
    with pytest.raises(PySparkException) as caught:
        writer(events, server, **options).save()
    assert problem in str(caught.value)
    assert server.requests == []


def test_all_options_reach_the_tasks(spark: SparkSession, server: LocalSegment) -> None:
    row = spark.sql("select 'u' customer, 5 amount, 'a' x")
    options = {
        "type": "track",
        "event": "Order Completed",
        "mapping": '{"userId": "customer", "properties.value": "amount"}',
        "key": "customer, amount",
        "now": "TRUE",
        "gzip": "true",
        "maxRetries": "1",
        "retryFor": "60",
    }
    writer(row, server, **options).save()
    (message,) = server.messages
    assert message["event"] == "Order Completed"
    assert message["properties"] == {"value": 5, "x": "a"}
    assert server.requests[0].headers["Content-Encoding"] == "gzip"


def test_nothing_can_be_overwritten(events: DataFrame, server: LocalSegment) -> None:
    with pytest.raises(PySparkException, match="mode: expected append"):
        writer(events, server).mode("overwrite").save()


def test_a_source_may_have_the_key(
    spark: SparkSession, events: DataFrame, server: LocalSegment
) -> None:
    spark.dataSource.register(SegmentDataSource.with_write_key(lambda: "key-from-a-vault"))
    options = {"host": server.host, "key": "properties.n"}
    events.write.format("segment").options(**options).mode("append").save()
    assert {request.write_key for request in server.requests} == {"key-from-a-vault"}


def test_no_event_log_tells_the_key(
    events: DataFrame, server: LocalSegment, event_logs: Path, spark_log: Path
) -> None:
    writer(events, server, writeKey="key-to-be-kept", name="kept").save()
    assert {request.write_key for request in server.requests} == {"key-to-be-kept"}
    files = [path for path in event_logs.rglob("*") if path.is_file()]
    written = "".join(path.read_text(errors="replace") for path in files)
    assert "SparkListenerSQLExecutionStart" in written
    assert not tells(written + spark_log.read_text(), "key-to-be-kept")
