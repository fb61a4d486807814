"""The data source as Spark uses it, without Spark: in this process."""

from __future__ import annotations

import logging
import sys
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyspark
import pytest

from segment_librato import ConfigError, ImportStoppedError, SegmentError
from segment_librato.log import log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.devserver import LocalSegment
    from segment_librato.devserver.http.exchange import Request
    from segment_librato.spark.job import Job

if pyspark.__version__ < "4":
    pytest.skip("data sources in Python came with Spark 4", allow_module_level=True)

from pyspark.sql import datasource
from pyspark.sql.types import StructType

from segment_librato.bulk.allowance import Allowance
from segment_librato.bulk.rules import RowRules
from segment_librato.spark import SegmentDataSource
from segment_librato.spark.frame import DeliverToSegment
from segment_librato.spark.options import read_options
from segment_librato.spark.task import Secret, Task
from segment_librato.spark.writers import TaskReport, Writer

ROWS = StructType().add("properties", StructType().add("n", "long"))
KEY = {"key": "properties.n"}
MAPPED_ID = '{"messageId": "id"}'


def source(server: LocalSegment | None = None, **options: Any) -> SegmentDataSource:
    host = server.host if server else "http://127.0.0.1:1"
    values = {"writeKey": "key", "host": host, "name": "orders", **KEY, **options}
    return SegmentDataSource(values)


def batches(count: int, size: int = 10) -> Iterator[pa.RecordBatch]:
    when = datetime(2025, 3, 1, tzinfo=timezone.utc)
    for start in range(0, count, size):
        rows = [
            {"userId": "u", "event": "E", "timestamp": when, "properties": {"n": start + number}}
            for number in range(size)
        ]
        yield pa.RecordBatch.from_pylist(rows)


def poison(server: LocalSegment, *bad: int) -> None:
    def is_poisoned(request: Request) -> bool:
        return any(message["properties"]["n"] in bad for message in request.messages)

    server.respond(400, body=b'{"message": "no: 7"}', times=None, when=is_poisoned)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "segment")
    return caplog


@pytest.fixture
def log_of_its_own(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """A log that nobody has set up, as in Spark's processes."""
    logger = logging.Logger("segment")  # noqa: LOG001  without the handlers of pytest
    monkeypatch.setattr(log, "logger", logger)
    return logger


def test_a_write_ends_with_its_report(
    server: LocalSegment, lines: pytest.LogCaptureFixture
) -> None:
    writer = source(server).writer(ROWS, overwrite=False)
    reports: list[Any] = [
        writer.write(batches(100)),
        writer.write(batches(50)),
        writer.write(iter(())),
    ]
    writer.commit(reports)
    assert lines.messages == ["import orders: rows delivered: 150, rejected: 0"]
    assert len(server.messages) == 100
    assert server.duplicates == 50  # rows of the same key are one


@pytest.mark.parametrize("method", ["writer", "streamWriter"])
def test_rows_that_nothing_tells_apart_are_refused(method: str) -> None:
    write = getattr(SegmentDataSource({"writeKey": "key"}), method)
    with pytest.raises(ConfigError, match=r"^key: expected the columns that identify a row, as "):
        write(StructType().add("userId", "string"), overwrite=False)


@pytest.mark.parametrize("method", ["writer", "streamWriter"])
def test_columns_must_be_there_and_once(method: str) -> None:
    write = getattr(SegmentDataSource({"writeKey": "key", **KEY}), method)
    with pytest.raises(ConfigError, match=r"^df: expected at least one column$"):
        write(StructType(), overwrite=False)
    with pytest.raises(ConfigError, match=r"^df: expected columns of different names; properties"):
        write(StructType([*ROWS.fields, *ROWS.fields]), overwrite=False)


@pytest.mark.parametrize("column, options", [("messageId", {}), ("id", {"mapping": MAPPED_ID})])
def test_rows_with_ids_need_no_key_and_those_without_are_rejected(
    server: LocalSegment, column: str, options: dict[str, str]
) -> None:
    values = {"writeKey": "key", "host": server.host, "now": "true", **options}
    ids = StructType().add(column, "string")
    writer = SegmentDataSource(values).writer(ids, overwrite=False)
    rows = [{column: one, "userId": "u", "event": "E"} for one in ("first", None, None)]
    report = writer.write(iter([pa.RecordBatch.from_pylist(rows)])).report
    assert [message["messageId"] for message in server.messages] == ["first"]
    assert report.reasons == {f"{column}: the row has no value for its key": 2}


def test_too_many_rejected_rows_are_an_error(
    server: LocalSegment, lines: pytest.LogCaptureFixture
) -> None:
    poison(server, 7, 8)
    writer = source(server).writer(ROWS, overwrite=False)
    reports: list[Any] = [writer.write(batches(100))]
    with pytest.raises(SegmentError) as caught:
        writer.commit(reports)
    assert str(caught.value) == (
        "rows rejected: 2 of 100, more than maxRejects=0; 2 for the server answered 400; "
        "the other rows of import orders were delivered"
    )
    writer.abort(reports)
    writer.abort([*reports, None])
    writer.abort([])
    first, all_ended, second, none_began = lines.messages
    assert first == "import orders: rows delivered: 98, rejected: 2; 2 for the server answered 400"
    assert second == (
        "import orders failed: tasks that ended: 1 of 2, rows delivered by them: 98; rows of the "
        "others may have arrived as well. Write all rows again, under the same name and within 24 "
        "hours: their ids are the same"
    )
    assert all_ended == (
        "import orders failed when all tasks had ended: rows delivered: 98, rejected: 2; only the "
        "rejected ones need to be written again, once they are corrected"
    )
    assert none_began.startswith("import orders failed: tasks that ended: 0 of 0, ")


def test_a_micro_batch_has_its_number_in_the_log(
    server: LocalSegment, lines: pytest.LogCaptureFixture
) -> None:
    writer = source(server, maxRejects="1%").streamWriter(ROWS, overwrite=False)
    poison(server, 7)
    reports: list[Any] = [writer.write(batches(100))]
    writer.commit(reports, 12)
    writer.abort([None], 13)
    first, second = lines.messages
    assert first.startswith("import orders, batch 12: rows delivered: 99, rejected: 1; 1 for ")
    assert second.startswith("import orders, batch 13 failed: tasks that ended: 0 of 1, ")


def test_rows_without_an_outcome_raise(server: LocalSegment) -> None:
    server.respond(401, times=None)
    writer = source(server).writer(ROWS, overwrite=False)
    with pytest.raises(ImportStoppedError, match="answered 401"):
        writer.write(batches(10))


def test_only_rows_that_may_be_rejected_may_be_so_all_together(
    server: LocalSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is hardly the fault of the rows."""
    monkeypatch.setattr("segment_librato.bulk.options.MAX_BATCH_MESSAGES", 100)
    poison(server, *range(100, 200))
    one_by_one = source(server, concurrency="1").writer(ROWS, overwrite=False)
    with pytest.raises(
        ImportStoppedError, match="answered 400 to the last 100 rows, each by itself"
    ):
        one_by_one.write(batches(200))
    options = {"concurrency": "1", "maxRejects": "50%"}
    writer = source(server, **options).writer(ROWS, overwrite=False)
    report = writer.write(batches(200)).report
    assert (report.delivered, report.rejected) == (100, 100)


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("gzip", "yes", "true or false"),
        ("now", "1", "true or false"),
        ("key", "", "columns with commas between them"),
        ("key", "a,", "columns with commas between them"),
        ("rate", "fast", "a number"),
        ("partitions", "2.5", "a whole number"),
        ("retryFor", "soon", "a number of seconds"),
        ("maxRejects", "nan", "a number, or a percentage such as 5%"),
        ("maxRejects", "-1", "a number, or a percentage such as 5%"),
        ("maxRejects", "inf%", "a number, or a percentage such as 5%"),
        ("maxRejects", "1_0", "a number, or a percentage such as 5%"),
        ("mapping", "[]", "a JSON object of targets to columns"),
        ("mapping", "{", "a JSON object of targets to columns"),
    ],
)
def test_a_wrong_text_is_an_error(name: str, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        source(None, **{name: text}).writer(ROWS, overwrite=False)
    assert str(caught.value) == f"{name}: expected {expected}"


def test_an_option_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ConfigError) as caught:
        source(maxReject="5").writer(ROWS, overwrite=False)
    assert str(caught.value).startswith(
        "maxReject: no such option; the options are writeKey, name, "
    )


def test_a_rate_needs_to_know_how_many_tasks_share_it() -> None:
    with pytest.raises(ConfigError) as caught:
        source(rate="5").writer(ROWS, overwrite=False)
    assert str(caught.value) == "partitions: expected how many tasks share the rate, got None"


def test_a_mapping_is_json(server: LocalSegment) -> None:
    mapping = '{"userId": "event", "properties.event": "event"}'
    schema = StructType([*ROWS]).add("event", "string")
    writer = source(server, mapping=mapping, event="E").writer(schema, overwrite=False)
    writer.write(batches(1, 1))
    (message,) = server.messages
    assert message["userId"] == "E"
    assert message["properties"] == {"n": 0, "event": "E", "userId": "u"}


def test_outcomes_come_with_the_columns_to_keep(server: LocalSegment) -> None:
    poison(server, 7)
    task = Task(Secret("key"), RowRules(), server.host)
    table: Any = SimpleNamespace(columns=["userId", "event", "timestamp", "properties"])
    (empty,) = batches(1, 1)
    with_empty = [empty.slice(1), *batches(20), empty.slice(1)]
    results = list(DeliverToSegment(task, table, ["properties"])(with_empty))
    rows = [row for result in results for row in result.to_pylist()]
    assert [row["properties"]["n"] for row in rows] == [*range(20)]
    assert rows[6] == {
        "properties": {"n": 6},
        "messageId": server.messages[6]["messageId"],
        "outcome": "delivered",
        "status": None,
        "reason": None,
    }
    assert (rows[7]["outcome"], rows[7]["status"], rows[7]["reason"]) == ("rejected", 400, "no: 7")
    assert rows[7]["messageId"]


def test_options_have_no_case_and_those_of_spark_do_no_harm() -> None:
    options = {"MAXRETRIES": "3", "key": "a, b", "checkpointLocation": "x", "path": "y"}
    job: Job = read_options(options, Secret("key"))
    assert (job.task.max_retries, job.task.rules.key) == (3, ["a", "b"])
    assert job.max_rejects == Allowance()


def test_only_appending_is_possible() -> None:
    with pytest.raises(ConfigError, match="mode: expected append"):
        source().writer(ROWS, overwrite=True)
    with pytest.raises(ConfigError, match="mode: expected append"):
        source().streamWriter(ROWS, overwrite=True)


def test_a_key_of_the_source_comes_before_the_option(server: LocalSegment) -> None:
    with_key = SegmentDataSource.with_write_key("its-own")
    assert with_key.name() == "segment"
    writer = with_key({"writeKey": "another", "host": server.host, **KEY}).writer(
        ROWS, overwrite=False
    )
    assert isinstance(writer.write(batches(10)), TaskReport)
    assert server.requests[0].write_key == "its-own"


def test_an_import_that_fails_is_not_taken_for_an_older_spark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "segment_librato.spark.stream", None)
    with pytest.raises(ImportError, match="stream"):
        source().streamWriter(ROWS, overwrite=False)


def test_an_older_spark_has_no_stream_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(datasource, "DataSourceStreamArrowWriter")
    monkeypatch.delitem(sys.modules, "segment_librato.spark.stream", raising=False)
    with pytest.raises(ConfigError, match="use foreachBatch"):
        source().streamWriter(ROWS, overwrite=False)


def test_where_nobody_set_up_logging_the_log_is_on_stderr(
    server: LocalSegment, log_of_its_own: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    writer: Writer = source(server).writer(ROWS, overwrite=False)
    report = writer.write(batches(10))
    for _ in range(2):
        writer.commit([report])
    line = "import orders: rows delivered: 10, rejected: 0\n"
    assert capsys.readouterr().err == 2 * line
    assert len(log_of_its_own.handlers) == 1
