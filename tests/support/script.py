"""Scripts that a test has another process run, with a client of a local server at hand."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment

__all__ = [
    "PREAMBLE",
    "fork_warning",
    "run",
    "sequence_numbers",
    "start",
    "wait_until_ready",
]

# CPython 3.12 and later warn of a fork while threads run, which is what some scripts do
fork_warning = ("-W", "ignore::DeprecationWarning")

PREAMBLE = """
    import atexit, os, signal, sys, threading, time
    import segment_librato
    from segment_librato import Client, ClientClosedError

    def on_error(error, messages):
        print("on_error", type(error).__name__, len(messages), flush=True)

    def make(**options):
        options = {"host": sys.argv[1], "on_error": on_error, "upload_interval": 60, **options}
        return Client("test-key", **options)

    def track(client, numbers):
        for n in numbers:
            client.track("user", "event", {"n": n})

    def wait_for_signal(say_ready=lambda: os.write(1, b"ready\\n")):
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        say_ready()
        os.read(reader, 1)  # unlike a pause, it ends even if the signal came before
"""


def start(
    server: LocalSegment, script: str, *options: str, before_import: str = ""
) -> subprocess.Popen[str]:
    """Start a process with the preamble and a script; its warnings are errors."""
    source = "".join(textwrap.dedent(part) for part in (before_import, PREAMBLE, script))
    return subprocess.Popen(  # noqa: S603  the tests' own script
        [sys.executable, "-W", "error", *options, "-c", source, server.host],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(
    server: LocalSegment,
    script: str,
    *options: str,
    before_import: str = "",
    expected_status: int = 0,
) -> str:
    """Run such a process to its end, and to that of its children; return its output."""
    process = start(server, script, *options, before_import=before_import)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == expected_status, errors
    if expected_status == 0:
        assert errors == ""
    return output


def wait_until_ready(process: subprocess.Popen[str], count: int = 1) -> None:
    """Wait until a process, or each it started, says it is ready; before, it may miss a signal."""
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(count)] == ["ready\n"] * count


def sequence_numbers(server: LocalSegment) -> list[int]:
    """Return the numbers of the messages that arrived."""
    return [message["properties"]["n"] for message in server.messages]
