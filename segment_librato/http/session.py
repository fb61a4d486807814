"""An HTTP session: one request after another to one URL, each with an end in time.

Owns proxies, certificates, the second try over a new connection, and the size limit of a response.
Must not know what is sent, what a response or a failure means, or how deadlines are kept.

The status line decides: once it and the headers are there, nothing that happens to the body turns
a success into a failure, or delays it for long.
"""

from __future__ import annotations

import os
import re
from http.client import HTTPException
from time import time as wall_clock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from segment_librato.config.validators import host_of, is_loopback
from segment_librato.foreign.interruption import being_handled, let_through
from segment_librato.http.adapter import DeadlineAdapter, PlainSession
from segment_librato.http.deadlines import timeout_within
from segment_librato.http.failures import causes, explain
from segment_librato.http.response import Response
from segment_librato.log import log
from segment_librato.process.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

    from segment_librato.config.validators import Timeout

__all__ = ["Session"]

MAX_BODY_BYTES = 64 * 1024
# What `requests`, urllib3 and `http.client` raise, and responses that a test made; nothing that a
# signal handler may raise meanwhile, which is the caller's.
BROKEN = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError, AttributeError)
ZONE = re.compile(r"%[^]]*")


class Session:
    """Sends to one URL over connections that are kept. For one thread at a time.

    Proxies and certificate authorities come from the environment, as with `requests`. They are
    looked up once, here, and a `~/.netrc` is not: it would replace the Authorization header.
    """

    def __init__(
        self,
        url: str,
        proxies: Mapping[str, str] | None,
        timeout: Timeout,
        *,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
    ) -> None:
        """Make a session; it connects when it first sends.

        Args:
            url: where requests go.
            proxies: scheme to URL; they take precedence over the environment.
            timeout: seconds to connect, and to the end of the headers; one number or a pair.
            verify: a file of certificate authorities; it takes precedence over the environment.
            cert: a file with a client certificate, or a pair of files with it and its key.
        """
        parts = urlsplit(url)
        self._url = url
        self._host = host_of(url)
        _warn_of_plain_http(url)
        self._timeout = timeout
        self._requests = PlainSession()
        # A response is read up to a limit in bytes, which compression would make meaningless.
        self._requests.headers["Accept-Encoding"] = "identity"
        self._adapter = DeadlineAdapter()
        self._requests.mount("https://", self._adapter)
        self._requests.mount("http://", self._adapter)
        # `requests` would compute all of this for each request, which takes as long as sending it.
        self._prepared = self._requests.prepare_request(requests.Request("POST", url))
        self._headers = dict(self._prepared.headers)
        if "%" in parts.netloc:  # the zone of an IPv6 address is our own affair
            self._headers["Host"] = ZONE.sub("", parts.netloc)
        self._send_options: dict[str, Any] = {
            "proxies": {**get_environ_proxies(url), **(proxies or {})},
            "verify": (_ca_bundle() or True) if verify is True else verify,
            "cert": cert,
            "stream": True,
            "allow_redirects": False,
        }

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the session."""
        self.close()

    def send(
        self, method: str, body: bytes, headers: Mapping[str, str], seconds: float | None = None
    ) -> Response:
        """Send a body; redirects are not followed.

        If nothing comes back over a connection that was there already, the body is sent again
        over a new one, in the time that is left, as a caller would after a `NetworkError`.

        Args:
            method: the HTTP method.
            body: what to send.
            headers: added to those of every request, or replacing them.
            seconds: to the end of the response, if that must come before the timeout.

        Raises:
            ConfigError: a setting rules out every request, such as a missing file of authorities.
            NetworkError: no response came.
        """
        handled_by_caller = being_handled()
        exchange = self._adapter.exchange
        try:
            self._adapter.prepare()
            try:
                return self._exchange(method, body, headers, seconds)
            except (requests.RequestException, OSError) as error:
                let_through(error, handled_by_caller)
                chain = causes(error, handled_by_caller)
                is_silence = any(isinstance(one, TimeoutError) for one in chain)
                if not (is_silence and exchange.is_over_kept_connection):
                    raise
            return self._exchange(method, body, headers, exchange.seconds_left())
        except (requests.RequestException, OSError, ValueError) as error:
            let_through(error, handled_by_caller)
            options = self._send_options
            raise explain(error, self._url, options, handled_by_caller) from None

    def _exchange(
        self, method: str, body: bytes, headers: Mapping[str, str], seconds: float | None
    ) -> Response:
        """Send a body once; whatever is wrong with a response, its status line decides."""
        exchange, handled_by_caller = self._adapter.exchange, being_handled()
        exchange.begin(self._timeout, seconds)
        try:
            response = self._requests.send(
                self._request(method, body, headers),
                timeout=timeout_within(self._timeout, seconds),
                **self._send_options,
            )
        except (requests.RequestException, OSError, ValueError, StopIteration) as error:
            let_through(error, handled_by_caller)
            if exchange.status is None:
                raise
            return Response(exchange.status, exchange.reason, {}, b"", wall_clock())
        try:
            return Response(
                status=response.status_code,
                reason=response.reason or "",
                headers=response.headers,
                body=_read_body(response),
                received_at=wall_clock(),
            )
        finally:
            if response.raw is not None:  # as in a response that a test made
                response.close()
            self._adapter.note_use()

    def _request(
        self, method: str, body: bytes, headers: Mapping[str, str]
    ) -> requests.PreparedRequest:
        """Return a request of its own for each try: others may keep it, or change it."""
        request = requests.PreparedRequest()
        request.method = method
        request.url = self._prepared.url
        request.body = body
        request.headers = CaseInsensitiveDict(
            {**self._headers, "Content-Length": str(len(body)), **headers}
        )
        return request

    def post(
        self, body: bytes, headers: Mapping[str, str], seconds: float | None = None
    ) -> Response:
        """Post a body as `send` does, and log the status."""
        began = monotonic()
        response = self.send("POST", body, headers, seconds)
        took = monotonic() - began
        size = len(body)
        log.debug(
            "%s answered %d to %d bytes after %.3f s", self._host, response.status, size, took
        )
        return response

    def close(self) -> None:
        """Close the connections."""
        self._requests.close()


_warned: set[str] = set()


def _warn_of_plain_http(url: str) -> None:
    """Warn, once per host, that anybody on the network path can read what is sent."""
    parts, host = urlsplit(url), host_of(url)
    if parts.scheme == "http" and host not in _warned and not is_loopback(parts.hostname or ""):
        _warned.add(host)
        log.warning("keys and messages travel to %s unencrypted; use https", host)


def _ca_bundle() -> str | None:
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")


def _read_body(response: requests.Response) -> bytes:
    """Read the body within limits; a connection with more to come is closed with it."""
    body, handled_by_caller = b"", being_handled()
    try:
        if response.raw is None:  # a response that a test made
            return (response.content or b"")[:MAX_BODY_BYTES]
        # urllib3 1 has no `read1`; its `read` returns nothing if it would have to wait too long.
        read = getattr(response.raw, "read1", response.raw.read)
        while piece := read(MAX_BODY_BYTES - len(body), decode_content=False):
            if not isinstance(piece, bytes):  # a mock of a test has no end
                break
            body += piece
    except BROKEN as error:  # which changes nothing about the status
        let_through(error, handled_by_caller)
        log.debug("the body of a response ended with %s", type(error).__name__)
    return body
