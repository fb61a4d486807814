"""A row with its position, and what else the reading of a file is told and tells.

Owns the words for what is to be read. Must not know formats.
"""

from __future__ import annotations

from typing import NamedTuple

from segment_librato.bulk.outcomes import Unreadable

__all__ = ["FileError", "Gap", "Item", "unreadable"]

KEPT_BYTES = 32 * 1024


class FileError(ValueError):
    """A file cannot be imported as it is, or not with these options; the text says what to do."""


def unreadable(reason: str, data: bytes) -> Unreadable:
    """Return what stands for a row that cannot be read; of what is there, its beginning."""
    text = data[:KEPT_BYTES].rstrip(b"\r\n").decode("utf-8", "backslashreplace")
    return Unreadable(reason, text)


class Item(NamedTuple):
    """A row of a file.

    Attributes:
        row: the row, or an `Unreadable`.
        end: the position behind it; that of the row before is where it begins.
        number: of its first line, or in Parquet of its row, from 1.
        until: of its last line, or the same.
    """

    row: object
    end: int
    number: int
    until: int


class Gap(NamedTuple):
    """A part of a file that is to be read.

    Attributes:
        first: the position where it begins.
        last: the position where it ends; None is the end of the file.
        number: the number of the last line before it, or in Parquet of the last row.
    """

    first: int = 0
    last: int | None = None
    number: int = 0
