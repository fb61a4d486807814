"""Spark Connect: a client without Java, and a server that runs the tasks."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pyspark
import pytest
from support.secrets import tells

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

if pyspark.__version__ < "4":
    pytest.skip("the package of Spark 3.5 has no server for it", allow_module_level=True)

KEY = "key-of-connect"

# A process has either a Spark of its own or a connection to one.
SCRIPT = """
import json, os, sys
os.environ["PYSPARK_PYTHON"] = sys.executable
from pyspark.sql import SparkSession
from segment_librato import ConfigError
from segment_librato.spark import SegmentDataSource, deliver

host, key, events = sys.argv[1:]
builder = SparkSession.builder.remote("local[2]").config(map={
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.driver.memory": "1g",
    "spark.eventLog.compress": "false",
    "spark.eventLog.dir": events,
    "spark.eventLog.enabled": "true",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.enabled": "false",
})
spark = builder.getOrCreate()
df = spark.range(0, 2_000, 1, 4).selectExpr(
    "'u' userId", "'E' event", "current_timestamp() timestamp", "named_struct('n', id) properties"
)
assert "connect" in type(df).__module__
result = deliver(df, lambda: key, host=host, key=["properties.n"], keep=["properties"])
rows = result.collect()
try:
    deliver(df, key, rate=100)
except ConfigError as error:
    problem = str(error)
deliver(df, key, host=host, name="two", rate=10_000, partitions=2).collect()
spark.dataSource.register(SegmentDataSource.with_write_key(key))
writer = df.write.format("segment").options(host=host, name="three", key="properties.n")
writer.mode("append").save()
print(json.dumps([len(rows), sorted({row.outcome for row in rows}), problem]))
spark.stop()
"""


def test_everything_works_over_a_connection(server: LocalSegment, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    arguments = [server.host, KEY, tmp_path.as_uri()]
    done = subprocess.run(  # noqa: S603  our own script
        [*command, *arguments], capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr
    count, outcomes, problem = json.loads(done.stdout.splitlines()[-1])
    assert (count, outcomes) == (2_000, ["delivered"])
    expected = "expected how many tasks share the rate; Spark Connect does not tell the cores"
    assert problem == f"partitions: {expected}"
    assert {request.write_key for request in server.requests} == {KEY}
    assert len(server.messages) == 6_000
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    written = "".join(path.read_text(errors="replace") for path in files)
    assert "SparkListenerConnectOperationStarted" in written
    assert not tells(written + done.stderr, KEY)
