"""One measurement of one subject, in a process of its own.

    python -m benchmarks.worker '{"subject": "floor", "measure": "cpu", "parameters": {...}, ...}'

Prints the reading as JSON. Must not know of rounds, of other subjects or of targets.
"""

from __future__ import annotations

import json
import os
import sys
import time

from benchmarks.measures import MEASURES
from benchmarks.measures.task import Task
from benchmarks.sink import Sink
from benchmarks.subjects import BARE, SUBJECTS

__all__ = ["main"]


def main(argument: str) -> None:
    """Measure, and print the reading."""
    order = json.loads(argument)
    subject = {**SUBJECTS, BARE.name: BARE}[order["subject"]]
    subject.prepare()
    task = Task(subject, Sink(*order["sink"]))
    reading = MEASURES[order["measure"]](task, **order["parameters"])
    print(json.dumps({**reading, "left_at": time.monotonic()}), flush=True)
    if not order["exits"]:
        os._exit(0)  # what the interpreter does at its exit is another measure


if __name__ == "__main__":
    main(sys.argv[1])
