"""Messages that were on disk only, in files that somebody has deleted or damaged.

What can be read of such a file is delivered; what cannot has an outcome, too: it failed. Owns which
messages these are, and that a damaged part is moved away. Must not know who is told of it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from segment_librato.errors import SpoolCorruptError
from segment_librato.foreign.interruption import let_through
from segment_librato.spooling.quarantine import move_rest

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.spooling.segment import WrittenSegment

__all__ = ["Losses"]


class Losses:
    """The files of a queue that nobody has given up yet. For one thread at a time to add to."""

    def __init__(self) -> None:
        self._gone: list[WrittenSegment] = []
        self._damaged: list[tuple[WrittenSegment, int]] = []

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._gone or self._damaged)

    def add_gone(self, segments: list[WrittenSegment]) -> None:
        """Add segments whose files somebody has deleted, or made shorter."""
        self._gone.extend(segments)

    def add_damaged(self, segment: WrittenSegment, offset: int) -> None:
        """Add a segment that cannot be read from this byte on."""
        self._damaged.append((segment, offset))

    def claim(self) -> Callable[[], SpoolCorruptError] | None:
        """Return what gives some of them up, and returns why; None if there are none, for now.

        A segment that a call is writing to has to wait. Does no I/O; under a lock.
        """
        for damaged in self._damaged:
            if damaged[0].is_sealed:
                self._damaged.remove(damaged)
                return partial(_quarantine, *damaged)
        gone = [segment for segment in self._gone if segment.is_sealed]
        for segment in gone:
            self._gone.remove(segment)
        with_losses = [segment for segment in gone if _count_lost(segment)]
        return partial(_give_up, with_losses) if with_losses else None


def _give_up(segments: list[WrittenSegment]) -> SpoolCorruptError:
    path = segments[0].path if len(segments) == 1 else segments[0].path.parent
    lost = sum(map(_count_lost, segments))
    for segment in segments:
        _forget_lost(segment)
    text = f"somebody deleted or shortened what the spool has in use: {path}"
    return SpoolCorruptError(str(path), 0, lost, text)


def _quarantine(segment: WrittenSegment, offset: int) -> SpoolCorruptError:
    lost = _count_lost(segment)
    try:
        error = move_rest(segment.path, offset, lost)
    except OSError as problem:  # it stays, with what it has
        let_through(problem, problem.__context__)
        size, path = segment.size - offset, str(segment.path)
        text = f"unreadable bytes of the spool: {size}; they stay in {path}: {problem.strerror}"
        return SpoolCorruptError(path, size, lost, text)
    _forget_lost(segment)
    return error


def _count_lost(segment: WrittenSegment) -> int:
    """Return how many messages were never read."""
    return max(0, segment.records - segment.read)


def _forget_lost(segment: WrittenSegment) -> None:
    """Have a segment consist of what was read of it."""
    segment.records = segment.read
    segment.delete_if_settled()
