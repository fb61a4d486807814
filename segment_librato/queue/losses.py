"""Messages that were on disk only, in files that somebody has deleted or damaged.

What can be read of such a file is delivered; what cannot has an outcome, too: it failed. Owns which
messages these are, and that a damaged part is moved away. Must not know who is told of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.errors import SpoolCorruptError
from segment_librato.foreign.interruption import let_through
from segment_librato.spooling.quarantine import move_rest

if TYPE_CHECKING:
    from segment_librato.spooling.segment import WrittenSegment

__all__ = ["Loss", "Losses"]


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

    def claim(self) -> Loss | None:
        """Return some of them, once; None if there are none, for now.

        A segment that a call is writing to has to wait. Does no I/O; under a lock.
        """
        for damaged in self._damaged:
            segment, offset = damaged
            if segment.is_sealed:
                self._damaged.remove(damaged)
                return Loss([segment], offset)
        gone = [segment for segment in self._gone if segment.is_sealed]
        for segment in gone:
            self._gone.remove(segment)
        with_losses = [segment for segment in dict.fromkeys(gone) if _count_lost(segment)]
        return Loss(with_losses) if with_losses else None


class Loss:
    """Messages that nobody can read, in segments that nobody writes.

    Attributes:
        count: how many.
    """

    def __init__(self, segments: list[WrittenSegment], damaged_at: int | None = None) -> None:
        """Count them.

        Args:
            segments: somebody has deleted them, or made them shorter; or one that is damaged.
            damaged_at: the byte from which on that one cannot be read.
        """
        self._lost = {segment: _count_lost(segment) for segment in segments}
        self._damaged_at = damaged_at
        self.count: int = sum(self._lost.values())

    def count_in_older(self, first: int) -> int:
        """Return how many are in segments that were begun before this sequence number."""
        return sum(lost for segment, lost in self._lost.items() if segment.first < first)

    def give_up(self) -> SpoolCorruptError:
        """Have the segments consist of what was read of them; return what to report. Does I/O."""
        first, *others = self._lost
        if self._damaged_at is not None:
            return self._quarantine(first, self._damaged_at)
        path = first.path.parent if others else first.path
        for segment in self._lost:
            _forget_lost(segment)
        text = f"somebody deleted or shortened what the spool has in use: {path}"
        return SpoolCorruptError(str(path), 0, self.count, text)

    def _quarantine(self, segment: WrittenSegment, offset: int) -> SpoolCorruptError:
        try:
            error = move_rest(segment.path, offset, self.count)
        except OSError as problem:  # it stays, with what it has
            let_through(problem, problem.__context__)
            size, path = segment.size - offset, str(segment.path)
            text = f"unreadable bytes of the spool: {size}; they stay in {path}: {problem.strerror}"
            return SpoolCorruptError(path, size, self.count, text)
        _forget_lost(segment)
        return error


def _count_lost(segment: WrittenSegment) -> int:
    """Return how many messages were neither read nor given up by the call that wrote them."""
    return max(0, segment.records - max(segment.read, segment.settled))


def _forget_lost(segment: WrittenSegment) -> None:
    """Have a segment consist of what was read of it. Does I/O."""
    segment.records = segment.read
    segment.delete_if_settled()
