"""The command line: `python -m segment_librato.devserver`.

Owns the arguments, the signals and the exit status. Must not know HTTP, or how a request is shown.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from segment_librato.devserver.server import LocalSegment
from segment_librato.devserver.terminal import Terminal, finish
from segment_librato.devserver.view import describe_request, summarize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segment_librato.devserver.http.exchange import Request
    from segment_librato.devserver.interfaces import Accepted

__all__ = ["main"]

DEFAULT_PORT = 8765
MAX_PORT = 65_535
MAX_SIGNAL_DELAY = 0.5  # seconds
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the local server until SIGINT or SIGTERM; return the exit status."""
    options = _parse_arguments(arguments)
    terminal = Terminal(sys.stdout)

    def show(request: Request, accepted: Accepted) -> None:
        terminal.write(*describe_request(request, accepted, verbose=options.verbose))

    # A shell that starts this in the background has it ignore SIGINT.
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    try:
        server = LocalSegment(options.port, on_request=None if options.quiet else show)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        sys.stderr.write(f"Cannot listen on port {options.port}: {reason}.\n")
        return 1
    with suppress(KeyboardInterrupt):
        terminal.write(
            f"The local Segment API is listening on {server.host} (press Ctrl-C to stop).",
            f'Point a client at it: segment_librato.host = "{server.host}"',
        )
        while True:  # a signal that comes just before a sleep is seen after it
            time.sleep(MAX_SIGNAL_DELAY)
    finish(lambda: _end(server, terminal), 0)
    return 0


def _interrupt(*_: object) -> None:
    """Interrupt once: the end takes no longer than `finish` lets it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end(server: LocalSegment, terminal: Terminal) -> None:
    server.close()
    terminal.write("", summarize(server))


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m segment_librato.devserver",
        description="Run a local stand-in for the Segment and Librato APIs that shows what it "
        "receives: each request, and the type, event, user and gauge of each message.",
        epilog="Nothing leaves this machine. Any write key is accepted.",
    )
    parser.add_argument(
        "--port",
        type=_parse_port,
        default=DEFAULT_PORT,
        help="port to listen on at 127.0.0.1; 0 picks a free one (default: %(default)s)",
    )
    detail = parser.add_mutually_exclusive_group()
    detail.add_argument("--quiet", action="store_true", help="show only the totals, at the end")
    detail.add_argument(
        "--verbose",
        action="store_true",
        help="show every message of a large batch, and each payload as indented JSON",
    )
    return parser.parse_args(arguments)


def _parse_port(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {MAX_PORT}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
