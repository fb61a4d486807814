"""One POST of one batch to the Segment API.

Owns the HTTP session, authentication, compression, proxies and what an answer means. Knows
nothing of queues or of retries beyond the number that it tells the server.

The answer's status line decides. The body is read for its error text, up to a limit in bytes
and in seconds, so that a server which drips or never ends holds nothing up.
"""

from __future__ import annotations

import base64
import gzip
import json
import logging
import os
import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from segment_librato._version import VERSION
from segment_librato.errors import APIError, NetworkError

if TYPE_CHECKING:
    from urllib3.connectionpool import HTTPConnectionPool

    from segment_librato.batch import Batch
    from segment_librato.config import Config
    from segment_librato.oauth import TokenProvider

__all__ = ["SegmentTransport"]

MAX_ANSWER_BYTES = 64 * 1024
MAX_ANSWER_SECONDS = 2.0
MAX_TEXT_LENGTH = 200
GZIP_LEVEL = 6  # level 9 takes twice the time for 1 % fewer bytes

SUCCESS = range(200, 300)
REDIRECT = range(300, 400)
TOKEN_REFUSED = frozenset({400, 401, 403, 511})

log = logging.getLogger("segment")

# Sessions of a parent process. Closing them here could wait for a lock of a thread that was not
# forked, so they are kept for ever.
_inherited: list[list[requests.Session]] = []


class SegmentTransport:
    """Posts batches to `{host}/v1/batch`. Thread-safe: each thread has a session of its own."""

    def __init__(self, config: Config, tokens: TokenProvider | None = None) -> None:
        """Make a transport; it connects when it first sends.

        Args:
            config: the client's options.
            tokens: where bearer tokens come from, instead of the write key.
        """
        self._config = config
        self._tokens = tokens
        self._write_key = config.write_key or ""
        self._host = urlsplit(config.batch_url).hostname
        self._closed = False
        self._idle_sessions: list[requests.Session] = []

    def reset_after_fork(self) -> None:
        """Leave the sessions to the parent, untouched, and have none."""
        _inherited.append(self._idle_sessions)
        self._idle_sessions = []
        if self._tokens:
            self._tokens.reset_after_fork()

    def send(self, batch: Batch) -> None:
        """Post a batch.

        Raises:
            APIError: the server answered, but not with success.
            NetworkError: no answer came.
        """
        sent_at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        body = batch.body(self._write_key, sent_at)
        headers = self._headers(batch.retries)
        if self._config.gzip:
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        batch.bytes_sent += len(body)
        session = self._idle_sessions.pop() if self._idle_sessions else self._new_session()
        try:
            self._post(session, body, headers)
        finally:
            self._keep(session)

    def close(self) -> None:
        """Close the sessions; one that is in use is closed when it comes back."""
        self._closed = True
        while self._idle_sessions:
            self._idle_sessions.pop().close()

    def _headers(self, retries: int) -> dict[str, str]:
        if self._tokens:
            authorization = f"Bearer {self._tokens.token()}"
        else:
            credentials = base64.b64encode(f"{self._write_key}:".encode()).decode()
            authorization = f"Basic {credentials}"
        headers = {"Authorization": authorization}
        if retries:
            headers["X-Retry-Count"] = str(retries)
        return headers

    def _post(self, session: requests.Session, body: bytes, headers: dict[str, str]) -> None:
        began = time.monotonic()
        try:
            with session.post(
                self._config.batch_url,
                data=body,
                headers=headers,
                timeout=self._config.timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                status = response.status_code
                answer = _read_body(response)
        except (requests.RequestException, OSError, ValueError) as error:
            raise NetworkError(f"{self._host}: {_cause(error)}") from None
        log.debug(
            "%s answered %d to %d bytes after %.3f s",
            self._host,
            status,
            len(body),
            time.monotonic() - began,
        )
        if status not in SUCCESS:
            raise self._api_error(response, answer)

    def _api_error(self, response: requests.Response, answer: bytes) -> APIError:
        status = response.status_code
        retry_after = parse_retry_after(response.headers.get("Retry-After"), time.time())
        if status in REDIRECT:
            target = _host_name(response.headers.get("Location", ""))
            message = f"{self._host} redirects to {target}; set `host` to where the API is"
            return APIError(status, "redirect", message, retry_after)
        if self._tokens and status in TOKEN_REFUSED:
            self._tokens.discard()
        code, message = _error_text(answer)
        message = message.replace(self._write_key, "***")
        return APIError(status, code, message or response.reason or "", retry_after)

    def _new_session(self) -> requests.Session:
        """Make a session; what the environment says of proxies and CAs is read once, here.

        `trust_env` is off from then on, so that nothing is looked up per request and no
        `~/.netrc` replaces the Authorization header.
        """
        session = requests.Session()
        session.headers.update(
            {"Content-Type": "application/json", "User-Agent": f"segment-librato/{VERSION}"}
        )
        url = self._config.batch_url
        session.proxies.update(get_environ_proxies(url))
        session.proxies.update(self._config.proxies or {})
        for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            if bundle := os.environ.get(variable):
                session.verify = bundle
                break
        session.trust_env = False
        adapter = _Adapter(pool_connections=1, pool_maxsize=1)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    def _keep(self, session: requests.Session) -> None:
        if self._closed:
            session.close()
        else:
            self._idle_sessions.append(session)


class _Adapter(HTTPAdapter):
    """An adapter whose connections give up on a silent body soon."""

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: Any,  # noqa: ANN401  requests has no public name for the type
        proxies: Any = None,  # noqa: ANN401
        cert: Any = None,  # noqa: ANN401
    ) -> HTTPConnectionPool:
        """Return the pool of connections for a request."""
        pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        pool.ConnectionCls = _impatient(type(pool).ConnectionCls)
        return pool


@cache
def _impatient(connection_class: type[Any]) -> type[Any]:
    """Return the connection class, with a shorter timeout once the headers are there."""

    class Connection(connection_class):  # type: ignore[misc]
        def getresponse(self) -> object:
            sock = self.sock  # gone afterwards, if the server is going to close
            response = super().getresponse()
            sock.settimeout(MAX_ANSWER_SECONDS)
            return response

    return Connection


def _read_body(response: requests.Response) -> bytes:
    """Read the body within limits; a connection with more to come is closed with it."""
    deadline = time.monotonic() + MAX_ANSWER_SECONDS
    # `read` waits until it has as many bytes as it was asked for; urllib3 1 has no `read1`
    read, size = getattr(response.raw, "read1", None), MAX_ANSWER_BYTES
    if read is None:
        read, size = response.raw.read, 1
    body = b""
    try:
        while len(body) < MAX_ANSWER_BYTES and time.monotonic() < deadline:
            if not (piece := read(size)):
                break
            body += piece
    except Exception as error:  # noqa: BLE001  a broken body changes nothing about the status
        log.debug("the body of an answer ended with %s", type(error).__name__)
    return body


def _error_text(answer: bytes) -> tuple[str, str]:
    """Return the code and the message of an error's JSON body, shortened."""
    try:
        content = json.loads(answer)
    except (ValueError, RecursionError):
        return "unknown", ""
    if not isinstance(content, dict):
        return "unknown", ""
    code, message = content.get("code"), content.get("message")
    return (
        code[:MAX_TEXT_LENGTH] if isinstance(code, str) and code else "unknown",
        message[:MAX_TEXT_LENGTH] if isinstance(message, str) else "",
    )


def _host_name(url: str) -> str:
    """Return the host of a Location; the rest of it may hold anything."""
    try:
        return urlsplit(url).hostname or "nowhere"
    except ValueError:
        return "nowhere"


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Read a Retry-After header: seconds, or an HTTP date (RFC 9110, 10.2.3).

    Args:
        value: the header.
        now: the time in seconds since the epoch.

    Returns:
        The seconds to wait, more than 0; None if there is nothing to wait for.
    """
    if value is None:
        return None
    try:
        seconds = float(int(value))
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except (TypeError, ValueError, IndexError):
            return None
        if date.tzinfo is None:  # "-0000" and a missing zone mean UTC
            date = date.replace(tzinfo=timezone.utc)
        seconds = date.timestamp() - now
    return seconds if seconds > 0 else None


def _cause(error: BaseException) -> str:
    """Say what went wrong, in words that hold no URL and so no password of a proxy."""
    name = type(error).__name__
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        text = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None)
        if isinstance(cause, OSError) and text:
            return f"{name}: {text}"
        inner = getattr(cause, "reason", None) or (cause.args[0] if cause.args else None)
        cause = inner if isinstance(inner, BaseException) else cause.__cause__ or cause.__context__
    return name
