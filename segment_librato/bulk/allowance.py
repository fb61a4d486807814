"""How many rows may be rejected: a number of them, or a percentage of all.

Must not know what happens when there are more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import Self

    from segment_librato.bulk.report import ImportReport

__all__ = ["Allowance"]

PERCENT = 100
LEAST_ROWS = 1000  # for a percentage to say something


class Allowance(NamedTuple):
    """How many rows may be rejected.

    Attributes:
        most: the number, or the percentage.
        is_percentage: which of them it is.
    """

    most: float = 0
    is_percentage: bool = False

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the allowance that a text such as "10" or "1%" means.

        Raises:
            ValueError: it means none.
        """
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?%?", text):
            raise ValueError("expected a number such as 10, or a percentage such as 1%")
        return cls(float(text.removesuffix("%")), text.endswith("%"))

    def covers(self, report: ImportReport) -> bool:
        """Return whether no more rows were rejected than that."""
        if not self.is_percentage:
            return report.rejected <= self.most
        return report.rejected * PERCENT <= self.most * report.read

    def covers_so_far(self, report: ImportReport) -> bool:
        """Return the same while rows are still coming: a percentage of a few says nothing."""
        is_too_early = self.is_percentage and report.read < LEAST_ROWS
        return is_too_early or self.covers(report)

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.most:g}{'%' if self.is_percentage else ''}"
