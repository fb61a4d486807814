"""What dead processes left in a folder, in batches, oldest first.

It is streamed: memory holds one batch, and one piece of each file that is being read. A file is
deleted when all its messages have their outcome, so a batch does not go on with another file if
both together are larger than one may be: a `kill -9` has no more than that sent twice. Owns the
runs that it has taken, until what is in them has its outcome or it is closed. Must not know how a
batch is delivered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from segment_librato.foreign.interruption import Suppressed, let_through
from segment_librato.process.fork import register_after_fork
from segment_librato.spooling.format import MAX_PAYLOAD_BYTES
from segment_librato.spooling.lane import MAX_SEGMENT_BYTES
from segment_librato.spooling.orphan import UNREADABLE_RUN, Orphan, find_orphans
from segment_librato.spooling.quarantine import warn_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segment_librato.errors import SpoolCorruptError
    from segment_librato.spooling.segment import Segment

__all__ = ["Backlog", "LeftBatch"]

MAX_FILE_BYTES = MAX_SEGMENT_BYTES + MAX_PAYLOAD_BYTES
MAX_RUNS = 50  # in a batch; each is an open file


class LeftBatch(NamedTuple):
    """Messages that a dead process left.

    Attributes:
        messages: the JSON of each, and the segment that has to be told of its outcome: in this
            order, in `settled`, and then by `delete_if_settled`.
        is_expired: whether they are too old to be delivered.
    """

    messages: list[tuple[Segment, bytes]]
    is_expired: bool


class Backlog:
    """Batches of what dead processes left in a folder. For one thread at a time."""

    def __init__(
        self,
        folder: Path,
        max_messages: int,
        max_bytes: int,
        on_corrupt: Callable[[SpoolCorruptError], None],
        max_age: float | None = None,
    ) -> None:
        """Take nothing yet.

        Args:
            folder: what `open_spool` returned.
            max_messages: maximum number of messages in a batch.
            max_bytes: maximum number of bytes in a batch, each message counted with a comma.
            on_corrupt: told of what was moved to the quarantine.
            max_age: seconds after which a message is too old to be delivered; None is never.
        """
        self._folder = folder
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._on_corrupt = on_corrupt
        self._max_age = max_age
        self._forget()
        register_after_fork(self)

    def _forget(self) -> None:
        self._orphans: list[Orphan] = []  # taken, oldest first
        self._is_expired: dict[Segment, bool] = {}  # of those that are being read
        self._messages: Iterator[tuple[Orphan, Segment, bytes]] | None = None
        self._next: tuple[Orphan, Segment, bytes] | None = None  # did not fit any more

    def reset_after_fork(self) -> None:
        """Leave everything to the parent."""
        for orphan in self._orphans:
            orphan.release_after_fork()
        self._forget()

    def take(self) -> LeftBatch | None:
        """Return the next batch; None if there is none, and then the next call looks again.

        What has no outcome of the batch before stays, and is not returned again before that.

        Raises:
            OSError: the folder cannot be read.
        """
        try:
            batch = self._fill()
        except BaseException:
            self.close()
            raise
        if not batch.messages:
            self.close()
            return None
        return batch

    def close(self) -> None:
        """Let go of everything; what has no outcome is left to whoever looks next."""
        orphans = self._orphans
        self._forget()
        for orphan in orphans:
            orphan.close()

    def _fill(self) -> LeftBatch:
        """Return a batch, empty at the end."""
        if self._messages is None:
            self._messages = self._read()
        batch, size, seen = LeftBatch([], is_expired=False), 0, _Seen()
        current = self._next or next(self._messages, None)
        if current:
            self._close_before(current[0])
            batch = batch._replace(is_expired=self._is_too_old(*current[:2]))
        latest: Segment | None = None
        while current:
            orphan, segment, payload = current
            size += len(payload) + 1
            # Of a segment, either all messages are too old or none.
            fits = segment is latest or (
                seen.add(orphan, segment) and self._is_too_old(orphan, segment) == batch.is_expired
            )
            latest = segment
            if batch.messages and (
                len(batch.messages) >= self._max_messages or size > self._max_bytes or not fits
            ):
                break
            batch.messages.append((segment, payload))
            current = next(self._messages, None)
        self._next = current
        return batch

    def _read(self) -> Iterator[tuple[Orphan, Segment, bytes]]:
        for orphan in find_orphans(self._folder, self._on_corrupt):
            self._orphans.append(orphan)
            is_empty = True
            try:
                for segment, payload in orphan.messages():
                    is_empty = False
                    yield orphan, segment, payload
            except OSError as error:
                let_through(error, error.__context__)
                warn_once(UNREADABLE_RUN, orphan.path, error.strerror)
            if is_empty:
                self._orphans.remove(orphan)
                orphan.close()

    def _close_before(self, current: Orphan) -> None:
        """Let go of the runs that are read to the end, and whose messages had their time."""
        while self._orphans[0] is not current:
            self._orphans.pop(0).close()
        for segment in [one for one in self._is_expired if one.is_counted]:
            del self._is_expired[segment]

    def _is_too_old(self, orphan: Orphan, segment: Segment) -> bool:
        if self._max_age is None:
            return False
        is_expired = self._is_expired.get(segment)
        if is_expired is None:
            is_expired = self._is_expired[segment] = orphan.is_older(segment, self._max_age)
        return is_expired


class _Seen:
    """What a batch has messages of."""

    def __init__(self) -> None:
        self._orphans: set[Orphan] = set()
        self._segments: set[Segment] = set()
        self._size = 0

    def add(self, orphan: Orphan, segment: Segment) -> bool:
        """Add a segment; return whether a batch may go on with it."""
        if segment in self._segments:
            return True
        self._segments.add(segment)
        self._orphans.add(orphan)
        with Suppressed(OSError):  # it is gone meanwhile
            self._size += segment.path.lstat().st_size
        is_begun = segment.records > 1  # threads have written at the same time
        return len(self._orphans) <= MAX_RUNS and (is_begun or self._size <= MAX_FILE_BYTES)
