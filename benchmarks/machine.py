"""The machine and the versions that results are of, and how steady the machine is."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from pathlib import Path

from benchmarks.plan import MEASUREMENTS

__all__ = ["describe", "time_fixed_work"]

LIBRARIES = (
    "segment-analytics-python",
    "posthog",
    "rudder-sdk-python",
    "segment-librato",
    "requests",
    "urllib3",
    "orjson",
)
FIXED_WORK = 200_000


def describe(rounds: int, steadiness: list[float], *, quick: bool) -> str:
    """Say in a few sentences what was measured, and on what."""
    installed = {one.name: one.version for one in metadata.distributions()}
    versions = ", ".join(f"{name} {installed[name]}" for name in LIBRARIES if name in installed)
    kind = "quick round" if quick else "round"
    medians = f"Medians of {rounds} {kind}s" if rounds > 1 else f"One {kind}"
    often = [f"{one.name} {one.turns} times" for one in MEASUREMENTS if one.turns > 1 and not quick]
    in_each = f" ({' and '.join(often)} in each)" if often else ""
    return (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, CPython {platform.python_version()}, "
        f"{os.cpu_count()} cores of {_processor()}; {versions}.\n"
        f"{medians}{in_each}; x is the ratio to segment-analytics-python within a turn.\n"
        "A loop that is always the same was timed before and after each round: the slowest took "
        f"{max(steadiness) / min(steadiness):.2f} times as long as the fastest."
    )


def time_fixed_work() -> float:
    """Return the seconds that a fixed piece of work takes."""
    began = time.perf_counter()
    total = 0
    for number in range(FIXED_WORK):
        total += number * number % 7
    return time.perf_counter() - began


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
