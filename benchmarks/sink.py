"""The sink as others see it: how to start it, and how to tell it what to do.

Owns the sink's process. Imports little, because the processes that are measured use it too.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Sink", "run_sink"]

HOST = "127.0.0.1"
ANSWER_SECONDS = 60


class Sink(NamedTuple):
    """Where a sink listens: to clients, and to commands."""

    port: int
    control_port: int

    @property
    def url(self) -> str:
        """The host to give to a client."""
        return f"http://{HOST}:{self.port}"

    def reset(self) -> None:
        """Forget what arrived."""
        self._command("reset")

    def hold(self) -> None:
        """Answer no request from now on."""
        self._command("hold")

    def release(self) -> None:
        """Answer the requests that were held, and those to come."""
        self._command("release")

    def tally(self) -> dict[str, int]:
        """Wait until no client is connected; return what arrived since the last reset."""
        tally: dict[str, int] = self._command("tally")
        return tally

    def _command(self, word: str) -> Any:  # noqa: ANN401  any JSON
        with socket.create_connection((HOST, self.control_port), ANSWER_SECONDS) as connection:
            connection.sendall(word.encode() + b"\n")
            with connection.makefile("rb") as answer:
                return json.loads(answer.read())


@contextmanager
def run_sink() -> Iterator[Sink]:
    """Run a sink in a process of its own, for as long as the context lasts."""
    command = [sys.executable, "-m", "benchmarks.sink_server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        output = cast("IO[str]", process.stdout)
        port, control_port = output.readline().split()
        yield Sink(int(port), int(control_port))
