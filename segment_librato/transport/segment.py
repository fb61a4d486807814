"""One POST of one batch to the Segment API.

Owns authentication, compression, which session posts, and what an answer means. Knows nothing
of connections, of queues, or of retries beyond the number that it tells the server.
"""

from __future__ import annotations

import base64
import gzip
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from segment_librato._version import VERSION
from segment_librato.errors import APIError
from segment_librato.http.deadlines import seconds_until
from segment_librato.http.response import presentable
from segment_librato.http.session import Sessions
from segment_librato.log import log

if TYPE_CHECKING:
    from segment_librato.config.client import Config
    from segment_librato.http.response import Answer
    from segment_librato.queue.batch import Batch
    from segment_librato.transport.oauth import TokenProvider

__all__ = ["SegmentTransport"]

GZIP_LEVEL = 6  # level 9 takes twice the time for 1 % fewer bytes

SUCCESS = range(200, 300)
REDIRECT = range(300, 400)
TOKEN_REFUSED = frozenset({400, 401, 403, 511})


class SegmentTransport:
    """Posts batches to `{host}/v1/batch`. Thread-safe: each `send` has a session to itself."""

    def __init__(self, config: Config, tokens: TokenProvider | None = None) -> None:
        """Make a transport; it connects when it first sends.

        Args:
            config: the client's options.
            tokens: where bearer tokens come from, to authenticate with instead of the write key.
        """
        self._config = config
        self._tokens = tokens
        self._write_key = config.write_key or ""
        self._sessions = Sessions(config.batch_url, config.proxies, config.timeout)
        self._host = self._sessions.host
        self._doubted = False

    def reset_after_fork(self) -> None:
        """Leave the sessions to the parent, untouched, and have none."""
        self._sessions.reset_after_fork()
        if self._tokens:
            self._tokens.reset_after_fork()

    def send(self, batch: Batch) -> None:
        """Post a batch.

        Raises:
            APIError: the server, or that of the bearer tokens, answered, but not with success.
            NetworkError: no answer came.
        """
        deadline = None if batch.timeout is None else time.monotonic() + batch.timeout
        scheme, credentials = self._credentials(deadline)
        sent_at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        body = batch.body(self._write_key, sent_at)
        headers = {
            "Authorization": f"{scheme} {credentials}",
            "Content-Type": "application/json",
            "User-Agent": f"segment-librato/{VERSION}",
        }
        if batch.retries:
            headers["X-Retry-Count"] = str(batch.retries)
        if self._config.gzip:
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        batch.bytes_sent += len(body)
        answer = self._sessions.post(body, headers, seconds_until(deadline))
        if answer.status in SUCCESS:
            self._doubt_web_page(answer)
        else:
            if self._tokens and answer.status in TOKEN_REFUSED:
                self._tokens.discard(credentials)
            raise self._refusal(answer, credentials)

    def close(self) -> None:
        """Close the sessions; one that is in use is closed when it comes back."""
        self._sessions.close()

    def _credentials(self, deadline: float | None) -> tuple[str, str]:
        """Return the scheme and the value of the Authorization header."""
        if self._tokens:
            return "Bearer", self._tokens.token(deadline)
        return "Basic", base64.b64encode(f"{self._write_key}:".encode()).decode()

    def _doubt_web_page(self, answer: Answer) -> None:
        """Warn once of a success that came as a web page, as a portal or a home page would."""
        if "html" in answer.headers.get("Content-Type", "") and not self._doubted:
            self._doubted = True
            log.warning("%s answered with a web page; is `host` where the API is?", self._host)

    def _refusal(self, answer: Answer, credentials: str) -> APIError:
        """Return the answer as an error, its texts shortened and without secrets."""
        secrets = (self._write_key, credentials)
        text = f"{self._host} answered {answer.status}"
        if answer.status in REDIRECT:
            code = "redirect"
            target = presentable(answer.redirect_target(self._config.batch_url), secrets)
            text = message = f"{text}, a redirect to {target}; set `host` to where the API is"
        else:
            content = answer.json_object()
            code = presentable(content.get("code"), secrets) or "unknown"
            said = presentable(content.get("message"), secrets)
            message = said or presentable(answer.reason, secrets)
        return APIError(answer.status, code, message, answer.retry_after(), text)
