"""Segments of which a part has its outcome: a copy of the rest takes their place.

A crash in between leaves the segment as it was, and a copy that whoever reads the run removes.
Owns the copy. Must not know who reads the rest, or when.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from segment_librato.foreign.interruption import Suppressed, let_through
from segment_librato.spooling.folder import sync_folder
from segment_librato.spooling.format import (
    HEADER,
    CorruptSegmentError,
    SegmentReader,
    UnknownVersionError,
    pack,
)

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable
    from io import FileIO
    from pathlib import Path
    from typing import BinaryIO

    from segment_librato.spooling.run import Run
    from segment_librato.spooling.segment import WrittenSegment

__all__ = [
    "COPY_SUFFIX",
    "copy_rest",
    "drop_first",
    "keep_rest",
    "open_private",
    "open_segment",
    "write_anew",
]

COPY_SUFFIX = ".copy"
COPY_BYTES = 64 * 1024


def keep_rest(segment: WrittenSegment, left: Counter[bytes]) -> None:
    """Drop the messages of a segment of this process that have their outcome.

    It stays as it is if the sums do not agree, as while a thread still reports some of them, or if
    there is no room for a copy: then these are delivered once more.

    Args:
        segment: one that is sealed.
        left: how often each was left, of the messages which were not only on disk. If some say the
            same, the youngest are kept.
    """
    were_in_memory = segment.read or segment.records
    count = segment.records - segment.settled
    if segment.settled + left.total() != were_in_memory:
        return
    try:
        with open_segment(segment.path) as file:
            kept = _keep([*SegmentReader(file)], were_in_memory, left)
        if len(kept) == count > 0:
            _rewrite(segment.path, kept)
            segment.records, segment.settled = count, 0
    except (OSError, CorruptSegmentError, UnknownVersionError) as error:
        let_through(error, error.__context__)


def write_anew(run: Run, payloads: Iterable[bytes]) -> bool:
    """Write messages to a segment of their own, all or none of them, and have the disk hold it.

    Returns False if they cannot be written.
    """
    segment: WrittenSegment | None = None
    records = [*zip(run.sequence, payloads)]  # noqa: B905  as many as there are messages
    try:
        segment = run.make_segment(records[0][0])
        _rewrite(segment.path, records)
        sync_folder(segment.path.parent, os.fsync)
        segment.records = len(records)
    except OSError as error:
        let_through(error, error.__context__)
    finally:
        if segment:
            run.seal(segment)  # which deletes it if nothing is in it
    return bool(segment and segment.records)


def drop_first(path: Path, settled: int) -> None:
    """Drop the first records of a segment, so that nothing is sent twice; it keeps its age.

    Raises:
        OSError: it is as before.
    """

    def write_rest(new: BinaryIO) -> None:
        with open_segment(path) as old:
            reader = SegmentReader(old)
            for _ in zip(range(settled), reader, strict=False):
                pass
            old.seek(reader.offset)
            copy_rest(old, new)

    _replace(path, write_rest)


def _keep(
    records: list[tuple[int, bytes]], were_in_memory: int, left: Counter[bytes]
) -> list[tuple[int, bytes]]:
    """Return the records of what was left; all from an index on were on disk only."""
    kept: list[tuple[int, bytes]] = []
    missing = left.copy()
    for at, record in reversed([*enumerate(records)]):
        if at >= were_in_memory:
            kept.append(record)
        elif missing[record[1]]:
            missing[record[1]] -= 1
            kept.append(record)
    return kept[::-1]


def _rewrite(path: Path, records: Iterable[tuple[int, bytes]]) -> None:
    """Have a file consist of these records; it keeps its age. Raises OSError: it is as before."""

    def write_records(new: BinaryIO) -> None:
        new.writelines(pack(number, payload) for number, payload in records)
        new.flush()
        os.fsync(new.fileno())

    _replace(path, write_records)


def _replace(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Have a file consist of a header and what a function writes; see `_rewrite`."""
    copy = path.with_suffix(COPY_SUFFIX)
    try:
        with open(copy, "wb", opener=open_private) as new:
            new.write(HEADER)
            write(new)
        times = path.lstat()
        os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))
        copy.replace(path)
    except BaseException:
        with Suppressed(OSError):
            copy.unlink()
        raise


def open_segment(path: Path, mode: Literal["rb", "r+b"] = "rb") -> FileIO:
    """Open a segment that is known to be a file, unbuffered. Raises OSError."""
    return open(path, mode, buffering=0, opener=_open_no_link)


def copy_rest(source: FileIO, target: BinaryIO) -> int:
    """Copy all that can still be read, have the disk hold it, and return its size."""
    size = 0
    while piece := source.read(COPY_BYTES):
        size += target.write(piece)
    target.flush()
    os.fsync(target.fileno())
    return size


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def open_private(path: str, flags: int) -> int:
    """Open a file for its owner only; the opener of a copy. Raises OSError."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
