"""What all examples have: a row in the table, a README, and requirements that are met."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from support.examples import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())
REQUIREMENTS = sorted(EXAMPLES.glob("*/requirements.txt"))


def test_the_table_names_each_example() -> None:
    table = re.findall(
        r"^\| \[(.+)\]\((.+)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(table) == [(one.name, f"{one.name}/README.md") for one in FOLDERS]
    assert len(FOLDERS) >= 9


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.parent.name)
def test_requirements_have_no_upper_bound_and_are_installed_here(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert "segment-librato" in lines[0]
    for line in lines:
        requirement = re.fullmatch(r"([\w-]+)(\[\w+\])?(>=[\d.]+)?", line)
        assert requirement, line
        assert version(requirement[1])
