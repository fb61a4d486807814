"""Programs of tests, run by this interpreter."""

from __future__ import annotations

import subprocess
import sys
import textwrap

__all__ = ["run_python"]


def run_python(
    source: str, *arguments: object, options: tuple[str, ...] = (), status: int = 0
) -> str:
    """Run a program to its end; return its output. Its warnings are errors.

    Args:
        source: of the program, which must write nothing to stderr.
        arguments: what it finds in `sys.argv`.
        options: more options of the interpreter.
        status: how it has to end.
    """
    process = subprocess.run(  # noqa: S603  the tests' own program
        [
            *(sys.executable, "-W", "error", *options),
            *("-c", textwrap.dedent(source), *map(str, arguments)),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (process.returncode, process.stderr) == (status, ""), process
    return process.stdout
