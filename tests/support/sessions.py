"""Shell sessions of our pages: their commands, a shell that runs them, and what they write."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from support.command import KEY, clean_environment
from support.programs import ADDRESS, FOLDER, steady

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment
    from support.pages import Block

__all__ = ["Shell", "Step", "steps"]

HOME = "/home/ada"  # stands for its folder

VOLATILE = (
    (r"\bin [\d.]+ m?s\b", "in N s"),
    (r"\btook [\d.]+ s, [\d,]+ rows a second$", "took N s, N rows a second"),
    (r"\btook [\d.]+ s$", "took N s"),
    (r'"seconds": [\d.]+, "rate": \d+', '"seconds": N, "rate": N'),
)


class Step(NamedTuple):
    """A command, and what its page says that it writes; None if the page does not say."""

    place: str
    command: str
    output: str | None


def steps(blocks: list[Block]) -> list[Step]:
    """Return the commands of `console` blocks, after a `$`, and of `sh` blocks, one a line."""
    found: list[Step] = []
    for block in blocks:
        if block.info == "sh":
            found += [Step(block.place, line, None) for line in block.text.splitlines()]
            continue
        before, *sessions = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
        assert not before, f"{block.place}: a command begins with `$ `"
        for session in sessions:
            command, _, output = session.partition("\n")
            found.append(Step(block.place, command, output))
    return found


class Shell:
    """Runs the commands of a page in a folder, with the local server where the page has one."""

    def __init__(self, folder: Path, server: LocalSegment) -> None:
        self.folder = folder
        self.server = server
        self._status = 0
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # Nothing goes to Segment, whatever a page says or forgets.
        self._environment = clean_environment(PATH=path, SEGMENT_HOST=server.host)

    def run(self, step: Step) -> str:
        """Return what a command writes.

        `cat` makes a file that is not there; `export` holds for later commands; `echo $?` writes
        the status of the command before.
        """
        command = step.command.replace("localhost:8765", ADDRESS)
        command = command.replace(ADDRESS, f"127.0.0.1:{self.server.port}")
        command = command.replace("YOUR_WRITE_KEY", KEY).replace(FOLDER, str(self.folder / "spool"))
        if command.startswith("export "):
            pairs = [one.partition("=") for one in shlex.split(command)[1:]]
            self._environment |= {name: value for name, _, value in pairs}
            return ""
        file = self.folder / command.removeprefix("cat ")
        if command.startswith("cat ") and not file.exists():
            file.write_text(step.output or "", encoding="utf-8")
            return step.output or ""
        process = subprocess.run(  # noqa: S603  the commands of our page
            ["/bin/sh", "-c", command.replace("$?", str(self._status))],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=self._environment,
            text=True,
            timeout=240,
        )
        self._status = process.returncode
        written = process.stdout.replace(str(self.folder / "spool"), FOLDER)
        assert KEY not in written, step
        written = written.replace(str(self.folder), HOME)
        return re.sub(rf"(127\.0\.0\.1:|\bport ){self.server.port}\b", r"\g<1>8765", written)

    def check(self, found: list[Step], *volatile: tuple[str, str]) -> None:
        """Run commands, and compare what they write with the page.

        Args:
            found: the commands.
            volatile: what else differs from run to run, as patterns and what stands for them.
        """
        for step in found:
            written = self.run(step)
            what = f"{step.place}: {step.command}\n{written}"
            if step.output is None:
                assert self._status == 0, what
            else:
                assert comparable(written, volatile) == comparable(step.output, volatile), what


def comparable(output: str, volatile: tuple[tuple[str, str], ...]) -> tuple[list[str], list[str]]:
    """Return the lines of stdout and of stderr, of which the latter may come anywhere."""
    text = steady(output)
    for pattern, stands_for in (*VOLATILE, *volatile):
        text = re.sub(pattern, stands_for, text, flags=re.MULTILINE)
    lines = text.splitlines()
    errors = [line for line in lines if line.startswith("segment-librato: ")]
    return [line for line in lines if line not in errors], errors
