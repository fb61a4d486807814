"""What the demo tells while it happens: a line for what the app, the API and the library's log say.

Owns the words and the time before them. Must not know when something is to happen.
"""

from __future__ import annotations

import logging
import shutil
import textwrap
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from segment_librato.devserver.demo.plan import (
    EVENT,
    FAULTS,
    SECONDS,
    WEB_SERVERS,
    event_of,
    list_items,
)
from segment_librato.foreign.printable import printable

if TYPE_CHECKING:
    from collections.abc import Generator

    from segment_librato.counters import Stats
    from segment_librato.devserver.http.exchange import JsonObject, Request
    from segment_librato.devserver.interfaces import Accepted
    from segment_librato.devserver.terminal import Terminal
    from segment_librato.errors import SegmentError

__all__ = ["Story"]

SUCCESS = 200
BAD_REQUEST = 400
MIN_WIDTH = 60
MAX_WIDTH = 120


class Story:
    """Tells what happens. Thread-safe: the server, the client and the main program call it.

    Attributes:
        reported: the event of each message that `on_error` was called with.
    """

    def __init__(self, terminal: Terminal, noun: str) -> None:
        """Begin now.

        Args:
            terminal: where it is told.
            noun: what the API takes, in the plural.
        """
        self.reported: list[str] = []
        self._terminal = terminal
        self._noun = noun
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._is_down = False
        self._has_succeeded = False
        self._faults = 0
        self._rejected_sizes: list[int] = []
        self._width = min(max(shutil.get_terminal_size().columns, MIN_WIDTH), MAX_WIDTH)

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def tell_beginning(self, api: str, host: str) -> None:
        """Tell what is tracked, and where it goes."""
        servers = f"{WEB_SERVERS[0].source} to {WEB_SERVERS[-1].source[-2:]}"
        self._tell("API", f"a local {api} listens on {host}")
        self._tell("app", f"{servers} track {EVENT}, {SECONDS} values each")

    def tell_outage(self) -> None:
        """Tell that the API goes down."""
        self._tell("API", "OUTAGE begins; the web servers keep tracking", "red")

    def tell_waiting(self, stats: Stats) -> None:
        """Tell what the client holds during the outage."""
        self._tell(
            "app",
            f"{stats.accepted} {self._noun} accepted, {stats.delivered} delivered, "
            f"{stats.pending} wait in memory, {stats.failed} failed",
        )

    def tell_request(self, request: Request, _: Accepted) -> None:
        """Tell of a request, unless it is one like many others; called by the server."""
        size = len(list_items(request))
        count = f"{size} {self._noun}"
        with self._lock:
            if request.status == BAD_REQUEST:
                self._rejected_sizes.append(size)
                line = self._describe_rejection(count)
            elif request.status == SUCCESS:
                line = self._describe_success(count)
            else:
                line = self._describe_fault(request.status, count)
        if line:
            self._tell("API", line, "green" if request.status == SUCCESS else "red")

    def _describe_success(self, count: str) -> str:
        """Say that a request succeeded if it is the first, or the first after the outage."""
        is_first, was_down = not self._has_succeeded, self._is_down
        self._has_succeeded, self._is_down = True, False
        if was_down:
            return f"retry: 200, {count}; the API is back"
        return f"200, {count}" if is_first else ""

    def _describe_fault(self, status: int | None, count: str) -> str:
        what = f"{status or 'connection dropped'}, {count}"
        line = f"retry: {what}" if self._is_down else what
        self._is_down = True
        _, headers = FAULTS[min(self._faults, len(FAULTS) - 1)]
        self._faults += 1
        return "; ".join([line, *(f"{name}: {value}" for name, value in headers.items())])

    def _describe_rejection(self, count: str) -> str:
        """Say that a batch was rejected; its halves are told of later, together."""
        if len(self._rejected_sizes) > 1:
            return ""
        return f"400, {count} rejected: one of them is POISONED"

    def tell_failure(self, error: SegmentError, messages: list[JsonObject]) -> None:
        """Tell what will not be delivered; this is the client's `on_error`."""
        events = [event_of(message) for message in messages]
        with self._lock:
            self.reported += events
            sizes, self._rejected_sizes = self._rejected_sizes, []
        if len(sizes) > 1:
            self._tell("app", f"the client halves the batch: {', '.join(map(str, sizes))}")
        one = f"{events[0]} alone" if len(events) == 1 else f"{len(events)} {self._noun}"
        self._tell("app", f"on_error: {one}; {error}", "bold")

    @contextmanager
    def showing_log(self) -> Generator[None, None, None]:
        """Tell what the library logs at WARNING and above, too."""
        handler = _LogLines(self)
        logger = logging.getLogger("segment")
        propagates, logger.propagate = logger.propagate, False
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.propagate = propagates

    def tell_log(self, text: str) -> None:
        """Tell what the library logged."""
        self._tell("log", text, "dim")

    def _tell(self, who: str, what: str, color: str = "") -> None:
        """Write a line, or several if the text needs them, indented below the first."""
        lead = f"{self.seconds:4.1f} s  {who}  "
        lines = textwrap.wrap(printable(what), self._width - len(lead))
        if color:
            lines = [self._terminal.paint(line, color) for line in lines]
        first = self._terminal.paint(lead, "dim") + lines[0]
        self._terminal.write(first, *(" " * len(lead) + line for line in lines[1:]))


class _LogLines(logging.Handler):
    """Passes log records to a story."""

    def __init__(self, story: Story) -> None:
        super().__init__(logging.WARNING)
        self._story = story

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a record."""
        self._story.tell_log(f"{record.levelname} {record.getMessage()}")
