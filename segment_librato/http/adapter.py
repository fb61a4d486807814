"""What a session hooks into `requests`: no redirects, no cookies, and one connection.

Owns when that may be used again, and that it is closed. Must not know what is sent, what a response
means, or how long to wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from segment_librato.http.connections import replace_pools
from segment_librato.http.deadlines import Exchange
from segment_librato.process.clock import monotonic

if TYPE_CHECKING:
    from urllib3.connectionpool import HTTPConnectionPool

__all__ = ["DeadlineAdapter", "PlainSession"]

MAX_IDLE_SECONDS = 60.0  # routers forget an idle connection, some after minutes, without a word


class PlainSession(requests.Session):
    """A session of `requests` that follows no redirect, and keeps no cookie."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies: RequestsCookieJar = _NoCookies()

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: to say where a redirect leads, `requests` would read all of its body."""


class _NoCookies(RequestsCookieJar):
    def extract_cookies(self, response: object, request: object) -> None:
        """Take no cookie; to parse it would need `time.time`, which a test may replace."""


class DeadlineAdapter(HTTPAdapter):
    """An adapter with one connection, whose responses have deadlines. For one thread at a time.

    Attributes:
        exchange: the request that is being made.
    """

    def __init__(self) -> None:
        self.exchange: Exchange = Exchange()
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
        replace_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  the same
        """Return the manager of the pools for a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        replace_pools(manager)
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


def _has_more(sock: Any) -> bool:  # noqa: ANN401  it may be wrapped by `ssl` or pyOpenSSL
    """Return whether TLS holds bytes that were not read; urllib3 looks only at the socket."""
    pending = getattr(getattr(sock, "connection", sock), "pending", None)
    return bool(pending and pending())
