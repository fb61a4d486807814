"""Segments that threads write at the same time, each thread its own.

A call writes its record itself, and holds no lock meanwhile: each thread borrows a segment that
nobody else has, so at any time there are as many open segments as threads that are writing. A
signal handler that tracks in the middle of a write borrows another one.

Owns which segment a call writes to, and when a segment is full or too old. Must not know folders,
what the disk holds, or who reads what was written.
"""

from __future__ import annotations

from os import write
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

from segment_librato.foreign.interruption import is_interruption, let_through
from segment_librato.process.clock import monotonic
from segment_librato.spooling.format import RECORD_BYTES, pack_head, pack_sequence
from segment_librato.spooling.segment import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segment_librato.spooling.segment import Entry, WrittenSegment

__all__ = ["MAX_SEGMENT_BYTES", "Files", "Lane"]

MAX_SEGMENT_BYTES = 480 * 1024  # so that one request can carry a segment
MAX_SEGMENT_AGE = 30.0  # seconds; it bounds what is sent twice after a `kill -9`


class Files(Protocol):
    """What a lane needs of the run that its segments belong to; see there."""

    sequence: Iterator[int]
    written: int
    is_clean: bool
    waits_for_disk: bool
    on_trouble: Callable[[OSError], object]

    def make_segment(self, first: int) -> WrittenSegment:
        """Make a file for records from this number on. Raises OSError."""
        ...

    def seal(self, segment: WrittenSegment) -> None:
        """Have nothing more written to a segment; delete it if all in it is settled."""
        ...

    def note_dirty(self) -> None:
        """Ask for a `sync`."""
        ...


class Lane:
    """Segments that calls write to, each for one call at a time. Thread-safe, without a lock.

    Attributes:
        unread: how many records were written; who reads them, or counts other messages with them,
            changes it.
    """

    def __init__(self, run: Files, on_new: Callable[[WrittenSegment, int], None]) -> None:
        """Write nothing yet.

        Args:
            run: whose segments they are.
            on_new: called with each new one, and the least number that a record in it may have.
        """
        self._run = run
        self._on_new = on_new
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Have no segment: those of the parent are not for a child to write."""
        self.unread: int = 0
        self._idle: list[WrittenSegment] = []  # not being written at the moment
        # Pops one of them each time, up to an IndexError: unlike after a call of `pop`, no signal
        # handler can raise before the name is bound.
        self._borrowed: Iterator[WrittenSegment] = iter(self._idle.pop, None)

    def append(  # noqa: C901  it runs for each message, and a function takes longer than a branch
        self, payload: bytes, entry: Entry | None = None
    ) -> WrittenSegment:
        """Write a message; return the segment that has it. May delete others. Raises OSError."""
        run, now = self._run, monotonic()
        segment: WrittenSegment = None  # type: ignore[assignment]  # for the `except`
        try:
            try:
                for segment in self._borrowed:  # noqa: B007  see `_borrowed`
                    break
            except IndexError:
                segment = self._make()
            else:
                if segment.size >= MAX_SEGMENT_BYTES or now - segment.began >= MAX_SEGMENT_AGE:
                    segment = self._replace(segment, now)
            idle = self._idle  # not that of a child, if a signal handler forks from now on
            # As in `pack`, and nothing of it in functions, which would take longer.
            length, body = len(payload), pack_sequence(next(run.sequence)) + payload
            record = pack_head(length, length ^ 0xFFFF, crc32(body)) + body
            written = write(segment.descriptor, record)
            if written != length + RECORD_BYTES:
                segment.undo()
            segment.size += written
            segment.records += 1  # no call between these: the record counts, or does not
            self.unread += segment.path is not NOWHERE  # this is no child, forked meanwhile
            if entry is not None:
                entry.segment = segment
            segment.written_at = now
            run.written += written
            if run.waits_for_disk:
                self._sync(segment)
        except BaseException as error:
            if _is_left_to_parent(segment, error):
                return segment
            self._give_up(segment)
            raise
        idle.append(segment)
        if run.is_clean:
            run.note_dirty()
        return segment

    def retire(self, *, all_of_them: bool = False) -> None:
        """Seal the segments that no call is writing, settled or all; delete the settled ones."""
        self._seal_idle(lambda one: all_of_them or one.settled >= one.records)

    def _replace(self, segment: WrittenSegment, now: float) -> WrittenSegment:
        """Seal a segment that is full or old, and those of a burst of calls; return a new one."""

        def is_old(one: WrittenSegment) -> bool:
            return now - one.began >= MAX_SEGMENT_AGE

        self._run.seal(segment)
        if any(map(is_old, self._idle.copy())):
            self._seal_idle(is_old)
        return self._make()

    def _seal_idle(self, is_over: Callable[[WrittenSegment], bool]) -> None:
        """Seal those segments that no call is writing and for which a function says so."""
        idle = self._idle  # see `append`
        kept: list[WrittenSegment] = []
        segment = None
        try:
            for segment in iter(idle.pop, None):
                if is_over(segment):
                    self._run.seal(segment)
                else:
                    kept.append(segment)
        except BaseException as error:
            if not isinstance(error, IndexError) or is_interruption(error):
                for one in [*kept, segment] if segment else kept:
                    self._run.seal(one)
                raise
        idle.extend(kept)

    def _give_up(self, segment: WrittenSegment | None) -> None:
        """Write no more to a segment, if there is one: what is in it is not known."""
        if segment:
            self._run.seal(segment)

    def _sync(self, segment: WrittenSegment) -> None:
        """Wait until the disk holds the record that was just written.

        If it does not, the record stays where it is: a reader may have it already.
        """
        try:
            segment.sync()
        except OSError as error:
            let_through(error, error.__context__)
            self._run.on_trouble(error)

    def _make(self) -> WrittenSegment:
        """Return a new segment."""
        first = next(self._run.sequence)
        segment = self._run.make_segment(first)
        try:
            self._on_new(segment, first)
        except BaseException:
            self._run.seal(segment)
            raise
        return segment


def _is_left_to_parent(segment: WrittenSegment | None, error: BaseException) -> bool:
    """Return whether an error tells only that a signal handler has forked, and this is the child.

    The call began in the parent, which goes on with it, too, and the message is the parent's.
    """
    if not (segment and segment.is_of_parent and isinstance(error, OSError)):
        return False
    let_through(error, error.__context__)
    return True
