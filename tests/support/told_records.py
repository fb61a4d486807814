"""Which file has which message: a process says so, before it writes it, and a test listens.

What says it is only for processes that end with a test: it replaces parts of the library.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from segment_librato.spooling import lane, run
from segment_librato.spooling.format import RECORD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from segment_librato.spooling.segment import WrittenSegment

__all__ = ["Record", "limit_files", "size_of", "tell_records"]


class Record(NamedTuple):
    """Where a message was written, or would have been, had the process lived on.

    Attributes:
        process: which one did, in its own words.
        file: the path.
        size: of the record.
    """

    process: str
    file: str
    size: int


def size_of(records: Iterable[Record]) -> int:
    return sum(record.size for record in records)


def limit_files(file_size: int, max_record: int) -> None:
    """Close files from a size on; to be called before a client imports what looks at it.

    Args:
        file_size: in bytes.
        max_record: the most bytes that a record takes.
    """
    assert "segment_librato.queue.overflowing_queue" not in sys.modules
    lane.MAX_SEGMENT_BYTES = file_size
    from segment_librato.spooling import backlog

    backlog.MAX_FILE_BYTES = file_size + max_record


def tell_records(say: Callable[[str], object], process: Callable[[], str]) -> None:
    """Say `id process file size` of each record.

    Args:
        say: called with it.
        process: returns who this is.
    """
    files: dict[int, Path] = {}
    make_segment = run.Run.make_segment

    def make(self: run.Run, first: int) -> WrittenSegment:
        segment = make_segment(self, first)
        files[segment.descriptor] = segment.path
        return segment

    def write(descriptor: int, record: Any) -> int:
        message_id = json.loads(record[RECORD_BYTES:])["messageId"]
        say(f"{message_id} {process()} {files[descriptor]} {len(record)}")
        return os.write(descriptor, record)

    run.Run.make_segment, lane.write = make, write  # type: ignore[method-assign, attr-defined]
