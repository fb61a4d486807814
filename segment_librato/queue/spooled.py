"""Messages that are on disk as well, and the ledger that tells their files of their outcome.

A batch that cannot be delivered for now is *set aside*: it stays in flight, without a holder,
until it is due for another try. What a shutdown has no time for is *left*: it has no outcome here,
and stays pending, because a later process will see to it.

Owns which file a message is in. Must not know how files are written or read.
"""

from __future__ import annotations

from collections import Counter
from itertools import repeat
from operator import add, attrgetter
from typing import TYPE_CHECKING, Any, cast

from segment_librato.process.locks import synchronized
from segment_librato.queue.in_flight import InFlightBatch
from segment_librato.queue.ledger import Ledger
from segment_librato.spooling.segment import Entry, WrittenSegment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Sized

    from segment_librato.process.locks import SignalSafeCondition
    from segment_librato.spooling.segment import Segment

__all__ = [
    "SpooledLedger",
    "SpooledMessage",
    "count_of_a_file",
    "delete_settled",
    "drop_record",
    "is_spooled",
    "keep_only",
    "lengths_of_spooled",
    "put_back",
    "segments_of",
    "settle_record",
]

NOBODY = 0  # the id of no thread


class SpooledMessage(Entry):
    """A message that is in a segment, too, usually; its place there is not known."""

    __slots__ = ("data",)

    def __init__(self, data: bytes, segment: Segment | None) -> None:
        """Make the entry of a queue.

        Args:
            data: its JSON.
            segment: has it, until it is settled; of a gauge, what stands for those that have its
                samples; None if it is in memory only.
        """
        self.data: bytes = data
        self.segment = segment

    def __len__(self) -> int:
        """Return how many bytes it is."""
        return len(self.data)

    def __bytes__(self) -> bytes:
        """Return its JSON."""
        return self.data


# In C, as there may be thousands in a batch.
_segment_of = attrgetter("segment")
_data_of = attrgetter("data")
_settled_of = attrgetter("settled")


class SpooledLedger(Ledger):
    """A ledger whose batches have a `SpooledMessage` in the place of bytes.

    An outcome is counted in the segment of its message, under the lock. A segment whose messages
    all have one can be deleted: by `delete_settled`, without the lock.

    Attributes:
        left: messages that were left and are in memory still, for who rewrites their segments.
    """

    def __init__(self, changed: SignalSafeCondition, waiting: Sized) -> None:
        """Count nothing yet; see `Ledger`."""
        super().__init__(changed, waiting)
        self.left: list[SpooledMessage] = []

    def freeze(self, messages: list[Any]) -> list[Any]:
        """Return what a batch has of these entries; nothing changes a `SpooledMessage`."""
        return messages

    @synchronized
    def set_aside(self, batch: InFlightBatch, retry_at: float) -> None:
        """Let another consumer have what is left of a batch, from this time on."""
        if not batch.abandoned:
            batch.turns += 1
            batch.thread, batch.thread_id = None, NOBODY
            batch.retry_at = retry_at

    @synchronized
    def recall(self, now: float) -> None:
        """Have the batches adopted that were set aside until now, or earlier."""
        for batch in self._batches_set_aside():
            if batch.retry_at is not None and batch.retry_at <= now:
                batch.retry_at, batch.is_orphan = None, True

    @synchronized
    def recall_oldest(self) -> None:
        """Have the oldest batch adopted of those that were set aside, if there is one."""
        batch = min(self._batches_set_aside(), key=attrgetter("first"), default=None)
        if batch:
            batch.retry_at, batch.is_orphan = None, True

    @synchronized
    def next_retry(self) -> float | None:
        """Return when the next batch that was set aside is due; None if there is none."""
        times = [one.retry_at for one in self._batches_set_aside() if one.retry_at is not None]
        return min(times, default=None)

    @synchronized
    def count_set_aside(self) -> int:
        """Return how many batches are set aside."""
        return len(self._batches_set_aside())

    @synchronized
    def in_flight(self) -> list[SpooledMessage]:
        """Return the messages in flight that have no outcome."""
        return [one for batch in self._in_flight.copy() for one in batch.messages[batch.claimed :]]

    @property
    def counts(self) -> dict[str, int]:
        """The counters, by name; under the lock."""
        return self._counts

    @synchronized
    def abandon(self, left_over: list[tuple[InFlightBatch, tuple[bytes, ...]]]) -> None:
        """Leave what is on disk; claim the rest, as without a spool."""
        for batch in self._in_flight.copy():
            batch.retry_at = None
            if batch.is_orphan:
                self._take_back(batch)
            if not (batch.is_claimed or batch.abandoned):
                self._leave_spooled(batch)
        super().abandon(left_over)

    def _leave_spooled(self, batch: InFlightBatch) -> None:
        """Leave what is left of a batch and on disk; move the rest into another batch."""
        rest = self.freeze(batch.messages[batch.claimed :])
        in_memory = [one for one in rest if not is_spooled(one)]
        self.left += filter(is_spooled, rest)
        left = self._counts["left"] + len(rest) - len(in_memory)
        others, done = InFlightBatch(), batch.messages[: batch.claimed]
        others.first, others.last_error = batch.first + batch.claimed, batch.last_error
        self._in_flight.add(others)
        # One statement: Ctrl-C finds all of it done, or nothing.
        batch.messages, batch.abandoned, others.messages, self._counts["left"] = (
            done,
            True,
            in_memory,
            left,
        )
        if not in_memory:
            self._in_flight.discard(others)
        if batch.settled == len(done):
            self._in_flight.discard(batch)

    def _batches_set_aside(self) -> list[InFlightBatch]:
        return [batch for batch in self._in_flight.copy() if batch.retry_at is not None]

    def _settle(self, batch: InFlightBatch, outcome: str, count: int, claimed: int = 0) -> None:
        first = batch.settled
        telling = _outcomes_of(batch.messages[first : first + count])
        try:
            super()._settle(batch, outcome, count, claimed)
        finally:
            # One statement, without a branch, and all in C: the files are told if it was counted.
            _ = [*((), telling)[batch.settled > first]]


def lengths_of_spooled(messages: Iterable[SpooledMessage]) -> Iterable[int]:
    """Return how long each of these is, in a third of the time that their `len` takes."""
    return map(len, map(_data_of, messages))


def _outcomes_of(messages: Iterable[SpooledMessage]) -> Iterator[None]:
    """Return what counts the outcome of these messages in their segments, once it is iterated."""
    counts: Counter[Segment] = Counter()
    for segment, settled in Counter(map(_segment_of, messages)).items():
        if segment:
            for part, records in segment.shares(settled).items():
                counts[part] += records
    sums = map(add, map(_settled_of, counts), counts.values())
    return map(setattr, counts, repeat("settled"), sums)


def is_spooled(message: SpooledMessage) -> bool:
    """Return whether a message is on disk as well, as far as is known."""
    return message.segment is not None and not message.segment.is_gone


def settle_record(message: SpooledMessage) -> None:
    """Have the record of a message, which is elsewhere or not accepted, not keep its segment."""
    outcome = _outcomes_of([message])
    # One statement, and all in C: no signal handler comes in between.
    message.segment, _ = None, [*outcome]


def drop_record(message: SpooledMessage) -> None:
    """Do the same for a message that was not accepted; delete a file of such only. Does I/O."""
    segments = segments_of([message])
    settle_record(message)
    for segment in segments:
        segment.delete_if_settled()


def delete_settled(messages: Iterable[SpooledMessage]) -> None:
    """Delete the segments of these messages in which all have their outcome. Does I/O."""
    for segment in segments_of(messages):
        segment.delete_if_settled()


def segments_of(messages: Iterable[SpooledMessage]) -> set[Segment]:
    """Return the segments that have any of these messages, each once."""
    segments = filter(None, {*map(_segment_of, messages)})
    return {part for segment in segments for part in segment.shares(1)}


def put_back(messages: Iterable[SpooledMessage]) -> dict[WrittenSegment, None]:
    """Count messages that were read back, and are left, as not read; return their segments."""
    segments = [cast("WrittenSegment", message.segment) for message in messages]
    for segment in segments:
        segment.read -= 1
    return dict.fromkeys(segments)


def keep_only(left: Iterable[SpooledMessage], partly_read: Iterable[Segment]) -> None:
    """Rewrite the segments of messages that were left, without those that have their outcome.

    Args:
        left: the messages, as far as they are in memory.
        partly_read: segments with others.
    """
    from segment_librato.spooling.rest import keep_rest  # few need it

    payloads: dict[Segment | None, Counter[bytes]] = {one: Counter() for one in partly_read}
    for message in left:
        payloads.setdefault(message.segment, Counter())[message.data] += 1
    for segment, of_segment in payloads.items():
        if isinstance(segment, WrittenSegment) and segment.is_sealed and segment.settled:
            keep_rest(segment, of_segment)


def count_of_a_file(messages: Sequence[SpooledMessage], max_bytes: int) -> int:
    """Return how many of these a batch gets, so that a `kill -9` has few of them sent twice.

    A segment is deleted when all in it is delivered. So a batch does not begin another one if
    that, and those that it has messages of, are larger than one may be; segments that several
    threads write at the same time are all begun, sooner or later.
    """
    segments: set[Segment | None] = {*map(_segment_of, messages)}
    if len(segments) == 1:
        return len(messages)
    seen: set[Segment | None] = {None}
    size = 0
    for index, segment in enumerate(map(_segment_of, messages)):
        if segment in seen or segment is None:
            continue
        seen.add(segment)
        size += segment.size
        if index and size > max_bytes and not segment.settled:
            return index
    return len(messages)
