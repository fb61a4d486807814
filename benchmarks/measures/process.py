"""What Linux knows of this process: its memory, and how often its threads woke up."""

from __future__ import annotations

from pathlib import Path

__all__ = ["forget_peak", "peak_bytes", "resident_bytes", "wake_ups"]


def resident_bytes() -> int:
    """Return the memory that the process holds."""
    return _number_after("VmRSS:", Path("/proc/self/status")) * 1_024


def peak_bytes() -> int:
    """Return the most memory that the process held since `forget_peak`."""
    return _number_after("VmHWM:", Path("/proc/self/status")) * 1_024


def forget_peak() -> None:
    """Have `peak_bytes` begin anew."""
    Path("/proc/self/clear_refs").write_text("5")  # proc(5)


def wake_ups() -> int:
    """Return how often any thread of the process has gone to sleep, and so woken up."""
    statuses = Path("/proc/self/task").glob("*/status")
    return sum(_number_after("voluntary_ctxt_switches:", status) for status in statuses)


def _number_after(label: str, status: Path) -> int:
    for line in status.read_text().splitlines():
        if line.startswith(label):
            return int(line.split()[1])
    raise ValueError(f"no {label} in {status}")
