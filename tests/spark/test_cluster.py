"""A cluster of two machines, both of them this one: what `local[...]` cannot do.

Its executors find the write key in their environment. Spark runs no task twice at once on one
machine, so each has an address of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pyspark
import pytest
from support.script import sequence_numbers

import segment_librato
from segment_librato.devserver import LocalSegment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.devserver.http.exchange import Request

if pyspark.__version__ < "4":
    pytest.skip("one version of Spark is enough", allow_module_level=True)

KEY = "key-of-the-cluster"
COUNT = 20_000
QUICKLY = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
SPARK_CLASS = Path(pyspark.__file__).parent / "bin/spark-class"
MASTER, WORKER = (f"org.apache.spark.deploy.{name}" for name in ("master.Master", "worker.Worker"))

# A process has either a Spark of its own or a connection to one.
SCRIPT = """
import json, os, signal, sys, threading, time
from pyspark import TaskContext
from pyspark.sql import SparkSession
from segment_librato.spark import deliver

master, options, slow, lost, copied, halfway = sys.argv[1:]
builder = SparkSession.builder.master(master).config(map={
    "spark.driver.extraJavaOptions": options,
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "512m",
    "spark.executor.extraJavaOptions": options,
    "spark.executor.memory": "512m",
    "spark.speculation": "true",
    "spark.speculation.interval": "100ms",
    "spark.speculation.multiplier": "1.1",
    "spark.speculation.quantile": "0.5",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "500",
    "spark.ui.enabled": "false",
})
spark = builder.getOrCreate()
df = spark.range(0, 20_000, 1, 4).selectExpr(
    "'u' userId", "'E' event", "current_timestamp() timestamp", "named_struct('n', id) properties"
)

def note_copies(batches):
    if TaskContext.get().attemptNumber():
        open(copied, "w").close()
    yield from batches

def key_of_a_lost_executor():
    def die():
        while not os.path.exists(halfway):
            time.sleep(0.01)
        with open(f"/proc/{os.getppid()}/stat") as file:  # of Spark's daemon
            executor = int(file.read().split()[3])
        os.kill(executor, signal.SIGKILL)

    context = TaskContext.get()
    if (context.partitionId(), context.attemptNumber()) == (2, 0):
        threading.Thread(target=die, daemon=True).start()
    return os.environ["SEGMENT_WRITE_KEY"]

noted = df.mapInArrow(note_copies, df.schema)
results = [
    deliver(noted, host=slow, key=["properties.n"]).collect(),
    deliver(df, key_of_a_lost_executor, host=lost, key=["properties.n"]).collect(),
]
print(json.dumps([[len(rows), sorted({row.outcome for row in rows})] for rows in results]))
spark.stop()
"""


@pytest.fixture
def master(tmp_path: Path) -> Iterator[str]:
    """A cluster with two executors of one core each; its address."""
    with ExitStack() as processes:

        def start(name: str, host: str, *arguments: str) -> Path:
            log = tmp_path / f"{host}-{name}"
            environment = {
                **os.environ,
                "PYTHONPATH": str(Path(segment_librato.__file__).parents[1]),
                "SEGMENT_WRITE_KEY": KEY,
                "SPARK_DAEMON_JAVA_OPTS": QUICKLY,
                "SPARK_DAEMON_MEMORY": "256m",
                "SPARK_LOCAL_IP": host,
                "SPARK_WORKER_DIR": str(tmp_path / "work"),
            }
            command = [str(SPARK_CLASS), name, "--host", host, "--webui-port", "0", *arguments]
            with log.open("wb") as file:
                process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)  # noqa: S603  of Spark
            processes.callback(process.wait)
            processes.callback(process.terminate)
            return log

        log = start(MASTER, "127.0.0.1", "--port", "0")
        while not (found := re.search(r"spark://127\.0\.0\.1:\d+", log.read_text())):
            time.sleep(0.1)
        for host in ("127.0.0.2", "127.0.0.3"):
            start(WORKER, host, "--cores", "1", "--memory", "1g", found[0])
        yield found[0]


def has(first: int, last: int, request: Request) -> bool:
    return any(first <= message["properties"]["n"] < last for message in request.messages)


@pytest.mark.timeout(400)
def test_each_row_arrives_once_from_tasks_run_twice_at_once_and_lost_executors(
    master: str, tmp_path: Path
) -> None:
    copied, halfway = tmp_path / "copied", tmp_path / "halfway"

    def is_slow(request: Request) -> bool:
        """Have the last task wait until it has a copy."""
        return has(15_000, 20_000, request) and not copied.exists()

    def notice(request: Request, _: object) -> None:
        if has(13_000, 15_000, request):
            halfway.touch()

    with LocalSegment() as slow, LocalSegment(on_request=notice) as lost:
        slow.respond(200, delay=60, times=None, when=is_slow)
        lost.respond(200, delay=60, when=lambda request: has(13_000, 15_000, request))
        command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
        arguments = [master, QUICKLY, slow.host, lost.host, str(copied), str(halfway)]
        done = subprocess.run(  # noqa: S603  our own script
            [*command, *arguments], capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1]) == 2 * [[COUNT, ["delivered"]]]
        for server in (slow, lost):
            numbers = sorted(sequence_numbers(server))
            assert numbers == [*range(COUNT)]
            assert server.duplicates > 0
            assert {request.write_key for request in server.requests} == {KEY}
    assert copied.exists()
    assert "ExecutorLostFailure" in done.stderr
