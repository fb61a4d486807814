"""Rows that are sent in one request, and what became of them.

Must not know who sends them.
"""

from __future__ import annotations

import json
from itertools import count, repeat
from typing import TYPE_CHECKING, Any

from segment_librato.bulk.outcomes import DELIVERED, REJECTED, Outcome, Settled
from segment_librato.encoding.sizes import MAX_LOOKS, text_size
from segment_librato.errors import APIError
from segment_librato.transport.envelope import MAX_BATCH_BYTES

if TYPE_CHECKING:
    from segment_librato.errors import SegmentError

__all__ = ["Chunk"]


class Chunk:
    """Rows that follow each other.

    Attributes:
        first: the number of the first row.
        messages: the JSON of those that were not rejected.
        size: the bytes of the messages, each counted with a comma, and about those of the rows
            that were rejected.
        kept: the bytes of the rows of the messages.
        settled: how many of the messages have an outcome, from the first one on.
        failure: why the others have none; None if all have.
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self.messages: list[bytes] = []
        self.size: int = 0
        self.kept: int = 0
        self.settled = 0
        self.failure: SegmentError | None = None
        self._rows: list[Any] = []  # JSON stands for one that is a message
        self._ids: list[str | None] = []
        self._errors: dict[int, SegmentError] = {}  # by position among the rows
        self._positions: list[int] = []  # of the messages among the rows

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def add(self, message_id: str, message: bytes, row: object, kept: int) -> None:
        """Add a row that is a message, and how many bytes it has; it may be JSON."""
        self._positions.append(len(self._rows))
        self._rows.append(row)
        self._ids.append(message_id)
        self.messages.append(message)
        self.size += len(message) + 1
        self.kept += kept

    def add_rejected(self, row: object, error: SegmentError) -> None:
        """Add a row that cannot be a message."""
        self._errors[len(self._rows)] = error
        self._rows.append(row)
        self._ids.append(None)
        size = text_size([row])
        self.size += size if size < MAX_LOOKS else MAX_BATCH_BYTES  # it may have any size

    def reject(self, message: int, error: SegmentError) -> None:
        """Note that the server rejected a message, by its position among the messages."""
        self._errors[self._positions[message]] = error

    def outcome(self) -> Settled:
        """Return the outcomes of the rows that have one, up to the first that has none."""
        end = len(self._rows)
        if self.settled < len(self.messages):
            end = self._positions[self.settled]
        nothing = repeat(None)
        fields = zip(
            count(self.first), self._ids[:end], repeat(DELIVERED), nothing, nothing, nothing
        )
        outcomes = [*map(Outcome._make, fields)]
        for position, error in self._errors.items():
            if position < end:
                outcomes[position] = outcomes[position]._replace(
                    outcome=REJECTED,
                    status=error.status,
                    reason=_reason(error),
                    row=self._row(position),
                )
        return Settled(self.first, outcomes)

    def _row(self, position: int) -> Any:  # noqa: ANN401  whatever came
        row = self._rows[position]
        is_json = type(row) is bytes and self._ids[position] is not None
        return json.loads(row) if is_json else row


def _reason(error: SegmentError) -> str:
    return error.message if isinstance(error, APIError) else str(error)
