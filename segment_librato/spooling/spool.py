"""What one queue keeps on disk: where, how much, and what is wrong with the disk.

Trouble with the disk never reaches the application: what cannot be written stays in memory, as
without a spool, and the disk is tried again later.

Owns the bound in bytes, the state of the disk and when it is asked to hold what was written. Must
not know queues, threads or the network.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from segment_librato.counters import SpoolStats
from segment_librato.foreign.interruption import let_through
from segment_librato.log import log
from segment_librato.process.clock import monotonic
from segment_librato.spooling.folder import QUARANTINE, RUN_SUFFIX, open_spool
from segment_librato.spooling.format import MAX_PAYLOAD_BYTES
from segment_librato.spooling.lane import MAX_SEGMENT_BYTES
from segment_librato.spooling.quarantine import UNREADABLE, warn_once
from segment_librato.spooling.run import SEGMENT_SUFFIX, Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.config.spool import SpoolConfig
    from segment_librato.errors import SpoolCorruptError
    from segment_librato.spooling.lane import Lane
    from segment_librato.spooling.segment import Entry, Segment, WrittenSegment

__all__ = ["Spool"]

GONE = "somebody deleted %s, which was in use; what is in memory is delivered all the same"
PAUSE_AFTER_TROUBLE = 30.0  # seconds
MIN_MEASURE_SECONDS = 0.05  # between two looks at a full folder
LOOKS = 64  # at the folder, at least, while calls fill it
SLACK = 8  # the part of the bound by which it may be exceeded while room is made
MAX_MEASURE_SECONDS = 10.0  # between two looks at one that is written to: others may fill it


class Spool:
    """The spool of one queue. Thread-safe, without a lock.

    Attributes:
        config: its options.
        folder: what `open_spool` returned.
        run: what this process writes.
        on_excess: called when the oldest messages have to make room, at once.
        count_adopted: returns how many messages of dead processes were taken over, and how many of
            them were delivered.
        on_loss: called with what is lost of this process' own files.
        quarantined: pieces of files that could not be read.
        errors: how often something could not be written or read.
        allowance: how many bytes `run` may write until the folder is measured again.
        limit: how many it may write without another look; none while there is trouble.
        drops_oldest: whether the oldest messages make room for new ones.
    """

    def __init__(self, config: SpoolConfig, folder: Path) -> None:
        """Write nothing yet."""
        self.config = config
        self.folder = folder
        self.run: Run = Run(folder, config.fsync)
        self.on_excess: Callable[[], object] = lambda: None
        self.count_adopted: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self.on_loss: Callable[[SpoolCorruptError], object] = lambda _: None
        self.run.on_trouble = self.note_trouble
        self.run.on_gone = self._note_gone
        if config.fsync and not config.deliver:
            self.run.on_dirty = self.sync_when_due
        self.drops_oldest: bool = config.when_full == "drop_oldest"
        self.reset()

    def reset(self) -> None:
        """Count from 0, and know nothing of the disk, as a forked child must; it logs nothing."""
        self.run.reset_after_fork()
        self.quarantined: int = 0
        self.errors: int = 0
        self._sync_at = -math.inf
        self._retry_at = 0.0  # when the disk is tried again; 0 without trouble
        self._has_warned = False
        self.allowance: int = -1
        self.limit: int = -1
        self._look_beyond = -1  # so many bytes written, a call looks at the folder
        self._measured_at = -math.inf

    @classmethod
    def open(cls, config: SpoolConfig, account: str, host: str) -> Spool:
        """Make the folder for what goes to this account at this host, if need be.

        Raises:
            ConfigError: it cannot be made, or is not safe.
        """
        return cls(config, open_spool(Path(config.path), account, host))

    def write(self, lane: Lane, data: bytes, entry: Entry | None = None) -> WrittenSegment | None:
        """Write a message; return the segment that has it, None if it cannot be written.

        Whatever interrupts this method, `entry` has the segment if the message is in it.
        """
        if self._retry_at and monotonic() < self._retry_at:
            return None
        errors = self.errors
        try:
            segment = lane.append(data, entry)
        except OSError as error:
            self.note_trouble(error)
            return None
        if self._retry_at and self.errors == errors:  # it could be synced, too
            self._note_recovery()
        return segment

    @property
    def size(self) -> int:
        """How many bytes there are, as far as known."""
        return self.config.max_bytes - self.allowance + self.run.written

    def has_room(self, size: int) -> bool:
        """Return whether this many bytes more may be written. May do I/O."""
        if self.run.written + size <= self._look_beyond:
            return True
        if self.run.written + size <= self.allowance:  # but others may have written, too
            self.measure()
        excess = self.excess(size)
        if excess and self.drops_oldest:
            self.on_excess()
            slack = self.config.max_bytes // SLACK
            if excess > slack:
                self.measure()
            return self.run.written + size <= self.allowance + slack
        return not excess

    def excess(self, size: int = 0) -> int:
        """Return how many bytes there would be beyond the bound, with this many more. Does I/O."""
        if monotonic() - self._measured_at >= MIN_MEASURE_SECONDS:
            self.measure()
        return max(0, self.run.written + size - self.allowance)

    def has_slack(self) -> bool:
        """Return whether there is time to make room: half the slack is not used. Does I/O."""
        return self.excess() < self.config.max_bytes // SLACK // 2

    def keep_measured(self) -> None:
        """Look now and then how much others have written. May do I/O."""
        if monotonic() - self._measured_at >= MAX_MEASURE_SECONDS:
            self.measure()

    def sync(self, fsync: Callable[[int], object] | None = None) -> bool:
        """Have the disk hold what was written before, unless the option `fsync` is None.

        Args:
            fsync: called instead of `os.fsync`.

        Returns:
            Whether it does; if not, it is to be tried again.
        """
        try:
            self.run.sync(fsync)
        except OSError as error:
            self.note_trouble(error)
            return False
        return True

    def sync_when_due(self) -> None:
        """Sync within a call, where no thread does. What is not due yet waits for a later call."""
        now = monotonic()
        if now >= self._sync_at:
            self._sync_at = now + (self.config.fsync or 0)
            self.sync()
        else:
            self.run.is_clean = True  # so that the next call asks again

    def note_unreadable(self, path: Path, error: OSError) -> None:
        """Count that a file of this process cannot be read back for now, and warn of it once."""
        self.errors += 1
        warn_once(UNREADABLE, path, error.strerror)

    def tell_loss(self, error: SpoolCorruptError) -> None:
        """Count and report what was in a file of this process that cannot be read, or is gone."""
        self.errors += 1
        self.quarantined += Path(error.path).parent.name == QUARANTINE
        self.on_loss(error)

    @property
    def is_in_trouble(self) -> bool:
        """Whether messages stay in memory, for now."""
        return self._retry_at > 0

    @property
    def is_resting(self) -> bool:
        """Whether the disk is not tried again yet."""
        return self._retry_at > monotonic()

    @property
    def takes_any(self) -> bool:
        """Whether there is room for a message of any size, or none is written for now."""
        return self.is_in_trouble or self.run.written + MAX_PAYLOAD_BYTES <= self.allowance

    def is_too_old(self, segment: Segment) -> bool:
        """Return whether the messages of a segment of this process are beyond `max_age`."""
        return self.expires_in(segment) <= 0

    def expires_in(self, segment: Segment) -> float:
        """Return the seconds until they are."""
        return segment.written_at + self.config.max_age - monotonic()

    def stats(self) -> SpoolStats:
        """Return the counters, and what the folder has of this and other processes."""
        sizes = self._sizes()
        adopted, recovered = self.count_adopted()
        return SpoolStats(
            bytes=sum(sizes),
            segments=len(sizes),
            adopted=adopted,
            recovered=recovered,
            quarantined=self.quarantined,
            errors=self.errors,
        )

    def _note_gone(self, path: Path) -> None:
        self.errors += 1
        warn_once(GONE, path.parent)

    def note_trouble(self, error: OSError) -> None:
        """Have messages stay in memory for some time, and warn of it once."""
        let_through(error, error.__context__)
        self.errors += 1
        self._retry_at, self.limit = monotonic() + PAUSE_AFTER_TROUBLE, -1
        if not self._has_warned:
            self._has_warned = True
            text = "the spool in %s does not work: %s; messages stay in memory"
            log.warning(text, self.folder, error.strerror)

    def _note_recovery(self) -> None:
        self._retry_at, self.limit = 0.0, self._look_beyond
        if self._has_warned:
            self._has_warned = False
            log.warning("the spool in %s works again", self.folder)

    def measure(self) -> None:
        """Look how much there is."""
        now = monotonic()
        if self.allowance >= 0:  # others need not look at the same time
            self._measured_at = now
        self.run.written, self.allowance = 0, self.config.max_bytes - sum(self._sizes())
        self._measured_at = now
        # All processes together must not fill what is left before one of them looks again.
        self._look_beyond = min(self.allowance, max(MAX_SEGMENT_BYTES, self.allowance // LOOKS))
        self.limit = -1 if self._retry_at else self._look_beyond

    def _sizes(self) -> list[int]:
        """Return the sizes of all segments in the folder."""
        runs = (run for run in _entries(self.folder) if run.name.endswith(RUN_SUFFIX))
        files = (file for run in runs for file in _entries(run))
        sizes = (_size(file) for file in files if file.name.endswith(SEGMENT_SUFFIX))
        return [size for size in sizes if size is not None]


def _entries(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    """Return what is in a folder; nothing if it is gone, or strange."""
    try:
        with os.scandir(folder) as entries:
            return [*entries]
    except OSError as error:
        let_through(error, error.__context__)
        return []


def _size(file: os.DirEntry[str]) -> int | None:
    """Return the size of a file; None if it is gone."""
    try:
        return file.stat(follow_symlinks=False).st_size
    except OSError as error:
        let_through(error, error.__context__)
        return None
