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
        start: makes the server.
        greet: says that it runs. It is called on another thread, where no signal interrupts it: it
            may take locks, and change what is written, as `end` does.
        end: closes it, and says so.

    What any of them raises is for the caller.
    """
    interruption = _Interruption()
    # A shell that starts this in the background has it ignore SIGINT.
    for number in SIGNALS:
        signal.signal(number, interruption)
    running = None
    with suppress(KeyboardInterrupt):
        server = start()
        interruption.may_raise = False
        running = _Running(partial(greet, server), partial(end, server))
        interruption.raise_from_now_on()
        running.wait()
        while True:  # a signal that comes just before a sleep is seen after it
            time.sleep(MAX_SIGNAL_DELAY)
    if running is not None:
        finish(running.end, 0)
        running.raise_error()


def parse_port(text: str) -> int:
    """Return a port, for `argparse`."""
    is_short = len(text) <= len(str(MAX_PORT))
    if not (is_short and text.isascii() and text.isdecimal() and int(text) <= MAX_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {MAX_PORT}")
    return int(text)


def open_page(host: str) -> None:
    """Open a page in a browser, which may run in this terminal, until it is left."""
    threading.Thread(target=webbrowser.open, args=(host,), daemon=True).start()


class _Interruption:
    """The handler of both signals: the first one raises KeyboardInterrupt, when it may.

    There is one at most, as the end takes no longer than `finish` lets it.
    """

    def __init__(self) -> None:
        self.may_raise = True
        self._has_come = False

    def __call__(self, *_: object) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self._has_come = True
        if self.may_raise:
            raise KeyboardInterrupt

    def raise_from_now_on(self) -> None:
        """Have a signal raise, also one that has come."""
        self.may_raise = True
        if self._has_come:
            raise KeyboardInterrupt


class _Running:
    """A server that runs: it greets, on a thread of its own, from now on."""

    def __init__(self, greet: Callable[[], None], end: Callable[[], None]) -> None:
        self._greet = greet
        self._end = end
        self._error: BaseException | None = None
        self._has_greeted = threading.Lock()
        self._has_greeted.acquire()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until it has greeted, or for a signal. Raises as `raise_error`."""
        while not self._has_greeted.acquire(timeout=MAX_SIGNAL_DELAY):
            pass
        self.raise_error()

    def end(self) -> None:
        """End it, when it has greeted."""
        self._thread.join()
        if self._error is None:
            self._call(self._end)

    def raise_error(self) -> None:
        """Raise what `greet` or `end` has raised."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._call(self._greet)
        finally:
            self._has_greeted.release()

    def _call(self, function: Callable[[], None]) -> None:
        """Call a function; keep what it raises for the main thread."""
        try:
            function()
        except BaseException as error:  # noqa: BLE001  the same, whatever it is
            self._error = error
