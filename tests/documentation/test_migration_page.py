"""What docs/migration.md has replaced: code runs before and after, and does the same."""

from __future__ import annotations

from importlib.metadata import metadata
from typing import TYPE_CHECKING

import pytest
from support.pages import Block, blocks_for
from support.programs import Program, run

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

pytestmark = pytest.mark.once

INSTALL = """
import segment_librato
segment_librato.install_as_segment_analytics()
segment_librato.install_as_segment_analytics("analytics")
"""
APPLICATION = """
def report(error, messages):
    raise error
"""
*CODE, REQUIREMENT = sorted(blocks_for(__file__), key=lambda one: "import" not in one.text)


def without(block: Block, sign: str) -> str:
    """Return a block without the lines that begin with a sign, and without signs."""
    lines = block.text.splitlines(keepends=True)
    return "".join(line[1:] or "\n" for line in lines if not line.startswith(sign))


@pytest.mark.parametrize("block", CODE, ids=lambda one: one.place)
def test_code_runs_before_and_after(block: Block, tmp_path: Path, server: LocalSegment) -> None:
    before, after = INSTALL + APPLICATION + without(block, "+"), APPLICATION + without(block, "-")
    assert run(Program(block.place, before, ""), tmp_path, server.port) == ""
    arrived = [one["event"] for one in server.messages]
    server.clear()
    assert run(Program(block.place, after, ""), tmp_path, server.port) == ""
    assert [one["event"] for one in server.messages] == arrived


def test_the_requirement_is_this_package() -> None:
    assert without(REQUIREMENT, "-").strip() == metadata("segment-librato")["Name"]
