"""No code block of a page goes without a test."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from support.pages import PAGES, ROOT, RUNNERS, Runner, blocks, name_of, runner_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.once

HOW = 'CONTRIBUTING.md, "a code block of a page", says how it gets one.'


def test_each_block_has_a_test() -> None:
    without = [f"{one.place}: `{one.info}`" for one in blocks() if runner_of(one) is None]
    assert not without, f"No test runs these blocks:\n{chr(10).join(without)}\n{HOW}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_block_is_made_by_indenting_it(page: Path) -> None:
    """Such a one has no language. Below a list or a note, indented lines belong to that."""
    text = re.sub(
        r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    for before, line in re.findall(r"^(\S.*)\n(?: {4}.*\n|\n)*\n( {4}.*)$", text, re.MULTILINE):
        assert re.match(r"[-*!?=]|\d+\. ", before), f"fence this block: {line}"


@pytest.mark.parametrize("row", RUNNERS, ids=lambda row: f"{row.page} {row.info} {row.begins!r}")
def test_each_row_has_a_block_and_a_test_that_runs_it(row: Runner) -> None:
    if row.page != "*":
        assert any(runner_of(one) == row for one in blocks()), "it has no block: remove the row"
    source = (ROOT / "tests" / row.test).read_text(encoding="utf-8")
    assert re.search(r"\bblocks_for\(__file__\)", source), f"{row.test} does not run its blocks"
