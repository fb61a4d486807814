"""debugger: a local Segment and Librato with a page that shows every event and gauge.

Owns the options. Must not know the server or the page.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segment_librato.cli.options import with_output
from segment_librato.devserver.command import DEFAULT_PORT, MAX_PORT, open_page, serve
from segment_librato.devserver.page.debugger import Debugger
from segment_librato.devserver.page.journal import JournalError
from segment_librato.devserver.page.words import farewell, greeting

if TYPE_CHECKING:
    from segment_librato.cli.output import Output

__all__ = ["debugger"]


@click.command(help="Run a local Segment and Librato, and a page that shows what they receive.")
@click.option(
    "--port",
    type=click.IntRange(0, MAX_PORT),
    default=DEFAULT_PORT,
    metavar="N",
    show_default=True,
    help="Port at 127.0.0.1; 0 picks a free one.",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in a browser.")
@click.option(
    "--db",
    "database",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep everything in FILE, over restarts; default: memory.",
)
@with_output
def debugger(output: Output, port: int, opens: bool, database: Path | None) -> int:
    """Run until Ctrl-C, which is the usual end."""

    def greet(running: Debugger) -> None:
        output.record(host=running.host, database=database and str(database))
        for line in greeting(running):
            output.say(line)
        sys.stdout.flush()
        if opens:
            open_page(running.host)

    def end(running: Debugger) -> None:
        kept = running.close()
        output.record(events=kept)
        output.say(farewell(kept, database))

    serve(lambda: _start(port, database), greet, end)
    return 0


def _start(port: int, database: Path | None) -> Debugger:
    try:
        return Debugger(port, database=database)
    except JournalError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        reason = f"{os.strerror(error.errno or 0)}; --port 0 picks a free one"
        raise OSError(error.errno, reason, f"port {port}") from None
