"""The queue of gauges with a spool: each sample is on disk until the gauge that it is in leaves.

After a crash, a later process delivers the samples one by one; what a shutdown leaves is written as
one gauge. Owns which samples are in which gauge, as far as their files are concerned. Must not know
what samples add up to, or how files are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from segment_librato.gauge_delivery.aggregate import MultiSample, Totals
from segment_librato.gauge_delivery.queue import GaugeQueue, PeriodSchedule
from segment_librato.process.clock import Clock
from segment_librato.queue.message_queue import REFUSED
from segment_librato.queue.schedule import count_fitting, lengths
from segment_librato.queue.spooled import (
    SpooledLedger,
    SpooledMessage,
    drop_record,
    segments_of,
    settle_record,
)
from segment_librato.queue.spooled_queue import SpooledQueue
from segment_librato.spooling.segment import WrittenSegment

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from segment_librato.librato.mapper import Measurement
    from segment_librato.queue.schedule import BatchRules
    from segment_librato.spooling.segment import Segment
    from segment_librato.spooling.spool import Spool

__all__ = ["SpooledGaugeQueue", "SpooledSamples"]


class _SpooledTotals(Totals):
    """What some samples add up to, and where their records are. Immutable once it counts.

    Attributes:
        records: how many records of these samples are in which segment; none if they are in memory
            only.
    """

    __slots__ = ("records",)

    def __init__(self, value: float) -> None:
        """Make the totals of one sample that is in memory only."""
        super().__init__(value)
        self.records: dict[Segment, int] = {}

    def plus(self, other: Any) -> Totals:  # noqa: ANN401  of the same class
        """Return the totals of these samples and those, with the records of both."""
        both = cast("_SpooledTotals", super().plus(other))
        both.records = {**self.records}
        for segment, count in other.records.items():
            both.records[segment] = both.records.get(segment, 0) + count
        return both


class SpooledSamples(MultiSample):
    """A gauge whose samples are in segments, each on its own.

    The totals say which records belong to it, too: so at every moment, a sample counts with its
    record, or neither does.
    """

    __slots__ = ("outside",)

    _kind = _SpooledTotals

    def __init__(self, measurement: Measurement, period: int, now: int) -> None:
        """Begin with one sample, which is in memory only."""
        super().__init__(measurement, period, now)
        self.outside: list[Totals] = [*self._samples]  # pyright: ignore[reportIncompatibleVariableOverride]  never None

    def fold(self, other: Any) -> bool:  # noqa: ANN401  of the same class
        """Count the samples of `other` as well, and have their records; see there.

        Not if only one of the two is on disk: what is in memory only must be told of at the end.
        """
        return self.is_on_disk is other.is_on_disk and super().fold(other)

    def note_record(self, segment: Segment) -> None:
        """Note where the record of a sample is that counts nowhere yet."""
        totals: Any = self._totals()
        totals.records = {segment: 1}

    @property
    def segment(self) -> GaugeRecords | None:
        """What has to be told of the outcome, once it is sealed; None if it is in memory only."""
        totals: Any = self._totals()
        return GaugeRecords(totals.records) if totals.records else None

    @property
    def is_on_disk(self) -> bool:
        """Whether the samples are: all of them, or none."""
        totals: Any = self._samples[0]
        return bool(totals.records)


class GaugeRecords:
    """The records of the samples of a gauge: to its outcome, they are one segment."""

    __slots__ = ("_counts",)

    def __init__(self, counts: dict[Segment, int]) -> None:
        """Name the segments, and how many records are in each."""
        self._counts = counts

    @property
    def written_at(self) -> float:
        """When the latest record was written to any of these segments."""
        return max(one.written_at for one in self._counts)

    @property
    def is_gone(self) -> bool:
        """Whether somebody has deleted the file of any sample."""
        return any(one.is_gone for one in self._counts)

    def shares(self, _: int) -> Mapping[Segment, int]:
        """Return how many records these segments have of the gauge, which has one outcome."""
        return self._counts


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
        self,
        message: Any,  # noqa: ANN401  `SpooledSamples`
        *,
        has_room: bool = False,
    ) -> Literal["due", "refused"] | None:
        """Write a sample, and fold it in or let it wait; see `GaugeQueue.offer`.

        If there is neither a gauge to fold it into nor room for one, it goes to disk only.
        """
        data = message.record()
        overtakes = self._line and message.key not in self._open  # calls that wait for room
        if not has_room and (self._closed or overtakes or not self.spool.has_room(len(data) + 1)):
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
            if segment.is_of_parent:  # a signal handler has forked: so is the sample
                return None
            message.note_record(segment)
            return GaugeQueue.offer(self, message, has_room=True)
        except BaseException:  # a signal handler raised
            if message.outside:  # it does not count, so its record must not, either
                drop_record(entry)
            raise

    def _compact(self, left: list[SpooledMessage]) -> list[SpooledMessage]:
        """Write each gauge that was left in place of its samples; return the other messages.

        So nothing is left of samples that were delivered, or reported. What cannot be written
        stays as it is.
        """
        from segment_librato.spooling.rest import write_anew  # few need it

        gauges = [one for one in left if isinstance(one.segment, GaugeRecords)]
        segments, size = segments_of(gauges), self.rules.max_messages
        for some in [gauges[at : at + size] for at in range(0, len(gauges), size)]:
            if not write_anew(self.spool.run, [one.data for one in some]):
                break
            for gauge in some:
                settle_record(gauge)
        for segment in segments:
            segment.delete_if_settled()
        return [one for one in left if isinstance(one.segment, WrittenSegment)]

    def _count_fitting(self, waiting: Collection[Any], max_messages: int, max_bytes: int) -> int:
        """Do not look at files: samples of a gauge may be in many."""
        return count_fitting(waiting, max_messages, max_bytes)
