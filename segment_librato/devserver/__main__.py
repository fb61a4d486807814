"""The command line: `python -m segment_librato.devserver [--port 8765] [--quiet]`.

Owns the arguments, what is printed and the exit status. Must not know HTTP.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from segment_librato.devserver.librato.api import is_librato_route
from segment_librato.devserver.librato.rules import find_excess
from segment_librato.devserver.librato.samples import Sample
from segment_librato.devserver.server import LocalSegment
from segment_librato.librato import map_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segment_librato.devserver.http.exchange import JsonObject, Request
    from segment_librato.devserver.interfaces import Accepted

__all__ = ["main"]

DEFAULT_PORT = 8765
MAX_PORT = 65_535


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the local server until SIGINT or SIGTERM, and return the exit status."""
    options = _parse_arguments(arguments)
    # SIGINT may be ignored when a shell started this in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        server = LocalSegment(options.port, on_request=None if options.quiet else _show_request)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        sys.stderr.write(f"Cannot listen on port {options.port}: {reason}.\n")
        return 1
    # twice: a second Ctrl-C, while the server closes, is none of its business either
    with suppress(KeyboardInterrupt), server, suppress(KeyboardInterrupt):
        _show(
            f"The local Segment API listens on {server.host} (Ctrl-C stops it).",
            f'Point a client at it: segment_librato.host = "{server.host}"',
        )
        while True:
            time.sleep(3600)
    _show(_summarise(server))
    return 0


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m segment_librato.devserver",
        description="A local stand-in for the APIs of Segment and Librato; shows what it receives.",
    )
    parser.add_argument(
        "--port",
        type=_parse_port,
        default=DEFAULT_PORT,
        help="the port on 127.0.0.1, 0 for a free one (default: %(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="do not show every request")
    return parser.parse_args(arguments)


def _parse_port(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {MAX_PORT}")
    return int(text)


def _show_request(request: Request, accepted: Accepted) -> None:
    lines = [_describe_request(request)]
    lines += [f"          {gauge}" for gauge in map(_describe_gauge, accepted) if gauge]
    if excess := find_excess(len(request.measurements)):
        lines.append(f"          {excess}")
    _show(*lines)


def _describe_request(request: Request) -> str:
    """Give a request a line; whatever its path holds cannot confuse a terminal."""
    route = f"{request.method} {ascii(request.path)[1:-1]}"
    if is_librato_route(request.path):
        content = _count(len(request.measurements), "measurement")
    else:
        content = _count(request.batch_size, "message")
    size = f"{request.raw_size / 1024:.1f} KB"
    line = f"{time.strftime('%H:%M:%S')}  {route:<21} {content:>16} {size:>10}  {request.status}"
    return f"{line}  {request.rejection}" if request.rejection else line


def _describe_gauge(accepted: JsonObject | Sample) -> str:
    """Say what a message or a sample means for a gauge; nothing if it makes none."""
    if isinstance(accepted, Sample):
        count = f" in {accepted.count:,} values" if accepted.count > 1 else ""
        return f"{accepted.name} = {accepted.sum}{count}  from {accepted.source or 'unassigned'}"
    measurement = map_message(accepted)
    if measurement is None:
        return ""
    return f"{measurement.name} = {measurement.value}  from {measurement.source}"


def _summarise(server: LocalSegment) -> str:
    requests = _count(len(server.requests), "request")
    messages = _count(len(server.messages), "message")
    gauges = _count(len(server.measurements), "gauge")
    if direct := len(server.librato.samples):
        gauges = f"{gauges}, {_count(direct, 'measurement')} for Librato"
    duplicates = _count(server.duplicates, "duplicate")
    return f"\n{requests}, {messages}, {gauges}; {duplicates}, {len(server.dropped):,} dropped."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _show(*lines: str) -> None:
    """Print lines in one piece, as several threads print; a reader that left is no error."""
    with suppress(BrokenPipeError):
        sys.stdout.write("\n".join([*lines, ""]))
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
