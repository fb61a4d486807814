"""The demo for a browser: four web servers and a shop that track into a debugger, until Ctrl-C.

    python -m segment_librato.devserver.demo.live --open

Owns what is tracked, at which pace. Must not know what the page makes of it.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from segment_librato import Client
from segment_librato.devserver.command import DEFAULT_PORT, open_page, parse_port, serve
from segment_librato.devserver.demo.plan import EVENT, SECONDS, WEB_SERVERS
from segment_librato.devserver.http.listener import LOOPBACK
from segment_librato.devserver.page.debugger import Debugger
from segment_librato.devserver.page.words import greeting
from segment_librato.devserver.terminal import Terminal
from segment_librato.devserver.watching import watch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

PAST = 300  # seconds that the charts show at once
PAGES = ("Home", "Pricing", "Documentation")
USERS = ("ada", "grace", "joan", "mary", "radia")


class _Show:
    """A debugger, and a thread that tracks into it."""

    def __init__(self, port: int) -> None:
        self.debugger = Debugger(port)
        self._closing = threading.Event()
        self._client = Client("demo", host=self.debugger.host, upload_interval=0.2)
        self._watch = watch(self._client, self.debugger.host, "demo")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, and deliver what waits."""
        self._closing.set()
        self._thread.join()
        self._client.shutdown(2)
        self._watch.close()
        self.debugger.close()

    def _run(self) -> None:
        second = int(time.time()) - PAST
        while not self._closing.wait(max(0.0, second - time.time())):
            for server in WEB_SERVERS:
                self._client.track(
                    server.user_id,
                    EVENT,
                    {"value": server.values[second % SECONDS]},
                    context={"Librato": {"source": server.source}},
                    timestamp=second,
                )
            if second >= time.time() - 1:
                self._visit(second)
            second += 1

    def _visit(self, second: int) -> None:
        """Have somebody visit the shop."""
        user = USERS[second % len(USERS)]
        if second % 3 == 0:
            self._client.page(user, name=PAGES[second % len(PAGES)])
        if second % 10 == 0:
            self._client.identify(user, {"plan": "pro" if user == "ada" else "free"})
        if second % 7 == 0:
            order = {"value": 20 + second % 80, "currency": "EUR"}
            self._client.track(user, "Order Completed", order)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m segment_librato.devserver.demo.live",
        description="Have four web servers and a shop track into a debugger, until Ctrl-C.",
    )
    parser.add_argument(
        "--port", type=parse_port, default=DEFAULT_PORT, help="default: %(default)s"
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    options = parser.parse_args(arguments)
    # A proxy of the environment could not reach this machine.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = LOOPBACK
    terminal = Terminal(sys.stdout)

    def greet(show: _Show) -> None:
        terminal.write(*greeting(show.debugger))
        if options.open:
            open_page(show.debugger.host)

    try:
        serve(lambda: _Show(options.port), greet, _Show.close)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        sys.stderr.write(f"Cannot listen on port {options.port}: {reason}.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
