"""How many rows may be rejected: the same words for the command and for Spark."""

from __future__ import annotations

import pytest

from segment_librato import ImportReport
from segment_librato.bulk.allowance import LEAST_ROWS, Allowance


@pytest.mark.parametrize(
    "text, rejected, read, is_covered",
    [
        ("0", 0, 0, True),
        ("0", 1, 100, False),
        ("2", 2, 2, True),
        ("5%", 5, 100, True),
        ("5%", 6, 100, False),
        ("5%", 0, 0, True),
        ("0.5%", 1, 200, True),
    ],
)
def test_it_covers_so_many(text: str, rejected: int, read: int, is_covered: object) -> None:
    allowance = Allowance.read(text)
    report = ImportReport(read, read - rejected, rejected)
    assert str(allowance) == text
    assert allowance.covers(report) is is_covered


@pytest.mark.parametrize("text, read", [("0", 3), ("10%", LEAST_ROWS)])
def test_a_percentage_of_few_rows_says_nothing_yet(text: str, read: int) -> None:
    allowance = Allowance.read(text)
    for rows, is_covered in ((read, False), (read - 1, "%" in text)):
        report = ImportReport(rows, 1, rows - 1)
        assert not allowance.covers(report)
        assert allowance.covers_so_far(report) is is_covered


@pytest.mark.parametrize("text", ["", "few", "nan", "-1", "inf%", "1_0", "5 %", "1e3", "٣"])
def test_another_text_means_none(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number such as 10, or a percentage such as"):
        Allowance.read(text)
