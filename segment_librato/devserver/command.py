"""What the command lines of the local server have in common: it runs until SIGINT or SIGTERM.

Owns the signals and the port. Must not know the other arguments, the words, or HTTP.
"""

from __future__ import annotations

import argparse
import signal
import threading
import time
import webbrowser
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from segment_librato.devserver.terminal import finish

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEFAULT_PORT", "MAX_PORT", "open_page", "parse_port", "serve"]

DEFAULT_PORT = 8765
MAX_PORT = 65_535
MAX_SIGNAL_DELAY = 0.5  # seconds
SIGNALS = (signal.SIGINT, signal.SIGTERM)

Server = TypeVar("Server")


def serve(
    start: Callable[[], Server], greet: Callable[[Server], None], end: Callable[[Server], None]
) -> None:
    """Run a server until a signal, which may also come while it starts.

    Args:
        start: makes the server; what it raises is for the caller.
        greet: says that it runs.
        end: closes it, and says so.
    """
    # A shell that starts this in the background has it ignore SIGINT.
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    server = None
    with suppress(KeyboardInterrupt):
        server = start()
        greet(server)
        while True:  # a signal that comes just before a sleep is seen after it
            time.sleep(MAX_SIGNAL_DELAY)
    if server is not None:
        finish(partial(end, server), 0)


def parse_port(text: str) -> int:
    """Return a port, for `argparse`."""
    is_short = len(text) <= len(str(MAX_PORT))
    if not (is_short and text.isascii() and text.isdecimal() and int(text) <= MAX_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {MAX_PORT}")
    return int(text)


def open_page(host: str) -> None:
    """Open a page in a browser, which may run in this terminal, until it is left."""
    threading.Thread(target=webbrowser.open, args=(host,), daemon=True).start()


def _interrupt(*_: object) -> None:
    """Interrupt once: the end takes no longer than `finish` lets it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
