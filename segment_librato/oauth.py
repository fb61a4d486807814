"""Bearer tokens for Segment's OAuth 2.0: a signed assertion is exchanged for a token.

The flow is RFC 7523, as segment-analytics-python 2.4.0 speaks it: a JWT signed with the
application's RSA key goes to `{auth_server}/token`. A token is kept until half of its life is
over. Needs PyJWT (`pip install segment-librato[oauth]`). Knows nothing of queues; tries once,
because the caller retries.
"""

from __future__ import annotations

import threading
import time
import uuid
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import requests

from segment_librato.errors import APIError, ConfigError, NetworkError

if TYPE_CHECKING:
    from segment_librato.config import Config

__all__ = ["TokenProvider"]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 60
DEFAULT_TOKEN_SECONDS = 120
CLOCK_MARGIN_SECONDS = 5


class TokenProvider:
    """Fetches a token when one is needed, and keeps it. Thread-safe."""

    def __init__(self, config: Config) -> None:
        """Check that tokens can be made from these options.

        Raises:
            ConfigError: PyJWT is missing, or the key is not an RSA private key.
        """
        try:
            import jwt  # noqa: PLC0415  an optional dependency
        except ImportError:
            raise ConfigError(
                "oauth_client_id: needs PyJWT; pip install segment-librato[oauth]"
            ) from None
        self._config = config
        self._sign = jwt.encode
        self._clock_skew = 0.0
        self.reset_after_fork()
        try:
            self._assertion(time.time())
        except Exception:  # noqa: BLE001  PyJWT and cryptography raise many types
            raise ConfigError("oauth_client_key: expected a PEM RSA private key") from None

    def reset_after_fork(self) -> None:
        """Have no token yet, and a lock that nobody holds."""
        self._lock = threading.Lock()
        self._token = ""
        self._fresh_until = 0.0

    def token(self) -> str:
        """Return a token, fetching one if need be.

        Raises:
            APIError: the authorization server refused.
            NetworkError: it did not answer.
        """
        with self._lock:
            if not self._token or time.monotonic() >= self._fresh_until:
                self._token, seconds = self._fetch()
                self._fresh_until = time.monotonic() + seconds / 2
            return self._token

    def discard(self) -> None:
        """Forget the token: the API did not take it."""
        with self._lock:
            self._token = ""

    def _fetch(self) -> tuple[str, float]:
        config = self._config
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._assertion(time.time() - self._clock_skew),
            "scope": config.oauth_scope,
        }
        try:
            response = requests.post(
                f"{config.oauth_auth_server.rstrip('/')}/token",
                data=form,
                timeout=config.timeout,
                proxies=dict(config.proxies or {}),
                allow_redirects=False,
            )
        except (requests.RequestException, OSError) as error:
            raise NetworkError(f"the token server: {type(error).__name__}") from None
        self._note_clock_skew(response)
        if response.status_code != requests.codes.ok:
            raise self._refusal(response)
        content = _json_object(response)
        token = content.get("access_token")
        if not isinstance(token, str) or not token:
            raise NetworkError("the token server: its answer has no access_token")
        seconds = content.get("expires_in")
        return token, seconds if isinstance(seconds, (int, float)) else DEFAULT_TOKEN_SECONDS

    def _assertion(self, now: float) -> str:
        config = self._config
        claims = {
            "iss": config.oauth_client_id,
            "sub": config.oauth_client_id,
            "aud": config.oauth_auth_server.rstrip("/"),
            "iat": int(now) - CLOCK_MARGIN_SECONDS,
            "exp": int(now) - CLOCK_MARGIN_SECONDS + ASSERTION_SECONDS,
            "jti": str(uuid.uuid4()),
        }
        key = config.oauth_client_key or ""
        return self._sign(claims, key, algorithm="RS256", headers={"kid": config.oauth_key_id})

    def _note_clock_skew(self, response: requests.Response) -> None:
        """Learn how far the local clock is ahead, so that the next assertion is in time."""
        try:
            server_time = parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
        except (TypeError, ValueError):
            return
        self._clock_skew = time.time() - server_time

    def _refusal(self, response: requests.Response) -> APIError:
        """Return the refusal as an error whose status says whether to try again."""
        content = _json_object(response)
        code = content.get("error")
        reset = response.headers.get("X-RateLimit-Reset", "")
        return APIError(
            response.status_code,
            code if isinstance(code, str) else "unknown",
            f"the token server answered {response.status_code}",
            float(reset) if reset.isdecimal() else None,
        )


def _json_object(response: requests.Response) -> dict[str, Any]:
    try:
        content = response.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
