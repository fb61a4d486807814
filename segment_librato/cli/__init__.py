"""The command line, `segment-librato`: an extra of its own, `segment-librato[cli]`.

    app         the commands, what `--help` shows, and how each ends
    exit_status 1, 2, 130, 143
    options     what commands share: write key and host, JSON or @FILE
    output      text or JSON lines; colors only on a terminal
    failures    what a failure means, and what to do about it

    messages    track, identify, group, alias, page, screen, gauge
    explain     explain FILE
    importing   import FILE...
    doctor      doctor: what could keep messages from Segment
    checks, network_checks, finding    what the doctor looks at, and finds
    spool       spool ls, cat, verify, drain, purge
    debugger    debugger: a local Segment and Librato, with a page
    tail        tail: what a running debugger receives

The rest of the library never imports any of it. Must not know how a message is made or delivered.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from segment_librato.cli.exit_status import INTERRUPTED, WRONG_USAGE

__all__ = ["main"]

PACKAGES = {"click", "rich"}  # of the extra


def main() -> NoReturn:
    """Run a command, and exit: 0 if all went well, 1 if not, 2 if it was used wrongly."""
    try:
        # The extra may not be installed.
        import rich  # noqa: F401  it comes late, and its lack should be told early

        from segment_librato.cli.app import run
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        sys.stderr.write('segment-librato: first, pip install "segment-librato[cli]"\n')
        sys.exit(WRONG_USAGE)
    except KeyboardInterrupt:
        sys.stderr.write("segment-librato: interrupted\n")
        sys.exit(INTERRUPTED)
    sys.exit(run())
