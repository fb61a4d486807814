#!/usr/bin/env python3
"""The command line beside this interpreter: its help, and events that arrive."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from segment_librato.devserver import LocalSegment

COMMAND = Path(sys.executable).with_name("segment-librato")
EVENT = ("track", "--user-id", "ada", "--event", "Installed")
TABLE = "userId,event,timestamp\nada,Imported,2026-11-20T12:00:00Z\n"


def run(*arguments: str, **environment: str) -> str:
    """Return what the command writes; end with its error if it fails."""
    process = subprocess.run(  # noqa: S603  what is to be checked
        [COMMAND, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    if process.returncode:
        sys.exit(process.stderr)
    return process.stdout


def main() -> None:
    """Check the command."""
    for line in run("--help").splitlines():
        if line.startswith("  segment-librato "):
            run(line.split()[1], "--help")
    with LocalSegment() as server, TemporaryDirectory() as folder:
        path = Path(folder, "events.csv")
        path.write_text(TABLE, encoding="utf-8")
        account = {"SEGMENT_HOST": server.host, "SEGMENT_WRITE_KEY": "test-key"}
        output = run(*EVENT, **account)
        run("import", str(path), **account)
        if [message["event"] for message in server.messages] != ["Installed", "Imported"]:
            sys.exit(f"what arrived is {server.messages}")
    print(f"cli: {output.splitlines()[0]}")  # noqa: T201  for the log of the run


if __name__ == "__main__":
    main()
