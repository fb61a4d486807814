"""What is measured: functions that take a task and return a reading.

A reading maps the names of figures to numbers. `sent` in it, if it is there, is the number of
events that the sink must have got in the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measures.backlog import adoption, backlog, memory
from benchmarks.measures.history import history, history_command
from benchmarks.measures.latency import paced
from benchmarks.measures.lifetime import idle, leave, one_event, shutdown
from benchmarks.measures.outside import exits, imports
from benchmarks.measures.throughput import cpu, threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measures.task import Reading

__all__ = ["MEASURES"]

MEASURES: dict[str, Callable[..., Reading]] = {
    measure.__name__: measure
    for measure in (
        *(adoption, backlog, cpu, exits, history, history_command, idle, imports),
        *(leave, memory, one_event, paced, shutdown, threads),
    )
}
