"""Batches of rows, and the outcomes of their rows, which come in another order.

Must not know what a batch is, or how rows are delivered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.bulk.outcomes import Outcome

__all__ = ["Pairing"]

Batch = TypeVar("Batch")


class Pairing(Generic[Batch]):
    """Keeps batches until each of their rows has an outcome. For one thread at a time."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting[Batch]] = []  # in the order of their rows
        self._next = 1  # the number of the next row

    def add(self, batch: Batch, rows: int) -> None:
        """Add a batch, whose rows follow those of the batches before it."""
        self._waiting.append(_Waiting(batch, self._next, rows))
        self._next += rows

    def settle(self, outcomes: list[Outcome]) -> Iterator[tuple[Batch, list[Outcome]]]:
        """Take the outcomes of rows that follow each other; yield the batches that are complete.

        Their outcomes are in the order of their rows.
        """
        while outcomes:
            number = outcomes[0].number
            one = next(one for one in self._waiting if number < one.end)
            count = min(one.end - number, len(outcomes))
            one.outcomes[number] = outcomes[:count]
            one.missing -= count
            outcomes = outcomes[count:]
            if not one.missing:
                self._waiting.remove(one)
                yield one.batch, one.sorted_outcomes()


class _Waiting(Generic[Batch]):
    """A batch whose rows have not all come to an outcome.

    Attributes:
        batch: the batch.
        end: the number of the row after its last.
        missing: how many outcomes are missing.
        outcomes: the others, as they came, by the number of the first of each part.
    """

    def __init__(self, batch: Batch, first: int, rows: int) -> None:
        self.batch = batch
        self.end = first + rows
        self.missing = rows
        self.outcomes: dict[int, list[Outcome]] = {}

    def sorted_outcomes(self) -> list[Outcome]:
        """Return the outcomes in the order of the rows."""
        return [outcome for first in sorted(self.outcomes) for outcome in self.outcomes[first]]
