"""What is measured: functions that take a task and return a reading.

A reading maps the names of figures to numbers; `sent` in it is the number of events that the
sink must have got in the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measures.throughput import cpu, threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measures.task import Reading

__all__ = ["MEASURES"]

MEASURES: dict[str, Callable[..., Reading]] = {
    measure.__name__: measure for measure in (cpu, threads)
}
