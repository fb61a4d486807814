"""The command line: `python -m segment_librato.devserver`.

Owns the arguments. Must not know HTTP, or how a request is shown.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from segment_librato.devserver.command import DEFAULT_PORT, open_page, parse_port, serve
from segment_librato.devserver.server import LocalSegment
from segment_librato.devserver.terminal import Terminal
from segment_librato.devserver.view import describe_request, summarize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segment_librato.devserver.http.exchange import Request
    from segment_librato.devserver.interfaces import Accepted
    from segment_librato.devserver.page.debugger import Debugger
    from segment_librato.devserver.server import OnRequest

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the local server until SIGINT or SIGTERM; return the exit status."""
    options = _parse_arguments(arguments)
    terminal = Terminal(sys.stdout)

    def show(request: Request, accepted: Accepted) -> None:
        terminal.write(*describe_request(request, accepted, verbose=options.verbose))

    on_request = None if options.quiet else show
    run = _run_page if options.page else _run_server
    try:
        run(options, terminal, on_request)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        sys.stderr.write(f"Cannot listen on port {options.port}: {reason}.\n")
        return 1
    except ValueError as error:
        sys.stderr.write(f"{error}.\n")
        return 1
    return 0


def _run_server(
    options: argparse.Namespace, terminal: Terminal, on_request: OnRequest | None
) -> None:
    def greet(server: LocalSegment) -> None:
        terminal.write(
            f"The local Segment API is listening on {server.host} (press Ctrl-C to stop).",
            f'Point a client at it: segment_librato.host = "{server.host}"',
        )

    def end(server: LocalSegment) -> None:
        server.close()
        terminal.write("", summarize(server))

    serve(lambda: LocalSegment(options.port, on_request=on_request), greet, end)


def _run_page(
    options: argparse.Namespace, terminal: Terminal, on_request: OnRequest | None
) -> None:
    # SQLite, for the page only.
    from segment_librato.devserver.page.debugger import Debugger
    from segment_librato.devserver.page.words import farewell, greeting

    def greet(debugger: Debugger) -> None:
        terminal.write(*greeting(debugger))
        if options.open:
            open_page(debugger.host)

    def end(debugger: Debugger) -> None:
        terminal.write("", farewell(debugger.close(), options.db))

    def start() -> Debugger:
        return Debugger(options.port, database=options.db, on_request=on_request)

    serve(start, greet, end)


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m segment_librato.devserver",
        description="Run a local stand-in for the Segment and Librato APIs that shows what it "
        "receives: each request, and the type, event, user and gauge of each message.",
        epilog="Nothing leaves this machine. Any write key is accepted.",
    )
    parser.add_argument(
        "--port",
        type=parse_port,
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
    parser.add_argument("--page", action="store_true", help="serve a page that shows everything")
    parser.add_argument("--db", type=Path, metavar="FILE", help="keep what the page shows in FILE")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    options = parser.parse_args(arguments)
    if not options.page and (options.db or options.open):
        parser.error("--db and --open need --page")
    return options


if __name__ == "__main__":
    sys.exit(main())
