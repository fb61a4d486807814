"""The shell sessions of our pages, each page in a folder of its own."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import pytest
from support.marks import needs_shell
from support.pages import blocks_for
from support.sessions import Shell, steps

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

pytestmark = [pytest.mark.once, needs_shell]

SESSIONS = {page: [*found] for page, found in groupby(blocks_for(__file__), lambda one: one.page)}


@pytest.mark.parametrize("page", SESSIONS)
def test_each_command_writes_what_its_page_says(
    page: str, tmp_path: Path, server: LocalSegment
) -> None:
    Shell(tmp_path, server).check(steps(SESSIONS[page]))
    assert server.duplicates == 0
