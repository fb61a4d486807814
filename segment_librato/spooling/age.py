"""How old a message of a dead process is, although clocks may be set.

A file has the time of its last write, by the wall clock. If that clock is set back, a message only
seems younger. If it is set forward, everything would seem to be too old at once; so each run has a
mark of the clock that counts from the start of the system, and a run that is younger by that one
has nothing in it that is older. After another start of the system, only the wall clock tells.

Owns that mark. Must not know what is done with what is too old.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

from segment_librato.foreign.interruption import Suppressed

__all__ = ["boot_mark", "is_older"]

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_mark() -> bytes:
    """Return the time now as a mark; empty if the system has no such clock."""
    boot = _boot_id()
    return b"%s %.3f\n" % (boot, time.clock_gettime(time.CLOCK_BOOTTIME)) if boot else b""


def is_older(written: float, mark: bytes, max_age: float) -> bool:
    """Return whether something is older than `max_age` seconds by all the clocks that tell.

    Args:
        written: when it was written, by the wall clock.
        mark: of a time before that.
        max_age: in seconds.
    """
    if time.time() - written <= max_age:
        return False
    with Suppressed(ValueError):  # it was never written, or is damaged
        boot, began = mark.split()
        if boot == _boot_id():
            return time.clock_gettime(time.CLOCK_BOOTTIME) - float(began) > max_age
    return True


@cache
def _boot_id() -> bytes:
    """Return what is different after each start of the system; empty if that is not known."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        with Suppressed(OSError):
            return BOOT_ID.read_bytes().strip()
    return b""
