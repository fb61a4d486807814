"""What a session hooks into `requests` and urllib3: connections with deadlines, pools with no lock.

Owns connections: when one may be used again, and how it is closed. Must not know what is sent,
what a response means, or how long to wait.
"""

from __future__ import annotations

import queue
import socket
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ClosedPoolError, HTTPError
from urllib3.util.connection import allowed_gai_family, is_connection_dropped

from segment_librato.foreign.interruption import being_handled, let_through
from segment_librato.http.deadlines import Exchange, TimedResponse
from segment_librato.process.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable

    from urllib3 import PoolManager
    from urllib3.connectionpool import HTTPConnectionPool

__all__ = ["DeadlineAdapter", "PlainSession"]

MAX_IDLE_SECONDS = 60.0  # routers forget an idle connection, some after minutes, without a word


class PlainSession(requests.Session):
    """A session of `requests` that follows no redirect, and keeps no cookie."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies = _NoCookies()

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: to say where a redirect leads, `requests` would read all of its body."""


class _NoCookies(RequestsCookieJar):
    def extract_cookies(self, *_: object) -> None:
        """Take no cookie; to parse it would need `time.time`, which a test may replace."""


class DeadlineAdapter(HTTPAdapter):
    """An adapter with one connection, whose responses have deadlines. For one thread at a time.

    Attributes:
        exchange: the request that is being made.
    """

    def __init__(self) -> None:
        self.exchange = Exchange()
        self._pools: set[Any] = set()
        self._pool: Any = None  # the last of them, and what it was made for
        self._wanted: tuple[object, ...] = ()
        self._used_at = 0.0
        super().__init__(pool_connections=1, pool_maxsize=1)

    def prepare(self) -> None:
        """Close a connection over which the server, or something on the way, may not answer."""
        for pool in self._pools:
            if getattr(pool.latest, "sock", None) is not None and (
                monotonic() - self._used_at > MAX_IDLE_SECONDS or _has_more(pool.latest.sock)
            ):
                pool.latest.close()

    def note_use(self) -> None:
        """Note that a response came over the connection just now."""
        self._used_at = monotonic()
        if self.exchange.is_odd:
            self.disconnect()

    def disconnect(self) -> None:
        """Close the connection, even one in the middle of a request; the next makes another."""
        for pool in self._pools:
            if pool.latest is not None:
                pool.latest.close()

    def close(self) -> None:
        """Close the connection; urllib3 leaves that to finalizers, which do not run at exit."""
        self.disconnect()
        for pool in self._pools:
            pool.close()
        self._pool = None
        super().close()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  as the base class has it
        """Make the manager of the pools for requests without a proxy."""
        super().init_poolmanager(*args, **kwargs)
        _replace_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  the same
        """Return the manager of the pools for a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        _replace_pools(manager)
        return manager

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: Any,  # noqa: ANN401  requests has no public name for the type
        proxies: Any = None,  # noqa: ANN401  the same
        cert: Any = None,  # noqa: ANN401  the same
    ) -> HTTPConnectionPool:
        """Return the pool of connections for a request; to look it up takes 70 calls."""
        wanted = (request.url, verify, proxies, cert)
        if self._pool is None or self._wanted != wanted:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            self._pool, self._wanted = pool, wanted
            self._pool.exchange = self.exchange
            self._pools.add(pool)
        return self._pool  # type: ignore[no-any-return]  # it is one of urllib3's, and one of ours

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:  # noqa: ANN401  the same
        """Return urllib3's response as one of `requests`, without its cookies."""
        response = requests.Response()
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(getattr(resp, "headers", {}))
        response.encoding = get_encoding_from_headers(response.headers)
        response.raw = resp
        response.reason = resp.reason
        response.url = req.url or ""
        response.request = req
        response.connection = self
        return response


class _Pool:
    """Mixed into urllib3's pools.

    Attributes:
        exchange: the request that is being made.
        latest: the connection that was made last.
    """

    exchange: Exchange
    latest: Any = None
    pool: Any  # of urllib3, as the next one
    _new_conn: Callable[[], Any]

    def __init__(self, host: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  as urllib3 has it
        """Make a pool for a host.

        The zone of an IPv6 address is `%25eth0` in a URL (RFC 6874), and `%eth0` to the system.
        urllib3 sees to that if there are brackets, which `requests` takes off.
        """
        super().__init__(f"[{host}]" if "%" in host else host, *args, **kwargs)  # type: ignore[call-arg]  # of the pool that this is mixed into

    class QueueCls:
        """What urllib3 keeps idle connections in, without the lock of `queue.LifoQueue`.

        A session serves one thread at a time. A lock could be held forever: by a thread that a
        forked child does not have, whose exit waits for it, or by a call that Ctrl-C ended.
        """

        def __init__(self, maxsize: int) -> None:
            self._maxsize = maxsize
            self._connections: list[Any] = []

        def put(self, connection: object, block: bool = False) -> None:  # noqa: ARG002  as in `queue`
            self._connections.append(connection)

        def get(self, block: bool = False, timeout: float | None = None) -> Any:  # noqa: ANN401, ARG002  the same
            if not self._connections:
                raise queue.Empty
            return self._connections.pop()

        def full(self) -> bool:
            return len(self._connections) >= self._maxsize

        def qsize(self) -> int:
            return len(self._connections)

    # The next three do what those of urllib3 do, which take an AttributeError or a `queue.Empty` of
    # a signal handler for one of their own.

    def close(self) -> None:
        """Close the idle connection, and lend none any more."""
        kept, self.pool = self.pool, None
        while kept is not None and kept.qsize():
            idle = kept.get()
            if idle is not None:
                idle.close()

    def _get_conn(self, timeout: float | None = None) -> Any:  # noqa: ANN401, ARG002  the same
        """Return the idle connection if it is still up, or a new one."""
        if self.pool is None:
            raise ClosedPoolError(self, "Pool is closed.")  # type: ignore[arg-type]  # it is mixed into one
        idle = self.pool.get() if self.pool.qsize() else None
        if idle is not None and is_connection_dropped(idle):
            idle.close()
            idle = None
        return idle or self._new_conn()

    def _put_conn(self, connection: Any) -> None:  # noqa: ANN401  the same
        """Keep a connection; close it if there is one already, or if the pool is closed."""
        if self.pool is not None and not self.pool.full():
            self.pool.put(connection)
        elif connection is not None:
            connection.close()

    def ConnectionCls(self, **options: Any) -> Any:  # noqa: ANN401, N802  it stands for urllib3's class
        """Make a connection, of the class that urllib3 has now: others may replace it."""
        made = _with_deadlines(super().ConnectionCls)(**options)  # type: ignore[misc]  # of the pool that it is mixed into
        made.exchange = self.exchange
        self.latest = made
        return made


class _Connection:
    """Mixed into urllib3's connections."""

    exchange: Exchange
    sock: Any
    port: int
    timeout: float
    _dns_host: str
    _was_used = False

    @property
    def response_class(self) -> Any:  # noqa: ANN401  what `http.client` calls to make a response
        return partial(TimedResponse, exchange=self.exchange)

    def connect(self) -> None:
        self._was_used = False
        super().connect()  # type: ignore[misc]  # of the class that this is mixed into

    def _new_conn(self) -> Any:  # noqa: ANN401  the socket may be one of SOCKS
        """Connect to the first address of the host that answers.

        One at a time, because urllib3 goes on with the next one after any OSError, and a time
        limit of the application may be one.
        """
        connect = super()._new_conn  # type: ignore[misc]  # the same
        host = self._dns_host
        is_usual = getattr(connect, "__func__", None) is HTTPConnection._new_conn  # noqa: SLF001  SOCKS has another
        addresses = _addresses(host, self.port) if is_usual else []
        if len(addresses) < 2:  # noqa: PLR2004  there is no other to go on with
            return connect()
        try:
            for self._dns_host in addresses[:-1]:
                handled = being_handled()
                try:
                    return connect()
                except HTTPError as error:
                    let_through(error, handled)
            self._dns_host = addresses[-1]
            return connect()
        finally:
            self._dns_host = host

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  urllib3 1 and 2 differ
        if self._was_used and self.sock is not None:
            self.timeout = min(self.timeout, self.exchange.keep_connection())
            self.sock.settimeout(self.timeout)  # to send the body; urllib3 does so from 1.26.13 on
        super().request(*args, **kwargs)  # type: ignore[misc]  # the same
        self._was_used = True  # `connect` may have been called meanwhile


def _addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a host; none if urllib3 has to say what is wrong with it."""
    handled = being_handled()
    try:
        found = socket.getaddrinfo(host, port, allowed_gai_family(), socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        let_through(error, handled)
        return []
    return [*dict.fromkeys(_with_zone(*address) for *_, address in found)]


def _with_zone(address: object, port: object, flow: object = 0, zone: object = 0) -> str:  # noqa: ARG001  as in `socket`
    """Return the text of an address; a link-local one of IPv6 needs the number of its zone."""
    return f"{address}%{zone}" if zone else f"{address}"


@cache
def _with_deadlines(connection_class: type[Any]) -> type[Any]:
    return type("Connection", (_Connection, connection_class), {})


@cache
def _without_lock(pool_class: type[Any]) -> type[Any]:
    return type("Pool", (_Pool, pool_class), {})


def _replace_pools(manager: PoolManager) -> None:
    """Have a manager make pools of ours."""
    classes = manager.pool_classes_by_scheme
    if not any(issubclass(one, _Pool) for one in classes.values()):
        manager.pool_classes_by_scheme = {
            scheme: _without_lock(of_scheme) for scheme, of_scheme in classes.items()
        }


def _has_more(sock: Any) -> bool:  # noqa: ANN401  it may be wrapped by `ssl` or pyOpenSSL
    """Return whether TLS holds bytes that were not read; urllib3 looks only at the socket."""
    pending = getattr(getattr(sock, "connection", sock), "pending", None)
    return bool(pending and pending())
