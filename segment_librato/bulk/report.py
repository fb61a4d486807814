"""The report of an import, and how it is counted.

Must not know how rows are delivered.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping  # noqa: TC003  for `typing.get_type_hints`
from typing import TYPE_CHECKING, NamedTuple

from segment_librato.bulk.outcomes import REJECTED

if TYPE_CHECKING:
    from segment_librato.bulk.outcomes import Outcome

__all__ = ["OTHER_REASONS", "ImportReport", "Tally"]

MAX_REASONS = 100
OTHER_REASONS = "other reasons"
_NUMBER = re.compile(r"\b\d+\b")


class ImportReport(NamedTuple):
    """What became of the rows so far: `read == delivered + rejected + skipped`.

    Attributes:
        read: Rows that have an outcome.
        delivered: Rows for which the server reported success.
        rejected: Rows that will not be delivered.
        skipped: Rows that an earlier import has delivered or rejected.
        reasons: How many were rejected for which reason; reasons that differ in numbers only count
            as one, and those beyond the first 100 as "other reasons".
    """

    read: int = 0
    delivered: int = 0
    rejected: int = 0
    skipped: int = 0
    reasons: Mapping[str, int] = {}


class _Reasons:
    """Counts reasons, as one those that differ in numbers only. For one thread at a time."""

    def __init__(self, reasons: Mapping[str, int]) -> None:
        self._counts: Counter[str] = Counter()
        self._texts: dict[str, str] = {}
        for reason, count in reasons.items():
            self.add(reason, count)

    def add(self, reason: str, count: int = 1) -> None:
        """Count a reason."""
        kind = _NUMBER.sub("N", reason)
        if kind not in self._texts and len(self._texts) >= MAX_REASONS:
            kind = reason = OTHER_REASONS
        if self._texts.setdefault(kind, reason) != reason:
            self._texts[kind] = kind
        self._counts[kind] += count

    def counts(self) -> dict[str, int]:
        """Return how often each came, with "N" for numbers that were not always the same."""
        return {text: self._counts[kind] for kind, text in self._texts.items()}


class Tally:
    """Counts outcomes. For one thread at a time."""

    def __init__(self, delivered: int = 0, reasons: Mapping[str, int] | None = None) -> None:
        """Begin with what was counted before: how many were delivered, or rejected and why."""
        self._delivered = delivered
        self._rejected = sum(reasons.values()) if reasons else 0
        self._reasons = _Reasons(reasons or {})

    def add(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Count outcomes; return those of the rows that were rejected."""
        rejected = [outcome for outcome in outcomes if outcome.outcome == REJECTED]
        self._delivered += len(outcomes) - len(rejected)
        self._rejected += len(rejected)
        for outcome in rejected:
            self._reasons.add(outcome.reason or "")
        return rejected

    def report(self, skipped: int = 0) -> ImportReport:
        """Return what was counted, and rows that were skipped."""
        delivered, rejected = self._delivered, self._rejected
        read = delivered + rejected + skipped
        return ImportReport(read, delivered, rejected, skipped, self._reasons.counts())
