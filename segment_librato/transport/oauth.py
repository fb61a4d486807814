"""Bearer tokens for Segment's OAuth 2.0: a signed assertion is exchanged for a token.

The flow is RFC 7523, as segment-analytics-python 2.4.0 implements it: a JWT signed with the
application's RSA key goes to `{auth_server}/token`. A token is kept for half of its lifetime.
Needs PyJWT (`pip install "segment-librato[oauth]"`). Leaves retries to the caller, with one
exception: if the local clock turns out to be wrong, the assertion is made again with the right
time. Must not know queues.
"""

from __future__ import annotations

import math
import re
import threading
import time
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from segment_librato.errors import APIError, ConfigError, NetworkError, raised_anew
from segment_librato.foreign.interruption import being_handled, let_through
from segment_librato.http.deadlines import seconds_until
from segment_librato.http.response import NOT_FOUND
from segment_librato.http.session import Session
from segment_librato.process.clock import monotonic
from segment_librato.process.locks import synchronized

if TYPE_CHECKING:
    from segment_librato.config.client import Config
    from segment_librato.http.response import Response

__all__ = ["TokenProvider"]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 60
DEFAULT_TOKEN_SECONDS = 120
CLOCK_MARGIN_SECONDS = 5

SUCCESS = 200
ASSERTION_REJECTED = frozenset({400, 401})  # RFC 6749, 5.2
ERROR_CODE = re.compile("[a-z_]{1,40}")  # anything else may repeat what was sent


class TokenProvider:
    """Fetches a token when one is needed, and keeps it. Thread-safe."""

    @raised_anew
    def __init__(self, config: Config) -> None:
        """Check that tokens can be made from these options.

        Raises:
            ConfigError: PyJWT is missing, or the key is not an RSA private key.
        """
        missing = 'oauth_client_id: needs PyJWT; pip install "segment-librato[oauth]"'
        handled = being_handled()
        try:
            import jwt
        except ImportError as error:
            let_through(error, handled)
            raise ConfigError(missing) from None
        self._config = config
        self._server = config.oauth_auth_server.rstrip("/")
        self._sign = jwt.encode
        self._clock_skew = 0.0
        self.reset_after_fork()
        try:
            self._assertion(time.time())
        except NotImplementedError as error:  # PyJWT is there, but without cryptography
            let_through(error, handled)
            raise ConfigError(missing) from None
        except Exception as error:  # noqa: BLE001  PyJWT and cryptography raise many types
            let_through(error, handled)
            raise ConfigError("oauth_client_key: expected a PEM RSA private key") from None

    def reset_after_fork(self) -> None:
        """Have no token yet, and a lock that nobody holds."""
        self.lock: threading.RLock = threading.RLock()
        self._failures = 0
        self._token = ""
        self._fresh_until = 0.0

    def token(self, deadline: float | None = None) -> str:
        """Return a token, fetching one if need be.

        One thread fetches; those that wait for it share its success or failure, so that none
        waits for more than one request.

        Args:
            deadline: a time of `monotonic` by which the request ends; None means that only
                its timeout counts.

        Raises:
            APIError: the token server answered without success.
            NetworkError: no response came, or one without a token.
        """
        return self._token_after(self._failures, deadline)

    @synchronized
    def _token_after(self, failures_before: int, deadline: float | None) -> str:
        token = self._token
        if token and monotonic() < self._fresh_until:
            return token
        if self._failures > failures_before:
            raise NetworkError("the token server did not serve another thread either")
        try:
            token, seconds = self._fetch(deadline)
        except BaseException:
            self._failures += 1
            raise
        self._fresh_until = monotonic() + seconds / 2
        self._token = token
        return token

    def discard(self, token: str) -> None:
        """Forget a token that the API rejected."""
        if self._token == token:
            self._token = ""

    def _fetch(self, deadline: float | None) -> tuple[str, float]:
        """Return a new token and its lifetime in seconds."""
        with Session(
            f"{self._server}/token", self._config.proxies, self._config.timeout
        ) as session:
            response = self._ask(session, deadline)
            if response.status in ASSERTION_REJECTED and self._note_clock_skew(response):
                response = self._ask(session, deadline)
        self._note_clock_skew(response)
        if response.status != SUCCESS:
            raise _error(response, urlsplit(self._server).path)
        content = response.json_object()
        token = content.get("access_token")
        if not (isinstance(token, str) and token.isascii() and token.isprintable() and token):
            raise NetworkError("the token server: its answer has no usable access_token")
        return token, _lifetime(content.get("expires_in"))

    def _ask(self, session: Session, deadline: float | None) -> Response:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._assertion(time.time() - self._clock_skew),
            "scope": self._config.oauth_scope,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return session.send("POST", urlencode(form).encode(), headers, seconds_until(deadline))

    def _assertion(self, now: float) -> str:
        config = self._config
        claims = {
            "iss": config.oauth_client_id,
            "sub": config.oauth_client_id,
            "aud": self._server,
            "iat": int(now) - CLOCK_MARGIN_SECONDS,
            "exp": int(now) - CLOCK_MARGIN_SECONDS + ASSERTION_SECONDS,
            "jti": str(uuid.uuid4()),
        }
        key = config.oauth_client_key or ""
        return self._sign(claims, key, algorithm="RS256", headers={"kid": config.oauth_key_id})

    def _note_clock_skew(self, response: Response) -> bool:
        """Learn how far the local clock is ahead; return whether that makes a difference."""
        skew = response.clock_skew()
        if skew is None:
            return False
        change, self._clock_skew = skew - self._clock_skew, skew
        return abs(change) > CLOCK_MARGIN_SECONDS


def _lifetime(expires_in: object) -> float:
    """Return the lifetime of a token in seconds, whatever the server says."""
    if isinstance(expires_in, (int, float)) and 0 < expires_in < math.inf:
        return min(expires_in, threading.TIMEOUT_MAX)
    return DEFAULT_TOKEN_SECONDS


def _error(response: Response, base: str) -> APIError:
    """Return the response as an error; no message of the batch is to blame for it.

    Args:
        response: the response.
        base: the path of `oauth_auth_server`.
    """
    status = response.status
    code = response.json_object().get("error")
    if not (isinstance(code, str) and ERROR_CODE.fullmatch(code)):
        code = "unknown"
    if status in ASSERTION_REJECTED:
        options = "oauth_client_id, oauth_client_key and oauth_key_id"
        text = f"the token server answered {status} ({code}); check {options}"
        retry_after = None
    else:
        place = f" to a POST to {base}/token; check oauth_auth_server"
        text = f"the token server answered {status}{place if status == NOT_FOUND else ''}"
        retry_after = response.retry_after("X-RateLimit-Reset") or response.retry_after()
    error = APIError(status, code, text, retry_after, text)
    error.is_splittable = False
    return error
