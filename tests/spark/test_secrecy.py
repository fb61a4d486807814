"""Nothing that Spark shows or keeps tells the write key."""

from __future__ import annotations

import pickle
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
import requests
from support.secrets import tells

from segment_librato import ConfigError
from segment_librato.bulk.rules import RowRules
from segment_librato.spark import deliver
from segment_librato.spark.task import Secret, Task

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from segment_librato.devserver import LocalSegment

KEY = "write-key-to-be-kept"


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(4))
def test_an_encoded_key_would_be_seen(before: int, after: int) -> None:
    data = b"\xff" * before + KEY.encode() + b"\xff" * after
    assert tells(data.decode("latin-1"), KEY)
    assert tells(data.hex(), KEY)
    assert tells(b64encode(data).decode(), KEY)
    assert not tells(b64encode(data[:-6]).decode(), KEY)


PAGES = (
    "jobs/",
    "stages/",
    "environment/",
    "SQL/",
    "api/v1/applications/{id}/environment",
    "api/v1/applications/{id}/sql?planDescription=true&length=1000",
    "api/v1/applications/{id}/stages?details=true",
)


def pages(spark: SparkSession) -> str:
    """Return what the UI shows."""
    context = spark.sparkContext
    urls = [f"{context.uiWebUrl}/{page}".format(id=context.applicationId) for page in PAGES]
    with requests.Session() as session:
        session.trust_env = False
        responses = [session.get(url, timeout=60) for url in urls]
    assert {response.status_code for response in responses} == {200}
    return "".join(response.text for response in responses)


def test_no_plan_no_event_log_and_no_page_tells_it(
    spark: SparkSession,
    events: DataFrame,
    server: LocalSegment,
    event_logs: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    result = deliver(events, KEY, host=server.host, name="kept-secret")
    result.explain(mode="extended")
    result.explain(mode="formatted")
    result.collect()
    assert {request.write_key for request in server.requests} == {KEY}
    shown, logged = capfd.readouterr()
    assert "DeliverToSegment" in shown
    files = [path for path in event_logs.rglob("*") if path.is_file()]
    written = "".join(path.read_text(errors="replace") for path in files)
    on_pages = pages(spark)
    assert "DeliverToSegment" in written
    assert "DeliverToSegment" in on_pages
    assert not tells(shown + logged + written + on_pages, KEY)


def test_a_task_does_not_show_it() -> None:
    task = Task(Secret(KEY), RowRules())
    assert not tells(f"{task!r} {task.secret}", KEY)
    assert pickle.loads(pickle.dumps(task)).secret.read() == KEY  # noqa: S301  our own


def test_each_task_reads_it_where_it_runs(
    events: DataFrame, server: LocalSegment, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    result = deliver(events, file.read_text, host=server.host)
    file.write_text("another-key")
    result.collect()
    assert {request.write_key for request in server.requests} == {"another-key"}


def test_without_a_key_the_environment_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENT_WRITE_KEY", KEY)
    assert Secret(None).read() == KEY
    monkeypatch.delenv("SEGMENT_WRITE_KEY")
    with pytest.raises(ConfigError, match="write_key: SEGMENT_WRITE_KEY is not set on this exec"):
        Secret(None).read()
    with pytest.raises(ConfigError, match="write_key: the function that you passed returned none"):
        Secret(lambda: "").read()
