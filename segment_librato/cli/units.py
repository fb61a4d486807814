"""Numbers as people say them: of bytes and of seconds.

Must not know what they are of.
"""

from __future__ import annotations

__all__ = ["in_time", "in_units"]

UNITS = ("B", "KB", "MB", "GB", "TB")
KILO = 1000


def in_units(size: float) -> str:
    """Return a number of bytes in the largest unit that it has one of."""
    unit = 0
    while size >= KILO and unit < len(UNITS) - 1:
        size, unit = size / KILO, unit + 1
    return f"{size:.1f} {UNITS[unit]}" if unit else f"{size:.0f} B"


def in_time(seconds: float) -> str:
    """Return a number of seconds as people say it."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
