from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from pyspark import TaskContext
from pyspark.errors import PySparkException
from pyspark.sql import functions
from support.script import sequence_numbers
from support.secrets import tells

from segment_librato import ConfigError
from segment_librato.devserver import LocalSegment
from segment_librato.spark import deliver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from segment_librato.devserver.http.exchange import Request

MANY = 200_000
DELIVERED = ("delivered", None, None)


def counts(result: DataFrame) -> dict[tuple[Any, ...], int]:
    rows = result.groupBy("outcome", "status", "reason").count().collect()
    return {tuple(row)[:-1]: row["count"] for row in rows}


def test_each_of_many_rows_arrives_once(
    make_events: Callable[[int], DataFrame], server: LocalSegment
) -> None:
    assert counts(deliver(make_events(MANY), "key", host=server.host)) == {DELIVERED: MANY}
    assert sorted(sequence_numbers(server)) == [*range(MANY)]
    assert server.duplicates == 0


def test_each_row_has_its_outcome(events: DataFrame, server: LocalSegment) -> None:
    is_bad = functions.col("properties.n") % 1_000 == 7
    when = functions.when(~is_bad, functions.col("timestamp"))
    events = events.withColumn("timestamp", when)
    rows = deliver(events, "key", host=server.host, keep=["properties"]).collect()
    assert len(rows) == 20_000
    ids = {message["messageId"]: message["properties"]["n"] for message in server.messages}
    for row in rows:
        if row.properties.n % 1_000 == 7:
            assert (row.messageId, row.outcome, row.status) == (None, "rejected", None)
            assert row.reason == "timestamp: missing; --now (now=True) uses the current time"
        else:
            assert tuple(row)[2:] == DELIVERED
            assert ids.pop(row.messageId) == row.properties.n
    assert not ids


def test_the_same_rows_in_other_partitions_have_the_same_ids(
    events: DataFrame, server: LocalSegment
) -> None:
    assert counts(deliver(events, "key", host=server.host)) == {DELIVERED: 20_000}
    spread = events.repartition(7, "userId").sortWithinPartitions("timestamp", ascending=False)
    assert counts(deliver(spread, "key", host=server.host)) == {DELIVERED: 20_000}
    assert sorted(sequence_numbers(server)) == [*range(20_000)]
    assert server.duplicates == 20_000


@pytest.mark.parametrize("tags", ["map('k', 'v')", "'v'"])
def test_equal_rows_have_different_ids_wherever_they_are(
    spark: SparkSession, server: LocalSegment, tags: str
) -> None:
    values = ["'u' userId", "'E' event", "timestamp'2025-03-01 10:00:00' timestamp", f"{tags} tags"]
    rows = spark.range(0, 60, 1, 6).selectExpr("named_struct('n', id % 20) properties", *values)
    for partitions in (6, 3):
        result = deliver(rows.coalesce(partitions), "key", host=server.host, mapping={})
        assert counts(result) == {DELIVERED: 60}
        assert sorted(sequence_numbers(server)) == sorted([*range(20)] * 3)


def test_rows_that_differ_only_in_the_order_of_json_are_equal(
    spark: SparkSession, server: LocalSegment
) -> None:
    rows = spark.range(0, 60, 1, 6).selectExpr(
        "'u' userId",
        "'E' event",
        "timestamp'2025-03-01 10:00:00' timestamp",
        """if(id % 2 = 0, '{"n": 1, "m": 2}', '{"m": 2, "n": 1}') properties""",
    )
    deliver(rows, "key", host=server.host, partitions=6).collect()
    assert len(server.messages) == 60


def test_rows_with_ids_are_not_shuffled(events: DataFrame, server: LocalSegment) -> None:
    events = events.selectExpr("uuid() messageId", "*")
    assert deliver(events, "key").rdd.getNumPartitions() == 4
    renamed = events.withColumnRenamed("messageId", "id")
    mapping = {"messageId": "id"}
    assert deliver(renamed, "key", mapping=mapping).rdd.getNumPartitions() == 4


def test_equal_rows_of_which_only_some_have_ids_have_different_ids(
    spark: SparkSession, server: LocalSegment
) -> None:
    rows = spark.range(0, 60, 1, 6).selectExpr(
        "if(id % 2 = 0, concat('id-', id), null) messageId",
        "'u' userId",
        "'E' event",
        "timestamp'2025-03-01 10:00:00' timestamp",
    )
    assert counts(deliver(rows, "key", host=server.host)) == {DELIVERED: 60}
    assert len(server.messages) == 60


def test_an_exception_in_a_task_costs_no_row(events: DataFrame, server: LocalSegment) -> None:
    def pass_on(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(batches):
            context = TaskContext.get()
            assert context
            if (context.partitionId(), context.attemptNumber(), number) == (2, 0, 5):
                raise OSError("the disk is broken")
            yield batch

    failing = events.mapInArrow(pass_on, events.schema)
    result = deliver(failing, "key", host=server.host, key=["properties.n"])
    assert counts(result) == {DELIVERED: 20_000}
    assert sorted(sequence_numbers(server)) == [*range(20_000)]


def test_a_task_that_dies_halfway_costs_no_row(events: DataFrame, tmp_path: Path) -> None:
    is_halfway = tmp_path / "halfway"

    def key() -> str:
        """Have the first process that delivers the third partition die, later."""

        def die() -> None:
            while not is_halfway.exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)

        context = TaskContext.get()
        assert context
        if (context.partitionId(), context.attemptNumber()) == (2, 0):
            threading.Thread(target=die, daemon=True).start()
        return "key"

    def is_of_second_half(request: Request) -> bool:
        return any(13_000 <= message["properties"]["n"] < 15_000 for message in request.messages)

    def notice(request: Request, _: object) -> None:
        if is_of_second_half(request):
            is_halfway.touch()

    with LocalSegment(on_request=notice) as server:
        server.respond(200, delay=60, when=is_of_second_half)
        result = deliver(events, key, host=server.host, key=["properties.n"])
        assert counts(result) == {DELIVERED: 20_000}
        assert sorted(sequence_numbers(server)) == [*range(20_000)]
        assert server.duplicates > 0


def test_a_storm_of_429_costs_no_row(events: DataFrame, server: LocalSegment) -> None:
    server.respond(429, headers={"Retry-After": "1"}, times=12)
    assert counts(deliver(events, "key", host=server.host)) == {DELIVERED: 20_000}
    assert sorted(sequence_numbers(server)) == [*range(20_000)]
    assert server.duplicates == 0


def test_a_row_that_the_server_rejects_costs_only_itself(
    events: DataFrame, server: LocalSegment
) -> None:
    def is_poisoned(request: Request) -> bool:
        return any(message["properties"]["n"] == 7_777 for message in request.messages)

    body = b'{"code": "invalid", "message": "no such number"}'
    server.respond(400, body=body, times=None, when=is_poisoned)
    result = deliver(events, "key", host=server.host)
    assert counts(result) == {DELIVERED: 19_999, ("rejected", 400, "no such number"): 1}
    assert sorted(sequence_numbers(server)) == [n for n in range(20_000) if n != 7_777]
    assert server.duplicates == 0


def test_rows_that_can_be_neither_delivered_nor_rejected_fail_the_job(
    events: DataFrame, server: LocalSegment
) -> None:
    server.respond(401, times=None)
    result = deliver(events.coalesce(1), "key-to-be-kept", host=server.host)
    with pytest.raises(PySparkException) as caught:
        result.collect()
    text = str(caught.value)
    assert "answered 401; check `write_key`; rows without an outcome: " in text
    assert not tells(text, "key-to-be-kept")
    assert len(server.requests) >= 4  # tasks


def test_the_rate_is_that_of_all_tasks(
    make_events: Callable[[int], DataFrame], server: LocalSegment
) -> None:
    result = deliver(make_events(3_000), "key", host=server.host, rate=1_000, partitions=3)
    assert counts(result) == {DELIVERED: 3_000}
    assert len({request.client_address for request in server.requests}) >= 3
    assert max(request.batch_size for request in server.requests) <= 334
    start = server.requests[0].received_at
    for request in server.requests:
        before = [one for one in server.requests if one.received_at < request.received_at]
        most = 1_000 + 1_000 * (request.received_at - start)  # the first took a second each
        assert sum(one.batch_size for one in before) <= most


def test_by_default_each_core_has_a_share_of_the_rate(
    events: DataFrame, server: LocalSegment
) -> None:
    assert deliver(events, "key", rate=1_000).rdd.getNumPartitions() == 2
    assert deliver(events, "key", key=["properties.n"]).rdd.getNumPartitions() == 4
    assert server.requests == []


def test_a_connection_does_not_tell_the_cores() -> None:
    connected: Any = type("DataFrame", (), {"__module__": "pyspark.sql.connect.dataframe"})()
    with pytest.raises(ConfigError, match="partitions: expected how many tasks share the rate"):
        deliver(connected, "key", rate=1_000)


def test_a_table_without_rows_sends_nothing(events: DataFrame) -> None:
    result = deliver(events.limit(0), lambda: "", host="http://127.0.0.1:1")
    assert result.collect() == []


@pytest.mark.parametrize(
    "options, problem",
    [
        ({"write_key": ""}, "write_key: expected the write key of a source, a function"),
        ({"write_key": 5}, "write_key: expected the write key of a source, a function"),
        ({"name": 5}, "name: "),
        ({"host": 5}, "host: "),
        ({"rate": 0}, "rate: "),
        ({"rate": "fast"}, "rate: "),
        ({"partitions": 0}, "partitions: expected at least 1, got 0"),
        ({"concurrency": 17}, "concurrency: "),
        ({"key": "n"}, "key: "),
        ({"mapping": {"nowhere": "n"}}, "mapping: "),
        (
            {"mapping": {"properties.value": "amout"}},
            "mapping: expected columns of the DataFrame; it has no amout",
        ),
        ({"keep": "userId"}, "keep: expected a list of columns of the DataFrame, got 'userId'"),
        ({"keep": ["n"]}, "keep: expected a list of columns of the DataFrame, got ['n']"),
        ({"retry_for": -1}, "retry_for: "),
    ],
)
def test_a_wrong_option_is_told_at_once(
    events: DataFrame, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        deliver(events, **{"write_key": "key", **options})
    assert str(caught.value).startswith(problem)


def test_a_column_of_the_result_cannot_be_kept_as_well(events: DataFrame) -> None:
    with pytest.raises(ConfigError, match="keep: the result has a column Status of its own"):
        deliver(events.withColumn("Status", functions.lit(1)), "key", keep=["Status"])
