"""What the command lines say of a debugger, at its beginning and at its end.

Owns these words. Must not know where they are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver.page.debugger import Debugger

__all__ = ["farewell", "greeting"]


def greeting(debugger: Debugger) -> list[str]:
    """Return the lines for the beginning."""
    return [
        f"The debugger is at {debugger.host} (press Ctrl-C to stop).",
        f'Point a client at it: segment_librato.host = "{debugger.host}"',
    ]


def farewell(events: int, database: Path | None) -> str:
    """Return the line for the end.

    Args:
        events: how many events were kept.
        database: the file that has them; None: memory.
    """
    where = f"kept in {database}" if database else "forgotten now; --db FILE would keep them"
    return f"events: {events:,}, {where}"
