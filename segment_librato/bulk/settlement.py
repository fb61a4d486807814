"""What of some files is settled, and how.

Must not know how it is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Range", "Settlement"]


class Range(NamedTuple):
    """A part of a file that is settled.

    Attributes:
        first: the position where it begins.
        last: the position where it ends.
        number: the number of its last line, or in Parquet of its last row.
        rows: how many rows it has.
    """

    first: int
    last: int
    number: int
    rows: int


class Settlement(NamedTuple):
    """What is settled together.

    Attributes:
        ranges: parts of files, with the id of each file.
        delivered: how many rows were delivered in all runs so far.
        reasons: how many were rejected in them, by reason.
        counts_rows: whether equal rows have to be counted, also after this run.
    """

    ranges: list[tuple[int, Range]]
    delivered: int
    reasons: Mapping[str, int]
    counts_rows: bool
