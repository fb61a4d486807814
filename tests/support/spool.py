"""Folders of the spool, as tests find and make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.spooling.format import HEADER, pack
from segment_librato.spooling.orphan import find_orphans
from segment_librato.spooling.run import LOCK, MAX_SEGMENT_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.errors import SpoolCorruptError

__all__ = ["Corruption", "drain", "max_messages_of_segment", "numbers", "run_by_hand", "segment_of"]


class Corruption:
    """Keeps what it is told of."""

    def __init__(self) -> None:
        self.errors: list[SpoolCorruptError] = []

    def __call__(self, error: SpoolCorruptError) -> None:
        self.errors.append(error)


def drain(folder: Path, corruption: Corruption) -> list[bytes]:
    """Return what dead processes left, and settle it."""
    found = []
    for orphan in find_orphans(folder, corruption):
        for segment, payload in orphan.messages():
            found.append(payload)
            segment.settle(1)
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


def max_messages_of_segment(size: int) -> int:
    """Return how many messages of at least this size a segment has at most."""
    return -(-(MAX_SEGMENT_BYTES - len(HEADER)) // size)
