"""One POST of one batch to the Segment API.

Owns authentication, compression, and what a response means. Must not know connections, queues,
or retries beyond the number that it tells the server.
"""

from __future__ import annotations

import base64
import gzip
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from segment_librato._version import USER_AGENT
from segment_librato.errors import APIError
from segment_librato.http.deadlines import seconds_until
from segment_librato.http.pool import Sessions
from segment_librato.http.response import NOT_FOUND, REDIRECT, SUCCESS, UNAUTHORIZED, redact
from segment_librato.log import log
from segment_librato.process.clock import monotonic
from segment_librato.transport.base import Receipt
from segment_librato.transport.envelope import build_body

if TYPE_CHECKING:
    from segment_librato.config.client import Config
    from segment_librato.http.response import Response
    from segment_librato.queue.batch import Batch
    from segment_librato.transport.oauth import TokenProvider

__all__ = ["SegmentTransport"]

GZIP_LEVEL = 6  # level 9 takes twice the time for 1 % fewer bytes

TOKEN_REJECTED = frozenset({400, 401, 403, 511})


class SegmentTransport:
    """Posts batches to `{host}/v1/batch`. Thread-safe: each `send` has a session to itself."""

    def __init__(
        self, config: Config, tokens: TokenProvider | None = None, *, is_strict: bool = False
    ) -> None:
        """Make a transport; it connects when it first sends.

        Args:
            config: the client's options.
            tokens: where bearer tokens come from, to authenticate with instead of the write key.
            is_strict: take a success that is a web page, or says that it is none, for a failure.
        """
        self._config = config
        self._tokens = tokens
        self._write_key = config.write_key or ""
        self._sessions = Sessions(config.batch_url, config.proxies, config.timeout)
        self._host = self._sessions.host
        self._is_strict = is_strict
        self._warned_of_web_page = False

    def reset_after_fork(self) -> None:
        """Leave the sessions to the parent, untouched, and start with none."""
        self._sessions.reset_after_fork()
        if self._tokens:
            self._tokens.reset_after_fork()

    def send(self, batch: Batch, timeout: float | None = None) -> Receipt:
        """Post a batch; see `Transport.send`.

        Raises:
            APIError: the server, or that of the bearer tokens, answered without success.
            NetworkError: no response came.
        """
        deadline = None if timeout is None else monotonic() + timeout
        scheme, credentials = self._credentials(deadline)
        sent_at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        body = build_body(batch.messages, self._write_key, sent_at)
        headers = {
            "Authorization": f"{scheme} {credentials}",
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
        }
        if batch.retries:
            headers["X-Retry-Count"] = str(batch.retries)
        if self._config.gzip:
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        response = self._sessions.post(body, headers, seconds_until(deadline))
        if response.status not in SUCCESS or (self._is_strict and _proves_nothing(response)):
            if self._tokens and response.status in TOKEN_REJECTED:
                self._tokens.discard(credentials)
            error = self._error(response, credentials)
            error.bytes_sent = len(body)
            raise error
        if _is_web_page(response):
            self._warn_of_web_page()
        return Receipt(len(body))

    def close(self) -> None:
        """Close the sessions; one that is in use is closed when it comes back."""
        self._sessions.close()

    def _credentials(self, deadline: float | None) -> tuple[str, str]:
        """Return the scheme and the value of the Authorization header."""
        if self._tokens:
            return "Bearer", self._tokens.token(deadline)
        return "Basic", base64.b64encode(f"{self._write_key}:".encode()).decode()

    def _warn_of_web_page(self) -> None:
        """Warn once of a success that a captive portal or a home page would send."""
        if not self._warned_of_web_page:
            self._warned_of_web_page = True
            log.warning("%s answered with a web page; is `host` where the API is?", self._host)

    def _error(self, response: Response, credentials: str) -> APIError:
        """Return the response as an error, its texts shortened and without secrets."""
        secrets = (self._write_key, credentials)
        text = f"{self._host} answered {response.status}"
        if response.status in REDIRECT:
            target = redact(response.redirect_target(self._config.batch_url), secrets)
            text = f"{text}, a redirect to {target}; set `host` to where the API is"
            return APIError(response.status, "redirect", text, response.retry_after(), text)
        if response.status in SUCCESS:
            what = "a web page" if _is_web_page(response) else "success: false"
            text = f"{text} with {what}; check `host`"
        elif response.status == NOT_FOUND:
            path = redact(urlsplit(self._config.batch_url).path, secrets)
            text = f"{text} to a POST to {path}; check `host`"
        elif response.status == UNAUTHORIZED:
            options = "the oauth_ options" if self._tokens else "`write_key`"
            text = f"{text}; check {options}"
        content = response.json_object()
        code = redact(content.get("code"), secrets) or "unknown"
        message = redact(content.get("message"), secrets) or redact(response.reason, secrets)
        return APIError(response.status, code, message, response.retry_after(), text)


def _is_web_page(response: Response) -> bool:
    return "html" in response.headers.get("Content-Type", "")


def _proves_nothing(response: Response) -> bool:
    return _is_web_page(response) or response.json_object().get("success") is False
