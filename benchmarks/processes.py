"""One measurement in a process of its own, started and read from here.

Must not know of rounds or targets.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.measures.task import Reading
    from benchmarks.sink import Sink

__all__ = ["MeasurementError", "Order", "run_python"]

LIMIT_SECONDS = 180


class MeasurementError(Exception):
    """A process ended without a reading; the text is the last line it wrote."""


@dataclass(frozen=True)
class Order:
    """Which measure a worker takes of which subject.

    Args:
        subject: the name of a subject.
        measure: the name of a measure.
        parameters: what the measure is called with.
        sink: where the subject sends.
        exits: whether the interpreter exits as it does for its users, or just stops.
    """

    subject: str
    measure: str
    parameters: dict[str, float]
    sink: Sink
    exits: bool = False

    def carry_out(self) -> Reading:
        """Run the worker; add to its reading how many seconds it took to end.

        Raises:
            MeasurementError: there is no reading.
        """
        # Imported here, because the processes that are measured import this module, too.
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as folder:  # for a spool; nothing of it stays
            command = ("-m", "benchmarks.worker", json.dumps(vars(self)))
            output = run_python(*command, TMPDIR=folder)
            ended = time.monotonic()  # one clock for all processes
        reading: Reading = json.loads(output)
        reading["exit_ms"] = (ended - reading.pop("left_at")) * 1e3
        return reading


def run_python(*arguments: str, **environment: str) -> str:
    """Run an interpreter like this one; return the last line that it prints.

    Raises:
        MeasurementError: it failed, was silent, or took too long.
    """
    try:
        process = subprocess.run(
            [sys.executable, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            env={**os.environ, "PYTHONHASHSEED": "0", **environment},
        )
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"no result after {LIMIT_SECONDS} seconds") from None
    lines = process.stdout.splitlines()
    if process.returncode or not lines:
        last_words = process.stderr.splitlines()[-1:] or ["no result"]
        raise MeasurementError(last_words[0])
    return lines[-1]
