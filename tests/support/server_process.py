"""Servers of other packages, each in a process group that does not outlive its test."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

__all__ = ["running"]


@contextmanager
def running(
    server: LocalSegment, folder: Path, *command: str, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a command line in a folder, with the address of the local server in `SEGMENT_HOST`."""
    process = subprocess.Popen(  # noqa: S603  the tests' own applications
        command,
        cwd=folder,
        env={**os.environ, "SEGMENT_HOST": server.host, **environment},
        close_fds=False,  # the listener is for the server
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # the first of the group may be gone, and not the others
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
