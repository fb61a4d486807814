"""The demo in a terminal.

    python -m segment_librato.devserver.demo             through Segment
    python -m segment_librato.devserver.demo --librato   directly to Librato

Owns the arguments, the order of things and the exit status, which is 0 only if all went as it
should. Must not know what happens in between.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from segment_librato.devserver.demo.chart import draw_gauges
from segment_librato.devserver.demo.outcome import Outcome, read_gauges
from segment_librato.devserver.demo.plan import EVENT, MAX_VALUE, SECONDS
from segment_librato.devserver.demo.play import make_client, play
from segment_librato.devserver.demo.story import Story
from segment_librato.devserver.http.listener import LOOPBACK
from segment_librato.devserver.server import LocalSegment
from segment_librato.devserver.terminal import Terminal, finish

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

FLUSH_TIMEOUT = 5
INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended


class _Api(NamedTuple):
    """An API that the demo can deliver to.

    Attributes:
        name: its name.
        noun: what it takes, in the plural.
        other: how to see the other API.
    """

    name: str
    noun: str
    other: str


APIS = {
    False: _Api("Segment", "events", "make demo-librato    the same, without Segment"),
    True: _Api("Librato", "measurements", "make demo            the same, through Segment"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit status."""
    directly = _parse_arguments(arguments).librato
    # A proxy of the environment could not reach this machine.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = LOOPBACK
    terminal = Terminal(sys.stdout)
    try:
        return _run(terminal, directly=directly)
    except KeyboardInterrupt:
        finish(lambda: terminal.write("", "Interrupted."), INTERRUPTED)
        return INTERRUPTED


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m segment_librato.devserver.demo",
        description="Track events through an outage of a local API, and draw the gauges that "
        "arrive. Takes about five seconds; exits with 0 only if nothing was lost.",
    )
    parser.add_argument(
        "--librato", action="store_true", help="deliver directly to Librato, without Segment"
    )
    return parser.parse_args(arguments)


def _run(terminal: Terminal, *, directly: bool) -> int:
    api = APIS[directly]
    story = Story(terminal, api.noun)
    try:
        server = LocalSegment(on_request=story.tell_request)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        sys.stderr.write(f"Cannot listen on {LOOPBACK}: {reason}.\n")
        return 1
    with server, story.showing_log():
        story.tell_beginning(api.name, server.host)
        with make_client(server, story.tell_failure, directly=directly) as client:
            if play(server, client, story):
                client.flush(FLUSH_TIMEOUT)
        stats = client.stats.gauges or client.stats
    gauges = read_gauges(server, directly=directly)
    outcome = Outcome(stats, gauges, story.reported, len(server.requests), story.seconds)
    _show_end(terminal, outcome, api)
    return 1 if outcome.find_problems() else 0


def _show_end(terminal: Terminal, outcome: Outcome, api: _Api) -> None:
    """Show the counters, the gauges and the verdict."""
    stats = outcome.stats
    terminal.write(
        "",
        f"{api.noun}: {terminal.paint(outcome.describe_counters(), 'bold')}",
        f"requests: {outcome.requests}, {stats.retries} of them retries; "
        f"{outcome.seconds:.1f} s in all",
        "",
        f"{EVENT}, as it arrived: {SECONDS} s from left to right, 0 to {MAX_VALUE}",
        "",
        *draw_gauges(outcome.gauges, terminal),
        "",
    )
    if problems := outcome.find_problems():
        terminal.write(*(terminal.paint(f"FAILED: {one}.", "red") for one in problems))
        return
    terminal.write(
        terminal.paint(
            f"Nothing lost: all {stats.delivered} good {api.noun} arrived, "
            f"after {stats.retries} retries.",
            "green",
        ),
        "",
        "Next:  make debugger        the web servers live, in a browser",
        f"       {api.other}",
        "       docs/quickstart.md   the first five minutes",
        f"       {_name_python()} -m segment_librato.devserver   a local Segment",
    )


def _name_python() -> str:
    """Return how to call this interpreter from here: that of a clone is not on the path."""
    path, here = Path(sys.executable), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else "python"


if __name__ == "__main__":
    sys.exit(main())
