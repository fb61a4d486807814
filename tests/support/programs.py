"""Programs of our pages: what they are made of, what they print, and how a test runs them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from support.pages import Block

__all__ = ["ADDRESS", "FOLDER", "Program", "programs", "run", "steady"]

ADDRESS = "127.0.0.1:8765"  # stands for the local server of the test
FOLDER = "/var/lib/shop/segment"  # stands for a folder of the test

# Only what differs from run to run; the rest is compared as it is.
VOLATILE = (
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", "TIME"),
    (r"\bmeasure_time=\d{10}\b", "measure_time=TIME"),
    (r"\b(127\S+|api\.segment\.io) answered (\d+) to (\d+) bytes after [\d.]+ s", r"\2, \3"),
)
# Without a host, a client sends to the local server.
PREAMBLE = """\
import segment_librato.config.client, segment_librato.config.gauges
segment_librato.config.client.DEFAULT_HOST = {host!r}
segment_librato.config.gauges.LibratoConfig.host = {host!r}
"""


class Program(NamedTuple):
    """A program, and what its page says that it prints."""

    place: str
    source: str
    output: str


def programs(blocks: list[Block]) -> list[Program]:
    """Return the programs of these blocks.

    A block that imports this package starts a program, and one that does not goes on with it. What
    a program prints stands in comments below its calls of `print`, or in the block right below it.
    """
    found: list[Program] = []
    for block in blocks:
        before = found[-1] if found else None
        same_page = before is not None and before.place.startswith(f"{block.page}:")
        if block.info == "output":
            assert before
            found[-1] = before._replace(output=before.output + block.text)
        elif before and same_page and not re.search(IMPORT, block.text):
            output = before.output + commented(block)
            found[-1] = Program(before.place, before.source + block.text, output)
        else:
            found.append(Program(block.place, block.text, commented(block)))
    return found


IMPORT = re.compile(r"^(import|from) segment_librato", re.MULTILINE)


def commented(block: Block) -> str:
    """Return the comments below the calls of `print`: what they print."""
    lines = block.text.splitlines()
    shown = []
    for node in sorted(ast.walk(ast.parse(block.text)), key=lambda one: getattr(one, "lineno", 0)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print" and node.end_lineno:
            for line in lines[node.end_lineno :]:
                if not line.strip().startswith("# "):
                    break
                shown.append(line.strip().removeprefix("# "))
    return "".join(f"{line}\n" for line in shown)


def run(program: Program, folder: Path, port: int, *, status: int = 0) -> str:
    """Run a program, beside a server at a port; return what a terminal would show of it."""
    file = folder / "program.py"
    source = program.source.replace(FOLDER, str(folder / "spool"))
    source = source.replace(ADDRESS, f"127.0.0.1:{port}")
    file.write_text(PREAMBLE.format(host=f"http://127.0.0.1:{port}") + source, encoding="utf-8")
    process = subprocess.run(  # noqa: S603  our own page
        [sys.executable, "-u", "-W", "error", str(file)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        text=True,
        timeout=240,
    )
    assert process.returncode == status, process.stdout
    return process.stdout


def steady(text: str) -> str:
    """Return an output without what differs from run to run."""
    for pattern, stands_for in VOLATILE:
        text = re.sub(pattern, stands_for, text, flags=re.MULTILINE)
    return text
