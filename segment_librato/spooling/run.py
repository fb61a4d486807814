"""What one client of one process writes: a locked folder of segments.

A call writes its record itself, and holds no lock meanwhile: each thread borrows a segment that
nobody else has, so at any time there are as many open segments as threads that are writing. A
signal handler that tracks in the middle of a write borrows another one.

Owns the folder until the end of the process. Must not know queues, or who reads what it wrote.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from itertools import count
from os import write
from typing import TYPE_CHECKING
from zlib import crc32

from segment_librato.foreign.interruption import is_interruption, let_through
from segment_librato.process.clock import monotonic
from segment_librato.process.fork import register_after_fork
from segment_librato.spooling.format import HEADER, RECORD_BYTES, pack_head, pack_sequence
from segment_librato.spooling.run_folder import RunFolder
from segment_librato.spooling.segment import Entry, WrittenSegment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["MAX_SEGMENT_BYTES", "SEGMENT_SUFFIX", "Lane", "Run"]

SEGMENT_SUFFIX = ".seg"
MAX_SEGMENT_BYTES = 480 * 1024  # so that one request can carry a segment
MAX_SEGMENT_AGE = 30.0  # seconds; it bounds what is sent twice after a `kill -9`


class Lane:
    """Segments that are written one after another. Thread-safe, without a lock.

    Attributes:
        unread: how many records were written, less what readers have subtracted.
    """

    def __init__(self, run: Run, on_new: Callable[[WrittenSegment, int], None]) -> None:
        """Write nothing yet.

        Args:
            run: whose segments they are.
            on_new: called with each new one, and the least number that a record in it may have.
        """
        self._run = run
        self._on_new = on_new
        self._start()

    def append(self, payload: bytes, entry: Entry | None = None) -> WrittenSegment:
        """Write a message, and return the segment that has it.

        Raises:
            OSError: it was not written.
        """
        run, now = self._run, monotonic()
        segment: WrittenSegment = None  # type: ignore[assignment]  # for the `except`
        try:
            try:
                for segment in self._borrowed:  # noqa: B007  it is not lost, whatever comes next
                    break
            except IndexError:
                segment = self._make()
            else:
                if segment.size >= MAX_SEGMENT_BYTES or now - segment.began >= MAX_SEGMENT_AGE:
                    run.seal(segment)
                    segment = self._make()
            # As in `pack`, and nothing of it in functions, which would take longer.
            length, body = len(payload), pack_sequence(next(run.sequence)) + payload
            record = pack_head(length, length ^ 0xFFFF, crc32(body)) + body
            written = write(segment.descriptor, record)
            if written != length + RECORD_BYTES:
                segment.undo()
            segment.size += written
            segment.records += 1  # no call between these: the record counts, or does not
            self.unread += 1
            if entry is not None:
                entry.segment = segment
            segment.written_at = now
            run.written += written
            if run.waits_for_disk:
                self._sync(segment)
        except BaseException:
            self._give_up(segment)
            raise
        self._idle.append(segment)
        if run.is_clean:
            run.note_dirty()
        return segment

    def retire(self, *, all_of_them: bool = False) -> None:
        """Seal the segments that nobody is writing and whose messages have their outcome."""
        kept: list[WrittenSegment] = []
        segment = None
        try:
            for segment in self._borrowed:
                if all_of_them or segment.settled >= segment.records:
                    self._run.seal(segment)
                else:
                    kept.append(segment)
        except BaseException as error:
            if not isinstance(error, IndexError) or is_interruption(error):
                for one in [*kept, segment] if segment else kept:
                    self._run.seal(one)
                raise
        self._idle.extend(kept)

    def _give_up(self, segment: WrittenSegment | None) -> None:
        """Write no more to a segment, if there is one: nobody knows what is in it."""
        if segment:
            self._run.seal(segment)

    def reset_after_fork(self) -> None:
        """Close what the parent writes, without another effect."""
        for segment in self._idle:
            segment.forget()
        self._start()

    def _start(self) -> None:
        self.unread: int = 0
        self._idle: list[WrittenSegment] = []  # not being written at the moment
        # Pops one of them each time, up to an IndexError. Unlike with a call of `pop`, no signal
        # handler can raise before the caller has it.
        self._borrowed: Iterator[WrittenSegment] = iter(self._idle.pop, None)

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
        self._on_new(segment, first)
        return segment


class Run:
    """The segments of one client in one process. Thread-safe, without a lock.

    Attributes:
        sequence: the numbers of records, in the order of acceptance.
        written: bytes that were written since somebody has set it to 0.
        is_clean: whether nothing was written since the last `sync` began.
        on_dirty: called when something is, once until the next `sync`.
        on_trouble: called if the disk does not hold a message that a call waits for.
        on_gone: called with a file that somebody has deleted while it was written.
    """

    def __init__(self, parent: Path, fsync: float | None = math.inf) -> None:
        """Make no folder yet; the first message makes it inside this one.

        Args:
            parent: what `open_spool` returned.
            fsync: seconds in which somebody calls `sync`, None if nobody does; with 0, each
                `append` waits until the disk holds the message.
        """
        self._parent = parent
        self.waits_for_disk: bool = fsync == 0
        self.sequence = count()
        self.written: int = 0
        self.is_clean: bool = True
        self.on_dirty: Callable[[], object] = lambda: None
        self.on_trouble: Callable[[OSError], object] = lambda _: None
        self.on_gone: Callable[[Path], object] = lambda _: None
        self._is_synced = bool(fsync)
        self._unsynced: set[WrittenSegment] = set()  # or still being written
        self._folders: dict[str, RunFolder] = {}  # at most one; `setdefault` makes it so
        self._being_closed: set[RunFolder] = set()
        self._lanes: list[Lane] = []
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """Close the copies of the parent's descriptors, and start with no folder.

        The kernel frees the parent's lock only when they are closed, too.
        """
        for lane in self._lanes:
            lane.reset_after_fork()
        folders = [*self._folders.values(), *self._being_closed]
        self._folders, self._being_closed = {}, set()
        for folder in folders:
            folder.lock.release()
        self._unsynced = set()
        self.written, self.is_clean = 0, True

    def lane(self, on_new: Callable[[WrittenSegment, int], None] = lambda *_: None) -> Lane:
        """Return a new lane; see there."""
        lane = Lane(self, on_new)
        self._lanes.append(lane)
        return lane

    def make_segment(self, first: int) -> WrittenSegment:
        """Make a file for records from this number on.

        Raises:
            OSError: it cannot be made.
        """
        folder = self._folder()
        try:
            segment = self._make_in(folder, first)
        except FileNotFoundError as error:  # `tidy` was faster, or somebody has cleaned up
            let_through(error, error.__context__)
            if self._folders.get("") is folder:
                self._folders.pop("", None)
            folder = self._folder()
            segment = self._make_in(folder, first)
        self.written += len(HEADER)
        if self.waits_for_disk:
            folder.sync(os.fsync)
        if self._is_synced:
            self._unsynced.add(segment)
        return segment

    def _folder(self) -> RunFolder:
        folder = self._folders.get("")
        if folder is None:
            made = RunFolder(self._parent)
            folder = self._folders.setdefault("", made)
            if folder is not made:  # another thread was faster
                made.remove()
        return folder

    def _make_in(self, folder: RunFolder, first: int) -> WrittenSegment:
        return WrittenSegment(folder.path / f"{first:016x}{SEGMENT_SUFFIX}", monotonic(), first)

    def seal(self, segment: WrittenSegment) -> None:
        """Have nothing more written to a segment."""
        segment.seal()
        if segment.delete_if_settled():
            self._unsynced.discard(segment)

    def sync(self, fsync: Callable[[int], object] | None = None) -> None:
        """Wait until the disk holds all that was written before this call.

        Args:
            fsync: called instead of `os.fsync`.

        Raises:
            OSError: it does not.
        """
        self.is_clean = True  # before: what is written from now on may not be covered
        synced: list[tuple[WrittenSegment, int]] = []
        ended: list[WrittenSegment] = []
        for segment in self._unsynced.copy():
            if segment.is_sealed:
                ended.append(segment)
            size = segment.size
            if size > segment.synced:
                try:
                    _sync(segment.path, fsync or os.fsync)
                except FileNotFoundError as error:
                    let_through(error, error.__context__)
                    self._note_gone(segment)
                synced.append((segment, size))
        if synced and (folder := self._folders.get("")):
            with suppress(FileNotFoundError):  # somebody deletes it: the next one is another
                folder.sync(fsync or os.fsync)
        for segment, size in synced:
            segment.synced = size
        self._unsynced.difference_update(ended)

    def note_dirty(self) -> None:
        """Ask for a `sync`; if a signal handler raises meanwhile, the next record does so."""
        try:
            self.is_clean = False
            self.on_dirty()
        except BaseException:
            self.is_clean = True
            raise

    def _note_gone(self, segment: WrittenSegment) -> None:
        """Write no more to files that somebody deletes; one that is settled is gone anyway."""
        if segment.settled < segment.records and not segment.is_gone:
            segment.is_gone = True
            self.on_gone(segment.path)
            for lane in self._lanes:
                lane.retire(all_of_them=True)

    def retire(self) -> None:
        """Delete what has its outcome, if nobody is writing it."""
        for lane in self._lanes:
            lane.retire()

    def tidy(self) -> None:
        """Delete what has its outcome, and the folder if nothing is left in it."""
        self.retire()
        for folder in self._folders.copy().values():
            if folder.remove_if_empty() and self._folders.get("") is folder:
                self._folders.pop("", None)

    def close(self) -> None:
        """Write no more, and let go of the folder; it stays if messages in it have no outcome.

        Two threads may do so at once: it is free as soon as either has.
        """
        for lane in self._lanes:
            lane.retire(all_of_them=True)
        self._being_closed.update(self._folders.values())
        self._folders = {}
        for folder in self._being_closed.copy():
            folder.remove()
            self._being_closed.discard(folder)


def _sync(path: Path, fsync: Callable[[int], object]) -> None:
    descriptor = os.open(path, os.O_RDWR)  # Windows syncs nothing that is open for reading
    try:
        fsync(descriptor)
    finally:
        os.close(descriptor)
