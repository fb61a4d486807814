"""What stands for an importer when nothing is to be sent: rows are checked all the same.

Must not know files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.bulk.outcomes import DELIVERED, REJECTED, Outcome, Settled
from segment_librato.bulk.rows import RowEncoder
from segment_librato.encoding.decoder import json_decoder
from segment_librato.encoding.sizes import MAX_LOOKS, text_size
from segment_librato.errors import MessageTooLargeError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from segment_librato.bulk.rules import RowRules
    from segment_librato.message.fields import Message

__all__ = ["DryRun"]

AT_ONCE = 500  # rows


class DryRun:
    """Checks rows as an importer does. For one caller at a time.

    Attributes:
        oldest: the first timestamp of its messages, as text in UTC; None if there is none.
        newest: the last one.
        tells_equal_rows_apart: see `Importer`.
    """

    tells_equal_rows_apart = False

    def __init__(self, write_key: str, rules: RowRules) -> None:
        """Take the rules, and the write key for the ids.

        Raises:
            ConfigError: the mapping has a wrong target.
        """
        self.oldest: str | None = None
        self.newest: str | None = None
        self._encoder = RowEncoder(write_key, rules)
        self._decode = json_decoder()
        self._is_stopped = False

    def message(self, row: object) -> Message:
        """Return the message of a row as it would be sent.

        Raises:
            ValidationError: the row cannot be one; the text names the field.
            MessageTooLargeError: the message exceeds 32 KB.
        """
        _, data = self._encoder.encode(row)
        message: Message = self._decode(data)
        at = message["timestamp"]
        self.oldest = min(self.oldest or at, at)
        self.newest = max(self.newest or at, at)
        return message

    @property
    def unseen_columns(self) -> list[str]:
        """The columns that are mapped, but were in no row so far; see `Importer`."""
        return self._encoder.unseen_columns

    def settle(self, rows: Iterable[object]) -> Generator[Settled, None, None]:
        """Yield what would become of rows, as far as can be told without a server."""
        outcomes: list[Outcome] = []
        size = 0
        for number, row in enumerate(rows, 1):
            outcome = self._outcome(number, row)
            outcomes.append(outcome)
            size += text_size([outcome.row])
            if len(outcomes) == AT_ONCE or size >= MAX_LOOKS:  # a row may have any size
                yield Settled(outcomes[0].number, outcomes)
                outcomes, size = [], 0
                if self._is_stopped:
                    return
        if outcomes:
            yield Settled(outcomes[0].number, outcomes)

    def stop(self) -> None:
        """Have `settle` read no more rows."""
        self._is_stopped = True

    def count(self, row: object) -> None:
        """Count a row; see `Importer`."""
        self._encoder.count(row)

    def close(self) -> None:
        """Forget which rows came."""
        self._encoder.close()

    def _outcome(self, number: int, row: object) -> Outcome:
        try:
            message = self.message(row)
        except (ValidationError, MessageTooLargeError) as error:
            return Outcome(number, None, REJECTED, None, str(error), row)
        return Outcome(number, message["messageId"], DELIVERED, None, None, None)
