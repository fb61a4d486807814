"""A suite that records: it passes, it fails where it should, and it sends nothing."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
from support.examples import EXAMPLES, command, run

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

PYTEST = [*command("pytest", "pytest"), "-p", "no:cacheprovider"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy the example to where no configuration of ours is above it."""
    return shutil.copytree(
        EXAMPLES / "pytest", tmp_path / "shop", ignore=shutil.ignore_patterns("__pycache__")
    )


def test_the_suite_passes_and_sends_nothing(folder: Path, server: LocalSegment) -> None:
    output, _ = run(server.host, folder, *PYTEST)
    assert "4 passed" in output
    assert server.requests == []


def test_the_suite_needs_no_write_key(folder: Path, server: LocalSegment) -> None:
    output, _ = run(server.host, folder, *PYTEST, variables={"SEGMENT_WRITE_KEY": ""})
    assert "4 passed" in output


def test_what_is_tracked_wrongly_fails_with_the_field_that_differs(
    folder: Path, server: LocalSegment
) -> None:
    program = folder / "checkout.py"
    source = program.read_text()
    assert '"revenue": total' in source
    program.write_text(source.replace('"revenue": total', '"revenue": cart[0].price'))
    output, _ = run(server.host, folder, *PYTEST, expected_status=1)
    assert "1 failed, 3 passed" in output
    assert re.search(r"- properties\.revenue +47\.0.*\nE +\+ properties\.revenue +4\.5\n", output)
    assert server.requests == []


def test_the_module_itself_sends(server: LocalSegment) -> None:
    output, errors = run(server.host, EXAMPLES / "pytest", *command("pytest", "python"))
    assert (output, errors) == ("42.5\n", "")
    names = [message.get("event", message["type"]) for message in server.messages]
    assert names == ["identify", "Signed Up", "Order Completed", "cart.lines"]
    assert {message["userId"] for message in server.messages[:3]} == {"ada"}
    lines = server.measurements[-1]
    assert (lines.name, lines.value, lines.source) == ("cart.lines", 2, "checkout")
