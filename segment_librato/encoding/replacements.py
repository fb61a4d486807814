"""The log of values that JSON cannot spell: a line for each path and type, never the value.

Knows nothing else of the library but its logger.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from segment_librato.log import log

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["report_replacement"]

MAX_REPORTS = 1_000
MAX_PATH_LENGTH = 200

_reported: dict[tuple[str, str], object] = {}


def report_replacement(names: Iterable[str], value: object, sent_as: str) -> None:
    """Log a replacement, once for each path and type; never the value.

    Neither a lock (a signal handler may come back here) nor an exception leaves this function.
    """
    with suppress(Exception):  # a metaclass may raise anything
        path = ".".join(filter(None, names)).replace(".[]", "[]")[:MAX_PATH_LENGTH]
        path = path.encode("unicode_escape").decode("ascii")[:MAX_PATH_LENGTH] or "message"
        entry = (path, type(value).__qualname__)
        ticket = object()
        # Threads that race past the size may each add one more.
        if len(_reported) >= MAX_REPORTS or _reported.setdefault(entry, ticket) is not ticket:
            return
        log.warning("%s: a value of type %s cannot be written as JSON; sent as %s", *entry, sent_as)
