"""What is mixed into urllib3's pools and connections: deadlines, and pools with no lock.

Owns how a connection is made, lent and kept. Must not know what is sent, what a response means, or
when a connection may be used again.
"""

from __future__ import annotations

import queue
import socket
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from urllib3.connection import HTTPConnection
from urllib3.exceptions import ClosedPoolError, HTTPError
from urllib3.util.connection import allowed_gai_family, is_connection_dropped

from segment_librato.foreign.interruption import being_handled, let_through
from segment_librato.http.deadlines import Exchange, TimedResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from urllib3 import PoolManager

__all__ = ["replace_pools"]


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
        connect = getattr(super(), "_new_conn")  # noqa: B009  the same
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


def replace_pools(manager: PoolManager) -> None:
    """Have a manager make pools of ours."""
    classes = manager.pool_classes_by_scheme
    if not any(issubclass(one, _Pool) for one in classes.values()):
        manager.pool_classes_by_scheme = {
            scheme: _without_lock(of_scheme) for scheme, of_scheme in classes.items()
        }
