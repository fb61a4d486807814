"""The page's HTTP API: from a path to a response.

Owns the routes, their parameters, and the form of what they return. Must not know SQL or sockets.
"""

from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote

from segment_librato.devserver.http.exchange import InvalidRequestError, Request, Response
from segment_librato.devserver.page.assets import read_asset
from segment_librato.devserver.page.charts import (
    AVERAGE,
    DEFAULT_PERIOD,
    SUM,
    SUMMARIES,
    Display,
    draw,
)
from segment_librato.devserver.page.filters import FILTERS, read_filter
from segment_librato.devserver.page.gauges import Gauges
from segment_librato.devserver.page.journal import Journal, JournalError
from segment_librato.devserver.page.lookups import Lookups
from segment_librato.devserver.page.outlines import REJECTED
from segment_librato.devserver.page.query import Query, read_content
from segment_librato.devserver.page.transfer import read_lines, write_line
from segment_librato.events import check
from segment_librato.librato import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from segment_librato.devserver.http.connection import Handler
    from segment_librato.devserver.http.exchange import JsonObject
    from segment_librato.devserver.page.clients import Clients
    from segment_librato.devserver.page.stream import Stream
    from segment_librato.devserver.page.trouble import Trouble

__all__ = ["BODY_LIMITS", "Routes"]

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_IMPORT_BYTES = 256 * 1024 * 1024
BODY_LIMITS = {"/events": MAX_IMPORT_BYTES}
HOUR = 3600
MAX_PERIOD = 24 * HOUR
MAX_SECONDS = 31 * 24 * HOUR
SWITCH = {"1": True, "0": False, "true": True, "false": False}
MAX_ID_DIGITS = 18
MAX_SKIPPED_SHOWN = 10


class Routes:
    """The routes of one page."""

    def __init__(
        self,
        journal: Journal,
        stream: Stream,
        clients: Clients,
        trouble: Trouble,
        forget: Callable[[], None],
    ) -> None:
        """Make the routes.

        Args:
            journal: what is shown.
            stream: told when a route has changed something.
            clients: what clients say of themselves.
            trouble: faults on demand.
            forget: makes the server forget what it has received.
        """
        self._journal = journal
        self._lookups = Lookups(journal)
        self._gauges = Gauges(journal)
        self._stream = stream
        self._clients = clients
        self._trouble = trouble
        self._forget = forget
        self._routes = self._list_routes()
        self._named: dict[str, Callable[[Request, str], Response]] = {
            "/events/": self._get_event,
            "/gauges/": self._chart,
            "/static/": self._get_asset,
        }
        self._paths = {path for _, path in self._routes}

    def owns(self, path: str) -> bool:
        """Return whether a path is one of the page's."""
        return path in self._paths or path.startswith(tuple(self._named))

    def respond(self, request: Request, body: bytes) -> Response:
        """Return the response to a request whose path is one of the page's.

        Raises:
            InvalidRequestError: There is no response; its text says why.
        """
        method = "GET" if request.method == "HEAD" else request.method
        path = request.path
        if path in self._paths:
            route = self._routes.get((method, path))
            if route is None:
                raise _not_allowed([known for known, one in self._routes if one == path])
            return route(request, body)
        if method != "GET":
            raise _not_allowed(["GET"])
        folder, name = path[1:].split("/", 1)
        return self._named[f"/{folder}/"](request, name)

    def _list_routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", "/"): self._get_page,
            ("GET", "/favicon.ico"): lambda _request, _query: Response(204),
            ("GET", "/events"): self._list_events,
            ("POST", "/events"): self._import,
            ("DELETE", "/events"): self._clear,
            ("GET", "/events.jsonl"): self._export,
            ("GET", "/names"): self._list_names,
            ("GET", "/requests"): self._list_requests,
            ("GET", "/gauges"): self._list_gauges,
            ("GET", "/stream"): self._follow,
            ("GET", "/faults"): self._list_faults,
            ("POST", "/faults"): self._make_trouble,
            ("DELETE", "/faults"): self._end_trouble,
            ("GET", "/clients"): self._list_clients,
            ("POST", "/clients"): self._report_client,
        }

    def _get_page(self, _: Request, __: bytes) -> Response:
        return read_asset("index.html")

    def _get_asset(self, _: Request, name: str) -> Response:
        return read_asset(name)

    def _list_events(self, request: Request, _: bytes) -> Response:
        query = Query(request.query, [*FILTERS, "before", "after", "limit", "offset"])
        events, matching, kept = self._lookups.list_events(
            read_filter(query),
            query.id("before"),
            query.id("after"),
            _read_limit(query),
            query.whole("offset", 0),
        )
        return Response.of_json(200, {"events": events, "matching": matching, "kept": kept})

    def _get_event(self, request: Request, name: str) -> Response:
        Query(request.query, [])
        event = self._lookups.find_event(int(name)) if _is_id(name) else None
        if event is None:
            raise InvalidRequestError(404, "no event has this id")
        try:
            event["message"] = json.loads(event["message"])
            event["explanation"] = explain(event["message"])
            problems = [] if event["verdict"] == REJECTED else check(event["message"])
            event["problems"] = [problem._asdict() for problem in problems]
            if event["previous"]:
                event["previous"]["message"] = json.loads(event["previous"]["message"])
            return Response.of_json(200, event)
        except RecursionError:
            raise InvalidRequestError(500, "the message is nested too deeply") from None

    def _clear(self, request: Request, _: bytes) -> Response:
        Query(request.query, [])
        self._forget()
        cleared = self._journal.clear()
        self._stream.touch()
        return Response.of_json(200, {"cleared": cleared})

    def _export(self, request: Request, _: bytes) -> Response:
        wanted = read_filter(Query(request.query, FILTERS))

        def write() -> Generator[bytes, None, None]:
            for rows in self._lookups.export(wanted):
                yield b"".join(map(write_line, rows))

        headers = {
            "Content-Type": "application/x-ndjson; charset=utf-8",
            "Content-Disposition": 'attachment; filename="events.jsonl"',
        }
        return Response(200, headers=headers, pieces=write())

    def _import(self, request: Request, body: bytes) -> Response:
        Query(request.query, [])
        if request.raw_size > len(body) or request.raw_size > MAX_IMPORT_BYTES:
            text = f"the body exceeds {MAX_IMPORT_BYTES >> 20} MiB: send it in parts"
            raise InvalidRequestError(413, text)
        imported = 0
        skipped: list[int] = []
        for batch in read_lines(io.BytesIO(body)):
            try:
                self._journal.add(None, batch.events, batch.measurements)
            except JournalError as error:
                raise JournalError(f"{error} ({imported:,} events were imported before)") from None
            self._stream.touch()
            imported += len(batch.events)
            skipped += batch.skipped
        summary = {"imported": imported, "skipped": len(skipped)}
        return Response.of_json(200, {**summary, "skipped_lines": skipped[:MAX_SKIPPED_SHOWN]})

    def _list_names(self, request: Request, _: bytes) -> Response:
        query = Query(request.query, FILTERS)
        return Response.of_json(200, self._lookups.list_names(read_filter(query)))

    def _list_requests(self, request: Request, _: bytes) -> Response:
        query = Query(request.query, ["before", "limit", "offset"])
        requests, kept = self._lookups.list_requests(
            query.id("before"), _read_limit(query), offset=query.whole("offset", 0)
        )
        return Response.of_json(200, {"requests": requests, "kept": kept})

    def _list_gauges(self, request: Request, _: bytes) -> Response:
        Query(request.query, [])
        return Response.of_json(200, self._gauges.list_all())

    def _chart(self, request: Request, quoted: str) -> Response:
        query = Query(request.query, ["seconds", "period", "aggregate", "summarize"])
        name = unquote(quoted)
        if not self._gauges.knows(name):
            raise InvalidRequestError(404, "there is no such gauge")
        display = _read_display(query, self._gauges.find_display(name))
        now = time.time()
        interval = display.interval
        start = (now - display.seconds) // interval * interval
        buckets = self._gauges.measure(name, start, now + interval, interval)
        chart = {
            "name": name,
            "period": display.period,
            "aggregate": display.aggregate,
            "summarize": display.summarize,
            "interval": interval,
            "lines": draw(buckets, display),
        }
        return Response.of_json(200, chart)

    def _follow(self, request: Request, _: bytes) -> Response:
        Query(request.query, [])
        headers = {"Content-Type": "text/event-stream; charset=utf-8"}
        return Response(200, headers=headers, pieces=self._stream.follow())

    def _list_faults(self, _: Request, __: bytes) -> Response:
        return Response.of_json(200, self._trouble.list())

    def _make_trouble(self, _: Request, body: bytes) -> Response:
        self._trouble.make(read_content(body, {"kind", "times", "retry_after", "delay"}))
        self._stream.touch()
        return Response.of_json(200, self._trouble.list())

    def _end_trouble(self, _: Request, __: bytes) -> Response:
        self._trouble.end()
        self._stream.touch()
        return Response.of_json(200, self._trouble.list())

    def _list_clients(self, _: Request, __: bytes) -> Response:
        return Response.of_json(200, self._clients.list())

    def _report_client(self, _: Request, body: bytes) -> Response:
        self._clients.report(read_content(body, {"name", "stats"}))
        self._stream.touch()
        return Response.of_json(200, {"success": True})


def _read_display(query: Query, given: JsonObject) -> Display:
    """Return the options of a chart: those asked for, else those that the gauge was given."""
    summarize = query.choice("summarize", SUMMARIES)
    if not summarize:
        summarize = SUM if given.get("summarize") == SUM else AVERAGE
    aggregate = query.choice("aggregate", SWITCH)
    period = min(given.get("period") or DEFAULT_PERIOD, MAX_PERIOD)
    return Display(
        seconds=query.whole("seconds", HOUR, 1, MAX_SECONDS),
        period=query.whole("period", period, 1, MAX_PERIOD),
        aggregate=SWITCH[aggregate] if aggregate else bool(given.get("aggregate")),
        summarize=summarize,
    )


def _read_limit(query: Query) -> int:
    return query.whole("limit", DEFAULT_LIMIT, 1, MAX_LIMIT)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= MAX_ID_DIGITS


def _not_allowed(methods: list[str]) -> InvalidRequestError:
    text = f"the route accepts only {' and '.join(methods)}"
    return InvalidRequestError(405, text, {"Allow": ", ".join(methods)})
