"""What dead processes left: runs whose lock is free.

Who gets the lock owns the run, so two processes never send the same segment. Owns the reading of
a run and its removal. Must not know where its messages go.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from segment_librato.errors import SpoolCorruptError
from segment_librato.log import log
from segment_librato.spooling.folder import QUARANTINE, RUN_SUFFIX
from segment_librato.spooling.format import CorruptSegmentError, UnknownVersionError
from segment_librato.spooling.lock import FileLock
from segment_librato.spooling.merged import MergedReader
from segment_librato.spooling.run import LOCK, remove_if_empty
from segment_librato.spooling.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Orphan", "find_orphans"]

SEGMENT_NAME = re.compile(r"([0-9a-f]{16})\.seg")
COPY_BYTES = 64 * 1024

_warned_of: set[Path] = set()  # segments that this process cannot read


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
        self._reader: MergedReader[Segment] = MergedReader(self._ended, self._cannot_be_read)

    def messages(self) -> Iterator[tuple[Segment, bytes]]:
        """Yield each message with the segment that it has to be settled with, oldest first."""
        for path in self.path.iterdir():
            if match := SEGMENT_NAME.fullmatch(path.name):
                self._reader.add(Segment(path), int(match.group(1), 16))
        for segment, payload in self._reader.read(float("inf")):
            segment.records += 1
            yield segment, payload

    def close(self) -> None:
        """Let go of the run, and remove its folder if nothing is left in it."""
        self._reader.close()
        remove_if_empty(self.path)
        self._lock.release()

    def _ended(self, segment: Segment) -> None:
        segment.is_counted = True
        segment.delete_if_settled()

    def _cannot_be_read(self, segment: Segment, error: Exception) -> None:
        if isinstance(error, CorruptSegmentError):
            try:
                self._on_corrupt(_quarantine(segment.path, error.offset))
                self._ended(segment)
            except OSError as problem:
                log.warning("a segment of the spool is damaged, and stays: %s", problem.strerror)
        elif segment.path not in _warned_of:
            _warned_of.add(segment.path)
            reason = error if isinstance(error, UnknownVersionError) else type(error).__name__
            log.warning("a segment of the spool cannot be read, and stays: %s", reason)


def find_orphans(folder: Path, on_corrupt: Callable[[SpoolCorruptError], None]) -> Iterator[Orphan]:
    """Yield each run in a folder whose process is dead, oldest first; the caller closes it.

    Args:
        folder: what `open_spool` returned.
        on_corrupt: told of what was moved to the quarantine.

    Raises:
        OSError: the folder cannot be read.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix != RUN_SUFFIX or path.is_symlink():
            continue
        with suppress(OSError):  # it is gone, or something strange
            lock = FileLock.take(path / LOCK)
            if lock is not None:
                yield Orphan(path, lock, on_corrupt)


def _quarantine(path: Path, offset: int) -> SpoolCorruptError:
    """Move what is behind an offset to the quarantine.

    A crash in between repeats it, with the same name. Raises OSError.
    """
    folder = path.parent.parent / QUARANTINE
    folder.mkdir(mode=0o700, exist_ok=True)
    moved = folder / f"{path.parent.name}-{path.stem}-{offset}"
    size = 0
    with path.open("r+b") as damaged:
        damaged.seek(offset)
        with open(moved, "wb", opener=_open_private) as copy:
            while piece := damaged.read(COPY_BYTES):
                size += copy.write(piece)
            copy.flush()
            os.fsync(copy.fileno())
        damaged.truncate(offset)
    return SpoolCorruptError(str(moved), size)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
