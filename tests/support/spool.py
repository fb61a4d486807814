"""Folders of the spool, as tests find and make them."""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING
from zlib import crc32

from segment_librato.spooling.format import HEADER, pack
from segment_librato.spooling.lane import MAX_SEGMENT_BYTES
from segment_librato.spooling.lock import FileLock
from segment_librato.spooling.orphan import find_orphans
from segment_librato.spooling.run_folder import LOCK
from support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.errors import SpoolCorruptError
    from segment_librato.spooling.segment import Segment

__all__ = [
    "Corruption",
    "drain",
    "max_messages_of_segment",
    "numbers",
    "run_by_hand",
    "segment_of",
    "settle_one",
    "unknown_version",
    "wait_until_released",
]


class Corruption:
    """Keeps what it is told of."""

    def __init__(self) -> None:
        self.errors: list[SpoolCorruptError] = []

    def __call__(self, error: SpoolCorruptError) -> None:
        self.errors.append(error)


def settle_one(segment: Segment) -> None:
    """Have a message have its outcome, and delete the file if it is the last."""
    segment.settled += 1
    segment.delete_if_settled()


def drain(folder: Path, corruption: Corruption) -> list[bytes]:
    """Return what dead processes left, and settle it."""
    found = []
    for orphan in find_orphans(folder, corruption):
        for segment, payload in orphan.messages():
            found.append(payload)
            settle_one(segment)
        orphan.close()
    return found


def numbers(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last)]


def run_by_hand(folder: Path, *segments: bytes, name: str = "20260101T000000Z-1-00000000") -> Path:
    """Make a run of a dead process with these segments."""
    run = folder / f"{name}.run"
    run.mkdir()
    (run / LOCK).touch()
    for number, data in enumerate(segments):
        (run / f"{number * 100:016x}.seg").write_bytes(data)
    return run


def segment_of(first: int, count: int) -> bytes:
    return HEADER + b"".join(pack(n, b"%d" % n) for n in range(first, first + count))


def unknown_version() -> bytes:
    """Return a segment of another version of the format."""
    start = struct.pack("<8sHH", b"segspool", 2, 0)
    return start + struct.pack("<I", crc32(start))


def max_messages_of_segment(size: int) -> int:
    """Return how many messages of at least this size a segment has at most."""
    return -(-(MAX_SEGMENT_BYTES - len(HEADER)) // size)


def wait_until_released(spool: Path) -> None:
    """Wait until no process holds a run: one that is killed closes its output before its lock."""
    for path in spool.rglob(LOCK):
        wait_until(partial(_is_released, path))


def _is_released(path: Path) -> bool:
    try:
        lock = FileLock.take(path)
    except FileNotFoundError:
        return True
    if lock:
        lock.release()
    return lock is not None
