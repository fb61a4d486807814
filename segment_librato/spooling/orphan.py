"""What dead processes left: runs whose lock is free.

Who gets the lock owns the run, so two processes never send the same segment. Owns the reading of
a run and its removal, and that nothing is read again that has its outcome, if the file cannot be
deleted. Must not know where its messages go.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from segment_librato.foreign.interruption import Suppressed, let_through
from segment_librato.spooling.age import is_older
from segment_librato.spooling.folder import NEW_SUFFIX, RUN_SUFFIX, check_owner
from segment_librato.spooling.format import CorruptSegmentError, count_records
from segment_librato.spooling.lock import FileLock
from segment_librato.spooling.merged import MergedReader
from segment_librato.spooling.quarantine import (
    DAMAGED,
    DELETED,
    UNREADABLE,
    move_all,
    move_rest,
    warn_once,
)
from segment_librato.spooling.rest import COPY_SUFFIX, drop_first, open_segment
from segment_librato.spooling.run_folder import LOCK, remove_if_empty
from segment_librato.spooling.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segment_librato.errors import SpoolCorruptError

__all__ = ["Orphan", "count_files_of_others", "count_left", "find_orphans"]

SEGMENT_NAME = re.compile(r"([0-9a-f]{16})\.seg")
RUN_NAME = re.compile(rf".*-([0-9]+)-[0-9a-f]+{re.escape(RUN_SUFFIX)}")

UNREADABLE_RUN = "the spool's folder %s cannot be read, and stays: %s"

MAX_COUNTED_BYTES = 16 * 1024 * 1024  # of a file; larger ones are strange

_settled: dict[Path, int] = {}  # records with an outcome, in files that cannot be changed


class Orphan:
    """A run of a dead process, held by this one. For one thread at a time.

    Attributes:
        path: its folder.
    """

    def __init__(
        self, path: Path, lock: FileLock, on_corrupt: Callable[[SpoolCorruptError], None]
    ) -> None:
        """Read nothing yet.

        Args:
            path: the folder.
            lock: of it, held.
            on_corrupt: told of what was moved to the quarantine.
        """
        self.path = path
        self._lock = lock
        self._on_corrupt = on_corrupt
        self._segments: dict[Path, Segment] = {}
        self._failing: set[Path] = set()  # the disk fails in the middle of them
        self._reader: MergedReader[Segment] = MergedReader(self._ended, self._cannot_be_read)

    def messages(self) -> Iterator[tuple[Segment, bytes]]:
        """Yield each message with the segment that it has to be settled with, oldest first.

        Those of a segment are to be settled in this order. To be called once.

        Raises:
            OSError: the folder cannot be read.
        """
        before: dict[Segment, int] = {}
        for path in [*self.path.iterdir()]:
            if path.suffix == COPY_SUFFIX:  # whoever made it has died
                with Suppressed(OSError):
                    path.unlink()
            elif match := SEGMENT_NAME.fullmatch(path.name):
                segment = self._segments[path] = Segment(path)
                if settled := _settled.pop(path, 0):
                    segment.settled = before[segment] = settled
                self._reader.add(segment, int(match.group(1), 16))
        for segment, payload in self._reader.read():
            segment.records += 1
            if segment.records > before.get(segment, 0):
                yield segment, payload

    def is_older(self, segment: Segment, max_age: float) -> bool:
        """Return whether all messages of a segment are older than `max_age` seconds."""
        try:
            return is_older(segment.path.lstat().st_mtime, self._lock.content(), max_age)
        except OSError as error:  # it is gone meanwhile
            let_through(error, error.__context__)
            return False

    def count(self) -> int:
        """Return how many messages it has, without reading them; before `messages` is called.

        Raises:
            OSError: it cannot be read.
        """
        total = 0
        for path in self.path.iterdir():
            if SEGMENT_NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                with open_segment(path) as file:
                    data = file.read(MAX_COUNTED_BYTES)
                    total += count_records(data) - _settled.get(path, 0)
        return total

    def close(self) -> None:
        """Let go of the run: what is settled is gone, and its folder if nothing is left in it."""
        self._reader.close()
        try:
            for path in [*self.path.iterdir()]:
                if segment := self._segments.get(path):
                    self._leave(segment)
        except OSError as problem:
            let_through(problem, problem.__context__)
            warn_once(UNREADABLE_RUN, self.path, problem.strerror)
        remove_if_empty(self.path)
        self._lock.release()

    def release_after_fork(self) -> None:
        """Close the copies of the parent's descriptors, in a forked child."""
        self._reader.close()
        self._lock.release()

    def _leave(self, segment: Segment) -> None:
        """See to it that nothing of a segment that stays is read again if it has its outcome."""
        path, settled = segment.path, segment.settled
        is_over = segment.is_counted and settled == segment.records
        try:
            if path in self._failing and settled == segment.records:
                self._on_corrupt(move_all(path))
            elif is_over:  # it could not be deleted
                _settled[path] = settled
            elif settled:
                drop_first(path, settled)
        except (OSError, CorruptSegmentError) as error:
            _settled[path] = settled
            let_through(error, error.__context__)

    def _ended(self, segment: Segment) -> None:
        segment.is_counted = True
        segment.delete_if_settled()

    def _cannot_be_read(self, segment: Segment, error: Exception) -> None:
        if isinstance(error, CorruptSegmentError):
            try:
                self._on_corrupt(move_rest(segment.path, error.offset))
                self._ended(segment)
            except OSError as problem:
                let_through(problem, error)
                warn_once(DAMAGED, segment.path, problem.strerror)
        elif isinstance(error, FileNotFoundError):
            warn_once(DELETED, segment.path)
        elif segment.records:
            self._failing.add(segment.path)
        else:  # another version, or the system says no
            warn_once(UNREADABLE, segment.path, getattr(error, "strerror", error))


def find_orphans(folder: Path, on_corrupt: Callable[[SpoolCorruptError], None]) -> Iterator[Orphan]:
    """Yield each run in a folder whose process is dead, oldest first; the caller closes it.

    Removes what is left of runs whose process died while it made them.

    Args:
        folder: what `open_spool` returned.
        on_corrupt: told of what was moved to the quarantine.

    Raises:
        OSError: the folder cannot be read.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix not in {RUN_SUFFIX, NEW_SUFFIX} or path.is_symlink():
            continue
        try:
            check_owner(path)
            lock = _lock(path)
        except OSError as error:
            let_through(error, error.__context__)
            # Another drain was faster; or it is a strange file.
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                warn_once(UNREADABLE_RUN, path, error.strerror)
            continue
        if lock is None:
            continue
        if path.suffix == NEW_SUFFIX:
            remove_if_empty(path)
            lock.release()
        else:
            yield Orphan(path, lock, on_corrupt)


def count_left(folder: Path) -> int:
    """Return how many messages dead processes left in a folder, as far as they can be read.

    Those that another process is delivering are not counted. Raises OSError.
    """
    total = 0
    for orphan in find_orphans(folder, lambda _: None):
        try:
            total += orphan.count()
        finally:
            orphan.close()
    return total


def count_files_of_others(path: Path, own: Path | None) -> int:
    """Return how many segments a spool has outside of one of its folders, as far as one sees."""
    runs = [(Path(run), names) for run, _, names in os.walk(path) if run.endswith(RUN_SUFFIX)]
    found = [name for run, names in runs if run.parent != own for name in names]
    return sum(SEGMENT_NAME.fullmatch(name) is not None for name in found)


def _lock(path: Path) -> FileLock | None:
    """Take the lock of a run; return None if it is held, or the run was empty and is gone.

    A run has none if its process died while it made or removed it, or if somebody has removed it.

    Raises:
        OSError: it cannot be taken.
    """
    try:
        return FileLock.take(path / LOCK)
    except FileNotFoundError as error:
        let_through(error, error.__context__)
        remove_if_empty(path)
        if path.suffix == NEW_SUFFIX or _may_live(path):
            return None
        with Suppressed(BlockingIOError, FileExistsError):  # another drain was faster
            return FileLock.make(path / LOCK)
        return None


def _may_live(path: Path) -> bool:
    """Return whether the process of a run without a lock may live, as far as its id tells."""
    match = RUN_NAME.fullmatch(path.name)
    if match is None or os.name == "nt":  # there, nobody can remove the lock of a live one
        return False
    try:
        os.kill(int(match.group(1)), 0)
    except (OSError, OverflowError) as error:
        let_through(error, error.__context__)
        return isinstance(error, PermissionError)  # it belongs to somebody else
    return True
