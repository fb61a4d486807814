"""Every option of a client, in one immutable value that is valid once it exists.

Owns the defaults, the checks and the texts of their errors. Knows nothing of messages,
threads or the network.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from segment_librato.errors import ConfigError, SegmentError, unexpected

__all__ = ["Config", "OnError", "Timeout"]

OnError = Callable[[SegmentError, list[dict[str, Any]]], object]
Timeout = float | tuple[float, float]

DEFAULT_HOST = "https://api.segment.io"
MAX_WRITE_KEY_LENGTH = 1_000


@dataclass(frozen=True, kw_only=True)
class Config:
    """The options of a client; `docs/configuration.md` says what each one does.

    Raises:
        ConfigError: an option has a wrong type or value; the text names it.
    """

    write_key: str | None = field(default=None, repr=False)
    host: str | None = None
    debug: bool = False
    max_queue_size: int = 10_000
    send: bool = True
    on_error: OnError | None = None
    gzip: bool = False
    max_retries: int = 10
    sync_mode: bool = False
    timeout: Timeout = 15
    proxies: Mapping[str, str] | None = field(default=None, repr=False)
    thread: int = 1
    upload_size: int = 100
    upload_interval: float = 0.5
    log_handler: logging.Handler | None = None
    oauth_client_id: str | None = None
    oauth_client_key: str | None = field(default=None, repr=False)
    oauth_key_id: str | None = None
    oauth_auth_server: str = "https://oauth2.segment.io"
    oauth_scope: str = "tracking_api:write"
    max_total_backoff_duration: float = 43_200
    max_rate_limit_duration: float = 1_800
    exit_timeout: float = 5
    shutdown_timeout: float = 15

    def __post_init__(self) -> None:
        """Check each option."""
        _check_write_key(self.write_key)
        _check_url("host", self.host or DEFAULT_HOST)
        for name in ("debug", "send", "gzip", "sync_mode"):
            if not isinstance(value := getattr(self, name), bool):
                raise ConfigError(unexpected(name, "a bool", value))
        for name, minimum in (
            ("max_queue_size", 0),
            ("max_retries", 0),
            ("thread", 1),
            ("upload_size", 1),
        ):
            _check_count(name, getattr(self, name), minimum)
        for name in (
            "upload_interval",
            "max_total_backoff_duration",
            "max_rate_limit_duration",
            "exit_timeout",
            "shutdown_timeout",
        ):
            _check_seconds(name, getattr(self, name))
        _check_timeout(self.timeout)
        if self.on_error and not callable(self.on_error):
            raise ConfigError(unexpected("on_error", "a callable", self.on_error))
        if self.log_handler and not isinstance(self.log_handler, logging.Handler):
            raise ConfigError(unexpected("log_handler", "a logging.Handler", self.log_handler))
        _check_proxies(self.proxies)
        if self.proxies:
            object.__setattr__(self, "proxies", dict(self.proxies))  # later changes do not count
        self._check_oauth()

    def _check_oauth(self) -> None:
        credentials = ("oauth_client_id", "oauth_client_key", "oauth_key_id")
        given = [name for name in credentials if getattr(self, name)]
        for name in (*given, "oauth_auth_server", "oauth_scope"):
            if not isinstance(value := getattr(self, name), str):
                raise ConfigError(unexpected(name, "a str", value))
        if given and len(given) < len(credentials):
            missing = next(name for name in credentials if name not in given)
            raise ConfigError(f"{missing}: expected a str, because {given[0]} is set")
        _check_url("oauth_auth_server", self.oauth_auth_server)

    @property
    def batch_url(self) -> str:
        """Where batches are posted."""
        base = (self.host or DEFAULT_HOST).rstrip("/")
        return base if base.endswith("/v1/batch") else f"{base}/v1/batch"

    @property
    def uses_oauth(self) -> bool:
        """Whether requests carry a bearer token instead of the write key."""
        return bool(self.oauth_client_id)


def _check_write_key(value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ConfigError(unexpected("write_key", "the write key of a source, a str", value))
    if len(value) > MAX_WRITE_KEY_LENGTH:
        expected = f"at most {MAX_WRITE_KEY_LENGTH} characters"
        raise ConfigError(f"write_key: expected {expected}, got {len(value)}")
    _check_header_text("write_key", value)


def _check_header_text(name: str, value: str) -> None:
    """Refuse what could break out of an HTTP header, or hints at a badly read file."""
    if not (value.isascii() and value.isprintable() and value == value.strip()):
        expected = "printable ASCII characters without surrounding spaces"
        raise ConfigError(f"{name}: expected {expected}")


def _check_url(name: str, value: object) -> None:
    expected = "a URL such as https://api.segment.io"
    if not isinstance(value, str):
        raise ConfigError(unexpected(name, expected, value))
    _check_header_text(name, value)
    try:
        url = urlsplit(value)
        valid = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
        if "[" in url.netloc:  # Python 3.10 does not look what is in there
            IPv6Address(url.hostname or "")
    except ValueError:
        valid = False
    if not valid or " " in value:
        raise ConfigError(f"{name}: expected {expected}, with scheme and host name")
    if "@" in url.netloc or "?" in value or "#" in value:  # an empty query is one, too
        raise ConfigError(f"{name}: expected a URL without credentials, query or fragment")


def _check_count(name: str, value: object, minimum: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(unexpected(name, "an int", value))
    if value < minimum:
        raise ConfigError(f"{name}: expected at least {minimum}, got {value}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_seconds(name: str, value: object) -> None:
    if not _is_number(value):
        raise ConfigError(unexpected(name, "a number of seconds", value))
    if not 0 <= value <= threading.TIMEOUT_MAX:  # NaN is not
        expected = f"0 to {threading.TIMEOUT_MAX:.0f} seconds"
        raise ConfigError(f"{name}: expected {expected}, got {value}")


def _check_timeout(value: object) -> None:
    parts = value if isinstance(value, tuple) and len(value) == 2 else (value,)  # noqa: PLR2004  (connect, read)
    for part in parts:
        _check_seconds("timeout", part)
        if part == 0:
            raise ConfigError("timeout: expected more than 0 seconds, got 0")


def _check_proxies(value: object) -> None:
    if not value:
        return
    expected = "a dict of scheme to proxy URL"
    if not isinstance(value, Mapping):
        raise ConfigError(unexpected("proxies", expected, value))
    for scheme, url in value.items():
        # None is how requests spells that the proxy of the environment is not to be used
        if not (isinstance(scheme, str) and (url is None or isinstance(url, str))):
            raise ConfigError(f"proxies: expected {expected}, both of them str")
