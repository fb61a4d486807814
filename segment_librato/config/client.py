"""Every option of a client, in one immutable value that is valid once it exists.

Owns the defaults, the checks and the texts of their errors. Knows nothing of messages,
threads or the network.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from segment_librato.config.validators import (
    Timeout,
    check_count,
    check_flag,
    check_header_text,
    check_proxies,
    check_seconds,
    check_text,
    check_timeout,
    check_url,
)
from segment_librato.errors import ConfigError, SegmentError, unexpected

if TYPE_CHECKING:
    from segment_librato.config.gauges import LibratoConfig, OpenTelemetryConfig

__all__ = ["Config", "OnError"]

OnError = Callable[[SegmentError, list[dict[str, Any]]], object]

DEFAULT_HOST = "https://api.segment.io"
MAX_WRITE_KEY_LENGTH = 1_000
MIN_QUEUE_BYTES = 64 * 1024  # two of the largest messages
NOT_SHOWN = frozenset({"write_key", "proxies", "oauth_client_key"})  # for the secrets in them


class Config:
    """The options of a client; `docs/configuration.md` says what each one does.

    It behaves as a frozen dataclass with keyword-only fields does, and is none, because the module
    `dataclasses` takes a fifth of the time in which this library is imported.

    Raises:
        ConfigError: an option has a wrong type or value; the text names it.
    """

    write_key: str | None = None
    host: str | None = None
    debug: bool = False
    max_queue_size: int = 10_000
    send: bool = True
    on_error: OnError | None = None
    gzip: bool = False
    max_retries: int = 10
    sync_mode: bool = False
    timeout: Timeout = 15
    proxies: Mapping[str, str] | None = None
    thread: int = 1
    upload_size: int = 100
    upload_interval: float = 0.5
    log_handler: logging.Handler | None = None
    oauth_client_id: str | None = None
    oauth_client_key: str | None = None
    oauth_key_id: str | None = None
    oauth_auth_server: str = "https://oauth2.segment.io"
    oauth_scope: str = "tracking_api:write"
    max_total_backoff_duration: float = 43_200
    max_rate_limit_duration: float = 1_800
    exit_timeout: float = 5
    shutdown_timeout: float = 15
    max_queue_bytes: int = 0
    block_on_full: float = 0
    gauges: LibratoConfig | OpenTelemetryConfig | None = None

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  see the fields
        names = self.names()
        if unknown := options.keys() - set(names):
            raise TypeError(f"Config: got unexpected options: {', '.join(sorted(unknown))}")
        vars(self).update({name: options.get(name, getattr(Config, name)) for name in names})
        self._check()

    @staticmethod
    def names() -> tuple[str, ...]:
        """Return the names of all options."""
        return tuple(Config.__annotations__)

    def with_options(self, **options: Any) -> Config:  # noqa: ANN401  see the fields
        """Return a copy in which these options are other ones."""
        return Config(**vars(self) | options)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse it."""
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"{name}: an option cannot be changed")

    def __delattr__(self, name: str) -> None:
        """Refuse it."""
        setattr(self, name, None)

    def __eq__(self, other: object) -> bool:
        """Return whether all options are equal."""
        return vars(self) == vars(other) if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        """Return the same number for equal options."""
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        """Show the options, but for those that may hold secrets."""
        shown = (f"{name}={value!r}" for name, value in vars(self).items() if name not in NOT_SHOWN)
        return f"{type(self).__name__}({', '.join(shown)})"

    def _check(self) -> None:
        """Check each option."""
        self._check_destinations()
        for name in ("debug", "send", "gzip", "sync_mode"):
            check_flag(name, getattr(self, name))
        for name, minimum in (
            ("max_queue_size", 0),
            ("max_retries", 0),
            ("thread", 1),
            ("upload_size", 1),
        ):
            check_count(name, getattr(self, name), minimum)
        for name in (
            "upload_interval",
            "max_total_backoff_duration",
            "max_rate_limit_duration",
            "exit_timeout",
            "shutdown_timeout",
            "block_on_full",
        ):
            check_seconds(name, getattr(self, name))
        _check_queue_bytes(self.max_queue_bytes)
        check_timeout(self.timeout)
        if self.on_error and not callable(self.on_error):
            raise ConfigError(unexpected("on_error", "a callable", self.on_error))
        if self.log_handler and not isinstance(self.log_handler, logging.Handler):
            raise ConfigError(unexpected("log_handler", "a logging.Handler", self.log_handler))
        check_proxies(self.proxies)
        if self.proxies:
            vars(self)["proxies"] = dict(self.proxies)  # later changes do not count
        self._check_oauth()

    def _check_destinations(self) -> None:
        """Check where messages go: to Segment, to a Librato account, or to both."""
        if self.gauges is not None:
            from segment_librato.config.gauges import (
                LibratoConfig,
                OpenTelemetryConfig,
            )

            if not isinstance(self.gauges, (LibratoConfig, OpenTelemetryConfig)):
                expected = "a LibratoConfig, an OpenTelemetryConfig or None"
                raise ConfigError(unexpected("gauges", expected, self.gauges))
        if self.write_key is not None or self.gauges is None:
            _check_write_key(self.write_key)
        check_url("host", self.host or DEFAULT_HOST, DEFAULT_HOST)

    def _check_oauth(self) -> None:
        credentials = ("oauth_client_id", "oauth_client_key", "oauth_key_id")
        given = [name for name in credentials if getattr(self, name)]
        for name in (*given, "oauth_auth_server", "oauth_scope"):
            check_text(name, getattr(self, name))
        if given and len(given) < len(credentials):
            missing = next(name for name in credentials if name not in given)
            raise ConfigError(f"{missing}: expected a str, because {given[0]} is set")
        check_url("oauth_auth_server", self.oauth_auth_server, DEFAULT_HOST)

    @property
    def batch_url(self) -> str:
        """Where batches are posted."""
        base = (self.host or DEFAULT_HOST).rstrip("/")
        return base if base.endswith("/v1/batch") else f"{base}/v1/batch"

    @property
    def destinations(self) -> list[str]:
        """Where messages and measurements go, in words without secrets."""
        segment = [self.batch_url] if self.write_key else []
        return [*segment, self.gauges.destination] if self.gauges else segment

    @property
    def uses_oauth(self) -> bool:
        """Whether requests carry a bearer token instead of the write key."""
        return bool(self.oauth_client_id)


def _check_queue_bytes(value: int) -> None:
    check_count("max_queue_bytes", value, 0)
    if 0 < value < MIN_QUEUE_BYTES:
        expected = f"0 or at least {MIN_QUEUE_BYTES}"
        raise ConfigError(f"max_queue_bytes: expected {expected}, got {value}")


def _check_write_key(value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ConfigError(unexpected("write_key", "the write key of a source, a str", value))
    if len(value) > MAX_WRITE_KEY_LENGTH:
        expected = f"at most {MAX_WRITE_KEY_LENGTH} characters"
        raise ConfigError(f"write_key: expected {expected}, got {len(value)}")
    check_header_text("write_key", value)
