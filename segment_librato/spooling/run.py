"""What one client of one process writes: a locked folder of segments.

Owns the folder until the end of the process, its segments and what of them the disk holds. Must
not know which call writes to which segment, queues, or who reads what was written.
"""

from __future__ import annotations

import math
import os
from itertools import count
from typing import TYPE_CHECKING

from segment_librato.foreign.interruption import Suppressed, let_through
from segment_librato.process.clock import monotonic
from segment_librato.process.fork import register_after_fork
from segment_librato.spooling.format import HEADER
from segment_librato.spooling.lane import Lane
from segment_librato.spooling.run_folder import RunFolder
from segment_librato.spooling.segment import WrittenSegment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["SEGMENT_SUFFIX", "Run"]

SEGMENT_SUFFIX = ".seg"


class Run:
    """The segments of one client in one process. Thread-safe, without a lock.

    Attributes:
        sequence: the numbers of records, in the order of acceptance.
        written: bytes that were written since the spool has set it to 0.
        is_clean: whether nothing was written since the last `sync` began.
        on_dirty: called when something is, once until the next `sync`.
        on_trouble: called if the disk does not hold a message that a call waits for.
        on_gone: called with a file that somebody has deleted while it was written.
    """

    def __init__(self, parent: Path, fsync: float | None = math.inf) -> None:
        """Make no folder yet; the first message makes it inside this one.

        Args:
            parent: what `open_spool` returned.
            fsync: seconds within which `sync` is called, None if it never is; with 0, each `append`
                waits until the disk holds the message.
        """
        self._parent = parent
        self.waits_for_disk: bool = fsync == 0
        self.sequence: Iterator[int] = count()
        self.written: int = 0
        self.is_clean: bool = True
        self.on_dirty: Callable[[], object] = lambda: None
        self.on_trouble: Callable[[OSError], object] = lambda _: None
        self.on_gone: Callable[[Path], object] = lambda _: None
        self._is_synced = bool(fsync)
        self._files: set[WrittenSegment] = set()  # that may be written, or are not synced yet
        self._folders: dict[str, RunFolder] = {}  # at most one; `setdefault` makes it so
        self._being_closed: set[RunFolder] = set()
        self._lanes: list[Lane] = []
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """Close the copies of the parent's descriptors, and start with no folder.

        The kernel frees the parent's lock only when they are closed, too.
        """
        files, self._files = self._files, set()
        for segment in files:
            segment.disown()
        for lane in self._lanes:
            lane.reset_after_fork()
        folders = [*self._folders.values(), *self._being_closed]
        self._folders, self._being_closed = {}, set()
        for folder in folders:
            folder.lock.release()
        self.written, self.is_clean = 0, True

    def lane(
        self, on_new: Callable[[WrittenSegment, int], None] = lambda _segment, _count: None
    ) -> Lane:
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
        segment = WrittenSegment(folder.path / f"{first:016x}{SEGMENT_SUFFIX}", monotonic(), first)
        self._files.add(segment)  # before it is open, so that a forked child finds all that are
        try:
            if self._folders.get("") is folder:  # neither a fork nor `close` has come in between
                segment.open()
                self.written += len(HEADER)
                if self.waits_for_disk:
                    folder.sync(os.fsync)
                return segment
        except BaseException as error:
            if segment.descriptor >= 0:
                self.seal(segment)
            if not self._may_succeed_again(folder, error):
                self._files.discard(segment)
                raise
        self._files.discard(segment)
        return segment if segment.is_of_parent else self.make_segment(first)

    def _may_succeed_again(self, folder: RunFolder, error: BaseException) -> bool:
        """Return whether a segment could not be made because its folder is not in use any more."""
        if not isinstance(error, OSError):
            return False
        let_through(error, error.__context__)
        is_gone = isinstance(error, FileNotFoundError)  # `tidy` was faster, or somebody cleaned up
        if is_gone and self._folders.get("") is folder:
            self._folders.pop("", None)
        return self._folders.get("") is not folder

    def _folder(self) -> RunFolder:
        folders = self._folders  # one that is being made during a fork is not for the child
        folder = folders.get("")
        if folder is None:
            made = RunFolder(self._parent)
            folder = folders.setdefault("", made)
            if folder is not made:  # another thread was faster
                made.remove()
        return folder

    def seal(self, segment: WrittenSegment) -> None:
        """Have nothing more written to a segment; delete it if all in it is settled."""
        segment.seal()
        if segment.delete_if_settled() or not self._is_synced:
            self._files.discard(segment)

    def sync(self, fsync: Callable[[int], object] | None = None) -> None:
        """Wait until the disk holds all that was written before this call.

        Args:
            fsync: called instead of `os.fsync`.

        Raises:
            OSError: it does not.
        """
        self.is_clean = True  # before: what is written from now on may not be covered
        if not self._is_synced:
            return
        synced: list[tuple[WrittenSegment, int]] = []
        ended: list[WrittenSegment] = []
        for segment in self._files.copy():
            if segment.is_sealed:
                ended.append(segment)
            size = segment.size
            if size > segment.synced:
                try:
                    _sync(segment.path, fsync or os.fsync)
                except (FileNotFoundError, NotADirectoryError) as error:
                    let_through(error, error.__context__)
                    self._note_gone(segment)
                synced.append((segment, size))
        if synced and (folder := self._folders.get("")):
            with Suppressed(FileNotFoundError):  # somebody deletes it: the next one is another
                folder.sync(fsync or os.fsync)
        for segment, size in synced:
            segment.synced = size
        self._files.difference_update(ended)

    def note_dirty(self) -> None:
        """Ask for a `sync`; if a signal handler raises meanwhile, the next record does so."""
        try:
            self.is_clean = False
            self.on_dirty()
        except BaseException:
            self.is_clean = True
            raise

    def _note_gone(self, segment: WrittenSegment) -> None:
        """Write no more to files, as somebody deletes them; one that is settled is gone anyway."""
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
