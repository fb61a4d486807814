"""The READMEs of the examples: each command is run by the test of the example."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from support.marks import needs_shell
from support.pages import ROOT, Block, blocks_for
from support.sessions import Shell, steps

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

pytestmark = [pytest.mark.once, needs_shell]

BLOCKS = blocks_for(__file__)
COMMANDS = [block for block in BLOCKS if block.info == "sh"]
(CRONTAB,) = [block for block in BLOCKS if block.info == "crontab"]
BY_THE_TESTS = ("pip install ", "python -m segment_librato.devserver", "export ")


def folder_of(block: Block) -> str:
    _, folder, _ = block.page.split("/")
    return folder


def lines_of(block: Block) -> list[str]:
    return block.text.replace("\\\n", "").splitlines()


def test_there_are_no_other_blocks() -> None:
    others = [block for block in BLOCKS if block.info not in {"sh", "crontab"}]
    assert [folder_of(block) for block in others] == ["cron", "pytest"]


@pytest.mark.parametrize("block", COMMANDS, ids=lambda one: one.place)
def test_each_command_is_run_by_the_test_of_its_example(block: Block) -> None:
    (file,) = (ROOT / "tests/examples").glob(f"test_{folder_of(block)}*.py")
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    beginnings = tuple(text for text in texts if isinstance(text, str) and len(text) > 5)
    for line in lines_of(block):
        if line.startswith("curl "):
            _, *words = shlex.split(line)
            assert urlsplit(words[-1]).path in beginnings
            assert json.loads(next(word for word in words if word.startswith("{")))
        else:
            assert line.startswith((*BY_THE_TESTS, *beginnings)), line


@pytest.mark.parametrize("example", ["cron", "pytest"])
def test_an_example_without_a_framework_writes_what_its_page_says(
    example: str, tmp_path: Path, server: LocalSegment
) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "spool", ".pytest_cache")
    folder = shutil.copytree(ROOT / "examples" / example, tmp_path / example, ignore=ignored)
    shell = Shell(folder, server)
    written = ""
    for block in BLOCKS:
        if block.info == "crontab" or folder_of(block) != example:
            continue
        if block.info == "text":
            assert re.search(pattern_of(block.text), written), written
        else:
            commands = [step for step in steps([block]) if not step.command.startswith("pip ")]
            written = "".join(map(shell.run, commands))


def pattern_of(text: str) -> str:
    return re.sub(r"in [\d\\.]+", r"in [\\d.]+", re.escape(text.strip()).replace(r"\ ", " "))


def test_the_line_of_the_crontab_runs_what_the_page_has_run() -> None:
    *times, command = CRONTAB.text.strip().split(maxsplit=5)
    assert all(re.fullmatch(r"[\d*/,-]+", time) for time in times)
    _, job, drain = re.split(" && |; ", command)
    shown = [line for block in COMMANDS if folder_of(block) == "cron" for line in lines_of(block)]
    assert {job, drain} <= {*shown}
