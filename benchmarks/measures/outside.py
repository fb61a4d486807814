"""What can only be measured from outside of a process: its start and its end."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.processes import Order, run_python
from benchmarks.subjects import BARE

if TYPE_CHECKING:
    from benchmarks.measures.task import Reading, Task

__all__ = ["exits", "imports"]

REPETITIONS = 3

# Before it there is nothing in the process that a library may need, but for sys and time.
PROBE = """
import sys, time
def resident():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
if {hides_orjson}:
    sys.modules["orjson"] = None
before = resident()
began = time.perf_counter()
{imports}
milliseconds = (time.perf_counter() - began) * 1e3
print([milliseconds, (resident() - before) / 1024])
"""


def imports(task: Task) -> Reading:
    """Time the import of a library in a new interpreter, and the memory that it takes."""
    subject = task.subject
    probe = PROBE.format(imports=subject.imports, hides_orjson=not subject.has_orjson)
    results = [json.loads(run_python("-c", probe)) for _ in range(REPETITIONS)]
    milliseconds, megabytes = zip(*results, strict=True)
    return {"sent": 0, "import_ms": median(milliseconds), "megabytes": median(megabytes)}


def exits(task: Task, *, events: int, repetitions: int = 1, warm: bool = True) -> Reading:
    """Time the exit of a process that ends by tracking `count` events, over that of a bare one."""
    differences = []
    for _ in range(repetitions):
        bare, full = (
            Order(
                name, "leave", {"events": events, "warm": warm}, task.sink, exits=True
            ).carry_out()
            for name in (BARE.name, task.subject.name)
        )
        differences.append(full["exit_ms"] - bare["exit_ms"])
    return {"sent": events, "over_bare_ms": median(differences)}
