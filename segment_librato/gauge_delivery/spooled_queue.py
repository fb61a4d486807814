"""The queue of gauges with a spool: each sample is on disk until the gauge that it is in leaves.

After a crash, a later process delivers the samples one by one. Owns which samples are in which
gauge, as far as their files are concerned. Must not know what samples add up to, or how files are
written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from segment_librato.gauge_delivery.aggregate import MultiSample
from segment_librato.gauge_delivery.queue import GaugeQueue, PeriodSchedule
from segment_librato.process.clock import Clock
from segment_librato.queue.message_queue import REFUSED
from segment_librato.queue.schedule import count_fitting, lengths
from segment_librato.queue.spooled import SpooledLedger, SpooledMessage, settle_record
from segment_librato.queue.spooled_queue import SpooledQueue

if TYPE_CHECKING:
    from collections.abc import Collection

    from segment_librato.librato.mapper import Measurement
    from segment_librato.queue.schedule import BatchRules, Item
    from segment_librato.spooling.segment import Segment
    from segment_librato.spooling.spool import Spool

__all__ = ["SpooledGaugeQueue", "SpooledSamples"]


class SpooledSamples(MultiSample):
    """A gauge whose samples are in segments, each on its own; to its outcome, it is one segment.

    Attributes:
        segments: one for each sample that is on disk.
    """

    __slots__ = ("segments",)

    def __init__(self, measurement: Measurement, period: int, now: int) -> None:
        """Begin with one sample, which is in memory only."""
        super().__init__(measurement, period, now)
        self.segments: list[Segment] = []

    def fold(self, other: MultiSample) -> bool:
        """Count the samples of `other` as well, and have their segments; see there.

        Not if only one of the two is on disk: what is in memory only must be told of at the end.
        """
        if isinstance(other, SpooledSamples) and bool(other.segments) != bool(self.segments):
            return False
        if not super().fold(other):
            return False
        if isinstance(other, SpooledSamples):
            self.segments.extend(other.segments)
        return True

    @property
    def segment(self) -> SpooledSamples | None:
        """What has to be told of the outcome; None if no sample is on disk."""
        return self if self.segments else None

    @property
    def written_at(self) -> float:
        """When a sample was written to the same segment as the latest one."""
        return max(one.written_at for one in self.segments)

    @property
    def is_gone(self) -> bool:
        """Whether somebody has deleted the files of all samples."""
        return all(one.is_gone for one in self.segments)

    def look(self) -> None:
        """Note whether somebody has deleted the files."""
        for segment in {*self.segments}:
            segment.look()

    def count_settled(self, _: int) -> None:
        """Count the outcome of the gauge in the segments of its samples."""
        for segment in self.segments:
            segment.count_settled(1)

    def delete_if_settled(self) -> bool:
        """Delete the segments whose messages all have their outcome; return whether all have."""
        outcomes = [segment.delete_if_settled() for segment in {*self.segments}]
        return all(outcomes)


class _SpooledGaugeLedger(SpooledLedger):
    """A ledger of gauges that wait, of their samples that were read back, and of messages."""

    def freeze(self, messages: list[Any]) -> list[Any]:
        """Return what leaves: nothing is folded into it any more."""
        return [
            one if isinstance(one, SpooledMessage) else SpooledMessage(bytes(one), one.segment)
            for one in messages
        ]


class SpooledGaugeQueue(SpooledQueue, GaugeQueue):
    """A queue in which samples wait as one message, and each is on disk. Thread-safe."""

    _kind = _SpooledGaugeLedger
    _lengths = staticmethod(lengths)  # of all kinds

    def __init__(
        self,
        spool: Spool,
        max_size: int,
        rules: BatchRules,
        period: float,
        max_bytes: int = 0,
        clock: Clock | None = None,
    ) -> None:
        """Make an empty queue; see `GaugeQueue` and `SpooledQueue`."""
        clock = clock or Clock()
        self._periods = PeriodSchedule(rules, period, clock)
        SpooledQueue.__init__(self, spool, max_size, rules, max_bytes, clock, self._periods)

    def offer(
        self, message: bytes | Item, *, has_room: bool = False
    ) -> Literal["due", "refused"] | None:
        """Write a sample, and fold it in or let it wait; see `GaugeQueue.offer`.

        If there is neither a gauge to fold it into nor room for one, it goes to disk only.
        """
        if not isinstance(message, SpooledSamples):
            return super().offer(message, has_room=has_room)
        data = message.record()
        if not has_room and (self._closed or not self.spool.has_room(len(data) + 1)):
            return REFUSED
        if self._only_writes or not (
            message.key in self._open or self._has_window(len(message) + 1)
        ):
            return self._offer_overflow(data, has_room=has_room)
        entry = SpooledMessage(data, None)
        try:
            segment = self.spool.write(self._lane, data, entry)
            if segment is None:
                return GaugeQueue.offer(self, message, has_room=has_room)
            message.segments.append(segment)
            return GaugeQueue.offer(self, message, has_room=True)
        except BaseException:  # a signal handler raised: if it is accepted, it is in memory only
            message.segments.clear()
            settle_record(entry)
            raise

    def _count_fitting(self, waiting: Collection[Any], max_messages: int, max_bytes: int) -> int:
        """Do not look at files: samples of a gauge may be in many."""
        return count_fitting(waiting, max_messages, max_bytes)
