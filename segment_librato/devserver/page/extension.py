"""What stands before the APIs: the page's paths are its own, and what the APIs decide is recorded.

Owns the order of things. Must not know HTTP routes, SQL, or how a decision is made.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from segment_librato.devserver.http.exchange import InvalidRequestError, Request, Response
from segment_librato.devserver.librato.api import LibratoVerdict, Update
from segment_librato.devserver.page.assets import HEADERS
from segment_librato.devserver.page.clients import Clients
from segment_librato.devserver.page.guard import READS, check_origin
from segment_librato.devserver.page.journal import Journal, JournalError
from segment_librato.devserver.page.recording import describe_display, record
from segment_librato.devserver.page.routes import BODY_LIMITS, Routes
from segment_librato.devserver.page.sending import SEND_PATH, build_request, is_of_client
from segment_librato.devserver.page.stream import Stream
from segment_librato.devserver.page.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from segment_librato.devserver.http.connection import Handler
    from segment_librato.devserver.interfaces import Decision
    from segment_librato.devserver.server import LocalSegment

__all__ = ["Page"]


class _Recorded(threading.local):
    """The ids that this thread has recorded last: of a request, and of its events."""

    request: int | None = None
    events: Sequence[int] = ()


class Page:
    """The extension of a LocalSegment that makes it a debugger.

    Attributes:
        body_limits: as an `Extension` has it.
        headers: as an `Extension` has it.
    """

    def __init__(self, server: LocalSegment, journal: Journal) -> None:
        """Make the page.

        Args:
            server: the server that it extends.
            journal: what it shows; the caller closes it, after the server.
        """
        self._journal = journal
        self._recorded = _Recorded()
        self._clients = Clients()
        self._complaint = ""
        self.body_limits: Mapping[str, int] = BODY_LIMITS
        self.headers: Mapping[str, str] = HEADERS
        self._server = server
        self._trouble = Trouble(server, is_of_client)
        self._stream = Stream(self._describe_state)
        self._routes = Routes(journal, self._stream, self._clients, self._trouble, server.forget)

    def handle(self, request: Request, body: bytes, proceed: Handler) -> Response:
        """Return the page's response, or that of the APIs."""
        if not self._owns(request):
            return self._ask(request, body, proceed)
        try:
            return self._respond(request, body, proceed)
        except InvalidRequestError as error:
            return Response.of_error(error.status, error.text, error.headers)
        except JournalError as error:
            return Response.of_error(500, str(error))

    def observe(self, decision: Decision) -> None:
        """Record a decision."""
        entries = record(decision)
        try:
            self._recorded.request, self._recorded.events = self._journal.add(*entries)
            self._record_displays(decision)
            self._complaint = ""
        except JournalError as error:
            self._complain(error)
        if decision.is_scripted:
            self._trouble.notice()
        self._stream.touch()

    def close(self) -> None:
        """End the streams."""
        self._stream.close()

    def _owns(self, request: Request) -> bool:
        """Return whether a request is for the page: at `/`, it is if a browser asks."""
        if request.path == "/":
            return request.method in READS and "text/html" in request.headers.get("Accept", "")
        return request.path == SEND_PATH or self._routes.owns(request.path)

    def _respond(self, request: Request, body: bytes, proceed: Handler) -> Response:
        """Return the page's response."""
        check_origin(request)
        if request.path != SEND_PATH:
            return self._routes.respond(request, body)
        self._ask(*build_request(request, body), proceed)
        event = self._recorded.events[0] if self._recorded.events else None
        return Response.of_json(200, {"id": event})

    def _ask(self, request: Request, body: bytes, proceed: Handler) -> Response:
        """Return the response of the APIs, and record how long it took."""
        self._recorded.request, self._recorded.events = None, []
        response = proceed(request, body)
        if self._recorded.request is not None:
            duration = time.monotonic() - request.received_at
            try:
                self._journal.finish(self._recorded.request, duration)
            except JournalError as error:
                self._complain(error)
            self._stream.touch()
        return response

    def _complain(self, error: JournalError) -> None:
        """Say what is wrong with the journal, once: clients can do without it."""
        if str(error) != self._complaint:
            self._complaint = str(error)
            sys.stderr.write(f"{error}; clients are answered, but the page misses their requests\n")

    def _record_displays(self, decision: Decision) -> None:
        """Record the display options of the gauges that a request has given any."""
        verdict = decision.verdict
        if not isinstance(verdict, LibratoVerdict) or not decision.accepts:
            return
        names = {sample.name for sample, properties in verdict.entries if properties}
        if isinstance(verdict.command, Update):
            names.add(verdict.command.name)
        # One may be forgotten meanwhile.
        found = list(filter(None, map(self._server.librato.find, names)))
        if found:
            self._journal.put_displays({one["name"]: describe_display(one) for one in found})

    def _describe_state(self) -> dict[str, int]:
        return {
            **self._journal.state._asdict(),
            "clients": self._clients.revision,
            "faults": self._trouble.revision,
        }
