"""The programs of our pages run, and print what stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.pages import blocks_for
from support.programs import Program, programs, run, steady

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

pytestmark = pytest.mark.once


@pytest.mark.parametrize("program", programs(blocks_for(__file__)), ids=lambda one: one.place)
def test_a_program_prints_what_its_page_says(
    program: Program, tmp_path: Path, server: LocalSegment
) -> None:
    assert steady(run(program, tmp_path, server.port)) == steady(program.output)
    assert server.dropped == []
    assert {request.status for request in server.requests} <= {200, 201, 204}
