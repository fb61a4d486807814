"""The code blocks of our pages, and which test runs each of them.

A block has one test: that of the first row of `RUNNERS` that fits. The test takes its blocks from
`blocks_for(__file__)`, so that it runs all of them.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["PAGES", "ROOT", "RUNNERS", "Block", "blocks", "blocks_for", "name_of", "runner_of"]

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("examples/*.md"),
        *ROOT.glob("examples/*/*.md"),
        ROOT / "benchmarks/README.md",
    ]
)
FENCE = re.compile(r"( *)(`{3,}|~{3,})(.*)")


class Block(NamedTuple):
    """A fenced block of a page.

    Attributes:
        page: its file, relative to the repository.
        line: the line of its fence.
        info: what follows the fence; "output" if that is "text", and right above is a program.
        text: what is in it.
    """

    page: str
    line: int
    info: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


class Runner(NamedTuple):
    """Which blocks a test runs; `page` and `info` are patterns as of file names."""

    page: str
    info: str
    begins: str
    test: str


PROGRAMS = "documentation/test_programs.py"
SESSIONS = "documentation/test_sessions.py"
DEBUGGER = "documentation/test_debugger_page.py"
NOT_RUN = "documentation/test_not_run.py"
PICTURES = "documentation/test_pictures.py"

RUNNERS = [
    Runner("examples/*", "*", "", "documentation/test_pages_of_examples.py"),
    Runner("*", "sh", "pip install ", NOT_RUN),
    Runner("*", "sh", "python3 -m venv ", NOT_RUN),
    Runner("CONTRIBUTING.md", "sh", "git clone ", NOT_RUN),
    Runner("*", "sh", "make ", NOT_RUN),
    Runner("docs/import-rows.md", "python", "def deliver(", NOT_RUN),
    Runner("docs/spark.md", "python", "from airflow", NOT_RUN),
    Runner("docs/command-line.md", "console", "", "cli/test_page.py"),
    Runner("docs/command-line.md", "sh", "", "cli/test_page.py"),
    Runner("docs/debugger.md", "*", "", DEBUGGER),
    Runner("docs/tutorial.md", "sh", "segment-librato debugger", DEBUGGER),
    Runner("docs/troubleshooting.md", "console", "$ segment-librato tail", DEBUGGER),
    Runner("docs/troubleshooting.md", "console", "", "documentation/test_troubleshooting_page.py"),
    Runner("docs/troubleshooting.md", "text", "", "documentation/test_troubleshooting_page.py"),
    Runner("docs/migration.md", "diff", "", "documentation/test_migration_page.py"),
    Runner("docs/errors.md", "text", "SegmentError\n", PICTURES),
    Runner("docs/import-rows.md", "python", "import dask", "field/test_dask.py"),
    Runner("docs/import.md", "sh", "jq ", "cli/test_import_page.py"),
    Runner("docs/index.md", "text", "", PICTURES),
    Runner("docs/internals/*", "text", "", PICTURES),
    Runner("docs/quickstart.md", "sh", "python -m ", "devserver/test_command_line.py"),
    Runner("docs/scopes.md", 'python title="tasks.py"', "", "test_scopes_page.py"),
    Runner("docs/scopes.md", "* title=*", "", "field/test_framework_examples.py"),
    Runner("docs/spark.md", "python", "", "spark/test_page.py"),
    Runner("docs/spool.md", "text", "/var/lib/", PICTURES),
    Runner("docs/spool.md", "*", "", "test_drain.py"),
    Runner("docs/tutorial.md", "sh", "pytest ", "test_tutorial.py"),
    Runner("docs/tutorial.md", "* title=*", "", "test_tutorial.py"),
    Runner("docs/testing.md", "* title=*", "", "testing/test_testing_page.py"),
    Runner("*", "python", "", PROGRAMS),
    Runner("*", "output", "", PROGRAMS),
    Runner("*", "console", "", SESSIONS),
    Runner("*", "sh", "", SESSIONS),
]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page, in their order."""
    found: list[Block] = []
    opened: re.Match[str] | None = None
    began = ended = 0
    text = ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.fullmatch(line)
        if opened is None and fence:
            opened, began, text = fence, number, ""
        elif opened and fence and fence[2] == opened[2] and not fence[3]:
            info = opened[3].strip()
            is_output = info == "text" and began == ended + 2 and found[-1].info == "python"
            info = "output" if is_output else info
            found.append(Block(name_of(page), began, info, text))
            opened, ended = None, number
        elif opened:
            text += line.removeprefix(opened[1]) + "\n"
    assert opened is None, f"{name_of(page)}:{began}: this block has no end"
    return found


@cache
def blocks() -> list[Block]:
    """Return the blocks of all pages."""
    return [block for page in PAGES for block in blocks_of(page)]


def runner_of(block: Block) -> Runner | None:
    """Return the first row that fits a block."""
    for row in RUNNERS:
        if (
            fnmatchcase(block.page, row.page)
            and fnmatchcase(block.info, row.info)
            and block.text.startswith(row.begins)
        ):
            return row
    return None


def blocks_for(file: str) -> list[Block]:
    """Return the blocks that a test has to run; at least one."""
    test = Path(file).relative_to(ROOT / "tests").as_posix()
    return [block for block in blocks() if (row := runner_of(block)) and row.test == test]
