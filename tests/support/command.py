"""The command `segment-librato`, run as a person or a script runs it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segment_librato.devserver import LocalSegment

__all__ = [
    "COMMAND",
    "KEY",
    "Result",
    "account",
    "clean_environment",
    "complaint",
    "on_terminal",
    "records",
    "reject",
    "run",
    "start",
]

KEY = "k3yThatNobodyMaySee0123456789abc"  # of the usual shape
COMMAND = (sys.executable, "-W", "error", "-m", "segment_librato")

Result = subprocess.CompletedProcess[str]


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without what would change what the command says or does."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
        and not name.startswith(("SEGMENT_", "REQUESTS_", "CURL_"))
    }
    return {**kept, "COLUMNS": "80", "LINES": "24", "PYTHONUTF8": "1", **more}


def account(server: LocalSegment) -> dict[str, str]:
    """Return the environment of somebody who sends to a server."""
    return {"SEGMENT_WRITE_KEY": KEY, "SEGMENT_HOST": server.host}


def start(
    *arguments: str,
    server: LocalSegment | None = None,
    stdout: int | IO[bytes] = subprocess.PIPE,
    **environment: str,
) -> Any:
    """Start the command with pipes, in text; see `run`."""
    return subprocess.Popen(  # noqa: S603  the command that is tested
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=clean_environment(**(account(server) if server else {}), **environment),
        text=True,
    )


def run(
    *arguments: str,
    status: int = 0,
    stdin: str = "",
    server: LocalSegment | None = None,
    stdout: int | IO[bytes] = subprocess.PIPE,
    **environment: str,
) -> Result:
    """Run the command to its end. No write key is in what it writes.

    Args:
        arguments: what follows its name.
        status: the exit status to expect; unless it is 0, there is one line on stderr, or none.
        stdin: what it can read.
        server: where messages go; a write key comes with it.
        stdout: where it writes.
        environment: variables beside the clean ones.
    """
    process = start(*arguments, server=server, stdout=stdout, **environment)
    output, errors = process.communicate(stdin, timeout=240)
    assert process.returncode == status, errors
    assert KEY not in f"{output}{errors}"
    assert "Traceback" not in errors
    return subprocess.CompletedProcess(arguments, status, output, errors)


def records(result: Result) -> list[dict[str, Any]]:
    """Return the JSON lines that the command has written."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def complaint(result: Result) -> str:
    """Return the only line on stderr, without the name of the command."""
    (line,) = result.stderr.splitlines()
    name, _, text = line.partition(": ")
    assert name == "segment-librato"
    return text


def on_terminal(*arguments: str, typed: str = "", **environment: str) -> tuple[int, str]:
    """Run the command on a terminal, and return its status and what it shows."""
    import pty  # Windows has none

    mine, its = pty.openpty()
    process = subprocess.Popen(  # noqa: S603  the command that is tested
        [*COMMAND, *arguments],
        stdin=its,
        stdout=its,
        stderr=its,
        env=clean_environment(**environment),
        start_new_session=True,
    )
    os.close(its)
    os.write(mine, typed.encode())
    shown = b""
    try:
        while piece := os.read(mine, 65_536):
            shown += piece
    except OSError:  # Linux says so that nobody has it open any more
        pass
    os.close(mine)
    return process.wait(240), shown.decode()


@pytest.fixture
def reject(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., str]]:
    """Run a command in this process, where it is used wrongly; return the only line it writes."""
    from segment_librato.cli import app  # only these tests need the extra

    for name in ("SEGMENT_WRITE_KEY", "SEGMENT_HOST"):
        monkeypatch.delenv(name, raising=False)
    logger = logging.getLogger("segment")
    handlers = [*logger.handlers]

    def reject(*arguments: str) -> str:
        assert app.run(arguments) == 2
        output, errors = capsys.readouterr()
        assert output == ""
        assert KEY not in errors
        (line,) = errors.splitlines()
        assert line.startswith("segment-librato: ")
        return line.removeprefix("segment-librato: ")

    yield reject
    logger.handlers[:] = handlers
