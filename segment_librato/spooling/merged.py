"""Several segments read as one, in the order in which their messages were accepted.

Threads that track at the same time write to different segments, and each record has a number from
one sequence. Files are opened when their first record is due, so only those that were written at
the same time are open together, and memory holds one piece of each.

Owns the open files. Must not know what becomes of a record.
"""

from __future__ import annotations

import errno
import os
import stat
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Generic, TypeVar

from segment_librato.foreign.interruption import let_through
from segment_librato.spooling.format import CorruptSegmentError, SegmentReader, UnknownVersionError
from segment_librato.spooling.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["MergedReader"]

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # somebody may have put a named pipe there
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)

Kind = TypeVar("Kind", bound=Segment)


class _Open(Generic[Kind]):
    """A segment that is being read."""

    def __init__(self, segment: Kind) -> None:
        self.segment = segment
        self._file = open(segment.path, "rb", buffering=0, opener=_open)  # noqa: SIM115  kept open
        try:
            self._reader = SegmentReader(self._file)
        except BaseException:
            self._file.close()
            raise
        self._records = iter(self._reader)
        self.payload = b""

    def advance(self) -> int | None:
        """Have the next record in `payload`; return its number, None if there is none, for now."""
        for number, payload in self._records:
            self.payload = payload
            return number
        self._records = iter(self._reader)  # it may grow
        return None

    def close(self) -> None:
        self._file.close()


class MergedReader(Generic[Kind]):
    """Reads segments in the order of their records. For one thread at a time.

    Attributes:
        is_torn: whether `begin_again` has to come before the next read, as an exception has ended
            the last one. Whoever stops a read before its end sets it to False.
    """

    def __init__(
        self,
        on_end: Callable[[Kind], None],
        on_trouble: Callable[[Kind, Exception], object],
    ) -> None:
        """Read nothing yet.

        Args:
            on_end: called with a segment when all its records were read, and it is sealed.
            on_trouble: called with one that cannot be read on, and with a CorruptSegmentError, an
                UnknownVersionError or an OSError; returns whether the next read is to begin it
                again.
        """
        self._on_end = on_end
        self._on_trouble = on_trouble
        self._unopened: list[tuple[int, int, Kind]] = []
        self._ahead: list[tuple[int, int, _Open[Kind]]] = []
        self._exhausted: list[tuple[int, _Open[Kind]]] = []  # for now
        self._yielded: tuple[int, _Open[Kind]] | None = None  # what comes next is not read yet
        self._put_off: list[tuple[int, Kind]] = []  # to the next read
        self._added = 0
        self._given: dict[Kind, int] = {}  # that are not read to their end, wherever they are
        self.is_torn: bool = False

    def add(self, segment: Kind, first: int) -> None:
        """Read this segment as well; `first` is the sequence number of its first record."""
        self._added += 1
        entry = first, self._added, segment
        self._given[segment] = first  # no call between these
        heappush(self._unopened, entry)

    def _add_again(self, segments: list[tuple[int, Kind]]) -> None:
        """Read these segments once more, and empty the list; each with its `first`, as in `add`."""
        added = self._added + 1
        entries = [(first, at, one) for at, (first, one) in enumerate(segments, added)]
        self._added += len(entries)
        # No call between these: Ctrl-C finds each segment here or there.
        self._unopened += entries
        del segments[:]
        heapify(self._unopened)

    def begin_again(self) -> None:
        """Read all of them from their beginning, as an exception may have left some anywhere."""
        given = self._given.copy()  # before: calls add segments
        unopened = {one for _, _, one in self._unopened.copy()}
        self._close_opened()
        self._put_off = []
        self._add_again([(first, one) for one, first in given.items() if one not in unopened])
        self.is_torn = False

    def read(self) -> Generator[tuple[Kind, bytes], None, None]:
        """Yield the records that are written so far, in order, with their segments."""
        self.is_torn = True
        self._add_again(self._put_off)
        exhausted, self._exhausted = self._exhausted, []
        for number, opened in exhausted:
            self._look_ahead(number, opened)
        while True:
            # Not before: the end of a segment is told when its last record is known.
            yielded, self._yielded = self._yielded, None
            if yielded:
                self._look_ahead(*yielded)
            self._open_what_is_due()
            if not self._ahead:
                self.is_torn = False
                return
            _, number, opened = heappop(self._ahead)
            self._yielded = number, opened
            yield opened.segment, opened.payload

    @property
    def has_files(self) -> bool:
        """Whether files are open, or will be."""
        return bool(self._given)

    @property
    def has_put_off(self) -> bool:
        """Whether the next read begins any again, because of an error."""
        return bool(self._put_off)

    def segments(self) -> list[Kind]:
        """Return the segments that are not read to their end."""
        return [*self._given]

    def close(self) -> None:
        """Close the files, and forget all segments."""
        self._close_opened()
        self._unopened, self._put_off, self._given = [], [], {}

    def _close_opened(self) -> None:
        for _, _, opened in self._ahead:
            opened.close()
        for _, opened in self._exhausted:
            opened.close()
        if self._yielded:
            self._yielded[1].close()
        self._ahead, self._exhausted, self._yielded = [], [], None

    def _open_what_is_due(self) -> None:
        while self._unopened:
            if self._ahead and self._ahead[0][0] < self._unopened[0][0]:
                return
            _, number, segment = heappop(self._unopened)
            try:
                opened = _Open(segment)
            except (CorruptSegmentError, OSError, UnknownVersionError) as error:
                let_through(error, error.__context__)
                self._end_with(segment, error)
            else:
                self._look_ahead(number, opened)

    def _look_ahead(self, number: int, opened: _Open[Kind]) -> None:
        was_sealed = opened.segment.is_sealed  # asked before it is read
        try:
            first = opened.advance()
        except BaseException as error:
            opened.close()
            if not isinstance(error, (CorruptSegmentError, OSError)):
                raise
            let_through(error, error.__context__)
            self._end_with(opened.segment, error)
            return
        if first is not None:
            heappush(self._ahead, (first, number, opened))
        elif was_sealed:
            opened.close()
            self._on_end(opened.segment)
            self._given.pop(opened.segment, None)
        else:
            self._exhausted.append((number, opened))

    def _end_with(self, segment: Kind, error: Exception) -> None:
        if self._on_trouble(segment, error):
            self._put_off.append((self._given[segment], segment))
        else:
            self._given.pop(segment, None)


def _open(path: str, _flags: int) -> int:
    descriptor = os.open(path, _FLAGS)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a file")
    return descriptor
