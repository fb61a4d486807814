"""`LocalSegment`: what the local server has received, and how it will respond.

Owns the state that tests look at, under one lock. Must not know sockets or the rules of an API.

Longer than other modules: it is one class, and a third of it tells tests what they can do with it.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from segment_librato.devserver.faults import FaultScript, ScriptedResponse
from segment_librato.devserver.http.connection import serve_connection
from segment_librato.devserver.http.exchange import JsonObject, Request, Response
from segment_librato.devserver.http.listener import LOOPBACK, Listener
from segment_librato.devserver.interfaces import Accepted, Api, Decision, Extension
from segment_librato.devserver.librato import api as librato_api
from segment_librato.devserver.librato.store import LibratoStore
from segment_librato.devserver.segment import api as segment_api
from segment_librato.devserver.segment.api import STATUS_ROUTE, Dropped
from segment_librato.devserver.segment.store import SegmentStore
from segment_librato.librato import Measurement, map_message

if TYPE_CHECKING:
    import socket

    from typing_extensions import Self

__all__ = ["Extend", "LocalSegment", "OnRequest"]

OnRequest: TypeAlias = Callable[[Request, Accepted], None]
Extend: TypeAlias = Callable[["LocalSegment"], Extension]

NO_RESPONSE = Response(status=None)


class LocalSegment:
    """A Segment HTTP API on 127.0.0.1 that keeps what it is sent, for tests and development.

    The same address speaks the Librato Metrics API, for clients that send gauges there directly.

        with LocalSegment() as server:
            client = Client("any key", host=server.host)
            client.track("user", "Signed Up")
            client.flush()
            assert server.messages[0]["event"] == "Signed Up"

    It listens as soon as it is made. It rejects and drops what the API would. `respond` scripts
    faults (statuses, delays, lost connections); `hold` leaves requests without a response. Its
    state can also be read after `close`. All methods may be called from any thread.

    Attributes:
        host: its address, as the option `host` of a client takes it.
        port: its port.
        librato: what it was sent as Librato, to be read at any time.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        on_request: OnRequest | None = None,
        extend: Extend | None = None,
        limit: int | None = None,
    ) -> None:
        """Listen at once.

        Args:
            port: the port, 0 for a free one.
            on_request: called with each request and the messages (of Librato: the samples)
                accepted from it, before the response is sent, in the thread of the connection.
            extend: makes what stands before the APIs and sees what they decide.
            limit: how many requests, messages and measurements are kept, the newest, the requests
                without their content; None: all.

        Raises:
            OSError: The port is taken or not allowed.
        """
        self._on_request = on_request
        self._limit = limit
        self._process_id = os.getpid()
        # Re-entrant, so that a predicate may read the server's properties.
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        self._holding = False
        self._held = 0
        self._script = FaultScript()
        self._requests: deque[Request] = deque(maxlen=limit)
        self._segment = SegmentStore(limit)
        self.librato: LibratoStore = LibratoStore(self._changed, limit)
        self._segment_api = Api(segment_api.judge, Response.of_error, self._segment)
        self._librato_api = Api(librato_api.judge, librato_api.build_error, self.librato)
        self._extension = extend(self) if extend else None
        self._listener = Listener(port, self._serve)
        self.port: int = self._listener.port
        self.host: str = f"http://{LOOPBACK}:{self.port}"

    def __enter__(self) -> Self:
        """Return the server, which listens already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the server."""
        self.close()

    @property
    def messages(self) -> list[JsonObject]:
        """The accepted messages as sent, in order of arrival, each messageId once.

        The context and integrations of a batch are merged into its messages.
        """
        with self._changed:
            return list(self._segment.messages)

    @property
    def measurements(self) -> list[Measurement]:
        """The Librato measurements of the accepted messages."""
        measurements = map(map_message, self.messages)
        return [measurement for measurement in measurements if measurement is not None]

    @property
    def requests(self) -> list[Request]:
        """The requests that got a response or were cut off, in this order; not the status page."""
        with self._changed:
            return list(self._requests)

    @property
    def dropped(self) -> list[Dropped]:
        """The messages that were acknowledged with 200 and discarded, with the reasons."""
        with self._changed:
            return list(self._segment.dropped)

    @property
    def duplicates(self) -> int:
        """The number of messages ignored because their messageId had been accepted before."""
        with self._changed:
            return self._segment.duplicates

    @property
    def held(self) -> int:
        """The number of requests that wait for `release` now."""
        with self._changed:
            return self._held

    def clear(self) -> None:
        """Forget everything received, including messageIds, and all scripted responses."""
        with self._changed:
            self.forget()
            self._script.clear()

    def forget(self) -> None:
        """Forget everything received, including messageIds; scripted responses stay."""
        with self._changed:
            self._requests.clear()
            self._segment.clear()
            self.librato.clear()

    def wait_for(self, count: int, timeout: float = 10) -> bool:
        """Wait until `count` messages for Segment were accepted, and return whether they were."""
        return self.wait_until(lambda: len(self._segment.messages) >= count, timeout)

    def wait_until(self, condition: Callable[[], bool], timeout: float = 10) -> bool:
        """Wait until `condition` holds, and return whether it does.

        Args:
            condition: for example `lambda: server.held == 1`; looked at after every change.
            timeout: seconds; closing the server ends the wait, too.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or condition(), timeout)
            return condition()

    def respond(
        self,
        status: int | None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        accept: bool | None = None,
        times: int | None = 1,
        delay: float = 0.0,
        when: Callable[[Request], bool] | None = None,
    ) -> ScriptedResponse:
        """Respond to the next matching requests like this; several calls queue up.

        Requests that break a rule of the API are rejected as usual, and use up no response.

        Args:
            status: the status; None closes the connection without a response.
            body: the body; None for the API's own, for success or error.
            headers: added to the usual headers, or replacing them. A larger Content-Length
                with `Connection: close` truncates the response.
            accept: whether the messages, or the measurements, are accepted; None: only if the
                status is 2xx. True with any other status imitates a lost response.
            times: number of requests; None for all until `clear`.
            delay: seconds to wait between accepting and responding.
            when: returns whether a request matches; called with the server locked, so be quick.

        Returns what `withdraw` takes; its `times` says how many requests are still to come.

        Raises:
            ValueError: The status is not between 200 and 599, or `times` is below 1.
        """
        scripted = ScriptedResponse(status, body, headers or {}, accept, times, delay, when)
        with self._changed:
            self._script.add(scripted)
        return scripted

    def withdraw(self, scripted: ScriptedResponse) -> None:
        """Respond to no more requests like this, and to those that its delay holds up at once."""
        with self._changed:
            self._script.withdraw(scripted)
            self._changed.notify_all()

    def hold(self) -> AbstractContextManager[object]:
        """Leave requests without a response, and unaccepted, until `release`.

        Returns a context manager that releases them at its end.
        """
        with self._changed:
            self._holding = True
        releasing = ExitStack()
        releasing.callback(self.release)
        return releasing

    def release(self) -> None:
        """Continue the requests that `hold` stopped."""
        with self._changed:
            self._holding = False
            self._changed.notify_all()

    def close(self) -> None:
        """Stop at once: requests without a response see their connection end. May be repeated.

        In a forked child this does nothing, as the server belongs to the parent.
        """
        if os.getpid() == self._process_id:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            if self._extension is not None:
                self._extension.close()
            self._listener.close()

    def _serve(self, connection: socket.socket, client_address: tuple[str, int]) -> None:
        extension = self._extension
        if extension is None:
            serve_connection(connection, client_address, self._handle)
        else:
            handle = partial(extension.handle, proceed=self._handle)
            limits, headers = extension.body_limits, extension.headers
            serve_connection(connection, client_address, handle, limits, headers)

    def _handle(self, request: Request, body: bytes) -> Response:
        """Decide about one request, in the thread of its connection."""
        if (request.method, request.path) == STATUS_ROUTE:
            return self._count()
        api = self._find_api(request.path)
        verdict = api.judge(request, body)
        with self._changed:
            if not self._pass_gate():
                return NO_RESPONSE
            scripted = None if verdict.request.rejection else self._script.take(verdict.request)
            verdict = api.store.settle(verdict)
            response = (
                scripted.build(verdict.response, api.build_error) if scripted else verdict.response
            )
            accepts = scripted is None or scripted.accepts
            accepted = api.store.accept(verdict) if accepts else ()
            request = replace(verdict.request, status=response.status)
            self._requests.append(request if self._limit is None else request.without_content())
            self._changed.notify_all()
        if self._on_request is not None:
            self._on_request(request, accepted)
        if self._extension is not None:
            is_scripted = scripted is not None
            self._extension.observe(
                Decision(request, body, verdict, accepted, is_scripted, accepts)
            )
        if scripted is not None:
            self._delay(scripted)
        return response

    def _delay(self, scripted: ScriptedResponse) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or scripted.is_withdrawn, scripted.delay)
            scripted.waiting -= 1

    def _find_api(self, path: str) -> Api[Any]:
        return self._librato_api if librato_api.is_librato_route(path) else self._segment_api

    def _count(self) -> Response:
        """Return the response to a request for the status page."""
        with self._changed:
            requests = {"requests": len(self._requests)}
            return Response.of_json(
                200, {**requests, **self._segment.count(), **self.librato.count()}
            )

    def _pass_gate(self) -> bool:
        """Wait while requests are held; return False if the server was closed meanwhile."""
        if self._holding:
            self._held += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or not self._holding)
            self._held -= 1
        return not self._closed
