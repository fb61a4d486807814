"""One file of records, and how many of them have their outcome.

Owns a file until it is deleted, which is when all its messages have their outcome. Must not know
which record is whose, or how a file is read.
"""

from __future__ import annotations

import errno
import math
import os
import stat
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from segment_librato.foreign.interruption import Suppressed, let_through
from segment_librato.spooling.format import HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NOWHERE", "Entry", "Segment", "WrittenSegment"]

NOWHERE = Path(os.devnull, "nothing")
"""Where no file can ever be: the path of a segment of the parent, in a forked child."""

_FLAGS = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | os.O_APPEND
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


_is_gone = attrgetter("is_gone")


class Entry:
    """What is told which segment has a message, the moment it counts.

    Attributes:
        segment: which one; None before.
    """

    __slots__ = ("segment",)

    segment: Segment | None


class Segment:
    """A file, and the count of its records. For one thread at a time.

    Attributes:
        path: the file.
        records: how many it has, as far as known.
        settled: how many of them have their outcome.
        written_at: when its latest record was written, by the clock of this process; never, if
            another one did.
        is_sealed: whether no more are written.
        is_counted: whether `records` counts all of them.
        is_gone: whether the file is lost to this process before all its messages have their
            outcome: somebody has deleted it, or this is a forked child.
    """

    __slots__ = (
        "__weakref__",
        "is_counted",
        "is_gone",
        "is_sealed",
        "path",
        "records",
        "settled",
        "written_at",
    )

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self.records: int = 0
        self.settled: int = 0
        self.written_at: float = math.inf
        self.is_sealed: bool = True
        self.is_counted: bool = False
        self.is_gone: bool = False

    def shares(self, messages: int) -> Mapping[Segment, int]:
        """Return how many records of so many messages it has.

        What is like a segment may stand for several, and return how many each of them has.
        """
        return {self: messages}

    def look(self) -> None:
        """Note whether somebody has deleted the file, or put something else in its place."""
        if not self.is_gone:
            try:
                self.is_gone = not stat.S_ISREG(self.path.lstat().st_mode)
            except OSError as error:
                let_through(error, error.__context__)
                self.is_gone = isinstance(error, (FileNotFoundError, NotADirectoryError))

    def delete_if_settled(self) -> bool:
        """Delete the file if all its records are known and settled; return whether they are."""
        if not (self.is_counted and self.settled >= self.records):
            return False
        with Suppressed(OSError):  # usually because it is gone
            self.path.unlink()
        return True


class WrittenSegment(Segment):
    """A file that this process writes; for one thread at a time, but for its outcomes.

    Attributes:
        began: when it was made, by the clock of its run.
        size: bytes that are in it.
        synced: how many of them the disk holds, as far as known.
        descriptor: of the file; -1 if it is not open yet, or is sealed.
        first: the least sequence number that a record in it may have.
        read: how many records were read back.
        to_skip: how many that were read back come again.
    """

    __slots__ = ("began", "descriptor", "first", "read", "size", "synced", "to_skip")

    path: Path
    is_gone: bool
    is_sealed: bool
    written_at: float

    def __init__(self, path: Path, began: float, first: int = 0) -> None:
        """Make no file yet."""
        self.descriptor: int = -1
        super().__init__(path)
        self.is_sealed = False
        self.began: float = began
        self.written_at = began
        self.first: int = first
        self.size: int = 0
        self.synced: int = 0
        self.read: int = 0
        self.to_skip: int = 0

    def open(self) -> None:
        """Make the file.

        Raises:
            OSError: it cannot be made; nothing is left of it.
        """
        path = os.fspath(self.path)
        # All in C: whether it is still ours, see `disown`, the system call, and that it is known.
        found = map((path, os.devnull).__getitem__, map(_is_gone, (self,)))
        (self.descriptor,) = map(os.open, found, (_FLAGS,), (0o600,))
        try:
            written = os.write((self.descriptor, -1)[self.is_gone], HEADER)
            if written != len(HEADER):
                self.undo()
            self.size = written
        except BaseException:
            self.seal()
            self.delete_if_settled()
            raise

    def seal(self) -> None:
        """Write no more."""
        self._close()
        self.is_counted = True

    def disown(self) -> None:
        """Have nothing to do with the file any more: in a forked child, the parent writes it."""
        self.path, self.is_gone = NOWHERE, True
        self._close()

    @property
    def is_of_parent(self) -> bool:
        """Whether another process writes it: this one is a child, forked meanwhile."""
        return self.path is NOWHERE

    def __del__(self) -> None:
        """Close a file that Ctrl-C kept from its owner; it stays, as others may write to it."""
        self._close()

    def sync(self) -> None:
        """Wait until the disk holds what was written.

        Raises:
            OSError: it does not.
        """
        descriptor = self.descriptor
        if descriptor >= 0:  # else this is a child, forked meanwhile
            os.fsync(descriptor)

    def _close(self) -> None:
        # There is none if Ctrl-C came before it was made.
        descriptor, self.descriptor = getattr(self, "descriptor", -1), -1
        self.is_sealed = True
        if descriptor >= 0:
            with Suppressed(OSError):
                os.close(descriptor)

    def undo(self) -> NoReturn:
        """Take back a write for which the disk had too little room.

        Raises:
            OSError: always.
        """
        os.ftruncate(self.descriptor, self.size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
