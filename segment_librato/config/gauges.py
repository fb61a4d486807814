"""Where gauges are delivered directly: a Librato account, or any OpenTelemetry endpoint.

Owns the options of the direct delivery, their defaults and checks. Knows nothing of messages,
threads or the network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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
from segment_librato.errors import ConfigError, unexpected

__all__ = ["DirectDelivery", "LibratoConfig", "OpenTelemetryConfig"]

APIS = ("metrics", "measurements")
MIN_PERIOD_SECONDS = 10
MAX_PERIOD_SECONDS = 600
MAX_AGGREGATE_SECONDS = 3_600
LIBRATO_HOST = "https://metrics-api.librato.com"
OTLP_ENDPOINT = "http://localhost:4318/v1/metrics"
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110, 5.6.2)


@dataclass(frozen=True, kw_only=True)
class DirectDelivery:
    """What all ways of direct delivery have in common; the budgets are those of a `Config`.

    Attributes:
        aggregate: fold the measurements of so many seconds into one; 0 does not.
        segment_too: leave the gauge to Segment's cloud as well.
        max_queue_size: so many measurements may wait; 0 is no bound.
        upload_interval: seconds that a measurement waits for company.
        timeout: seconds to connect and to be answered, or a pair of them.
        max_retries: so often a request is sent again.
        max_total_backoff_duration: seconds that a request is retried.
        max_rate_limit_duration: seconds that the server may make a request wait.
        proxies: scheme to proxy URL.
    """

    aggregate: int = 0
    segment_too: bool = False
    max_queue_size: int = 10_000
    upload_interval: float = 0.5
    timeout: Timeout = 15
    max_retries: int = 10
    max_total_backoff_duration: float = 43_200
    max_rate_limit_duration: float = 1_800
    proxies: Mapping[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check each option."""
        check_count("aggregate", self.aggregate, 0, MAX_AGGREGATE_SECONDS)
        check_flag("segment_too", self.segment_too)
        for name in ("max_queue_size", "max_retries"):
            check_count(name, getattr(self, name), 0)
        for name in ("upload_interval", "max_total_backoff_duration", "max_rate_limit_duration"):
            check_seconds(name, getattr(self, name))
        check_timeout(self.timeout)
        check_proxies(self.proxies)
        self._copy("proxies")

    @property
    def budget(self) -> dict[str, Any]:
        """The options that a pipeline goes by, under the names that they have in a `Config`."""
        names = ("max_queue_size", "upload_interval", "timeout", "max_retries", "proxies")
        durations = ("max_total_backoff_duration", "max_rate_limit_duration")
        return {name: getattr(self, name) for name in (*names, *durations)}

    def _copy(self, *names: str) -> None:
        """Keep mappings as they are now; later changes do not count."""
        for name in names:
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, dict(value))


@dataclass(frozen=True)
class LibratoConfig(DirectDelivery):
    """An account of the Librato Metrics API, or of AppOptics; see `DirectDelivery`, too.

    Raises:
        ConfigError: an option has a wrong type or value; the text names it.

    Attributes:
        email: the user name. AppOptics has none: leave it out there.
        token: the API token.
        host: the URL of the API.
        api: "metrics", gauges with a source; or "measurements", with the source as a tag, which
            AppOptics takes, too.
        period: seconds between the points of a gauge, when a measurement creates it.
        attributes: of a gauge that a measurement creates. `aggregate` has the service fold what
            comes from one source within a period.
        time_window: measurements that are older, or further in the future, are reported
            instead of sent: Librato refuses them. Seconds.
    """

    email: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    host: str = LIBRATO_HOST
    api: Literal["metrics", "measurements"] = "metrics"
    period: int = 60
    attributes: Mapping[str, Any] = field(default_factory=lambda: {"aggregate": True})
    time_window: float = field(default=7_200, kw_only=True)

    def __post_init__(self) -> None:
        """Check each option."""
        super().__post_init__()
        if self.api not in APIS:
            expected = " or ".join(map(repr, APIS))
            if isinstance(self.api, str):
                raise ConfigError(f"api: expected {expected}, got another str")
            raise ConfigError(unexpected("api", expected, self.api))
        self._check_credentials()
        check_url("host", self.host, LIBRATO_HOST)
        check_count("period", self.period, MIN_PERIOD_SECONDS, MAX_PERIOD_SECONDS)
        check_seconds("time_window", self.time_window)
        if self.aggregate > self.time_window:  # what was folded bears the start of its period
            raise ConfigError(f"aggregate: expected at most time_window, {self.time_window} s")
        _check_attributes("attributes", self.attributes)
        self._copy("attributes")

    @property
    def destination(self) -> str:
        """Where measurements go."""
        return self.host

    def _check_credentials(self) -> None:
        if self.email or self.api == "metrics":
            expected = "the email address of the account, a str"
            if not self.email:
                raise ConfigError(unexpected("email", expected, self.email))
            check_text("email", self.email, expected)
            check_header_text("email", self.email)
            if ":" in self.email:
                raise ConfigError("email: expected no colon")
        expected = "the API token of the account, a str"
        if not self.token:
            raise ConfigError(unexpected("token", expected, self.token))
        check_text("token", self.token, expected)
        check_header_text("token", self.token)


@dataclass(frozen=True)
class OpenTelemetryConfig(DirectDelivery):
    """An OTLP/HTTP endpoint; needs the extra `segment-librato[otel]`. See `DirectDelivery`, too.

    What is left out comes from the environment, as with every OpenTelemetry exporter:
    `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_RESOURCE_ATTRIBUTES`, ...
    (OpenTelemetry specification, "OpenTelemetry Protocol Exporter").

    Raises:
        ConfigError: an option has a wrong type or value; the text names it.

    Attributes:
        endpoint: the URL that metrics are posted to; `/v1/metrics` is added to a URL without
            a path.
        headers: sent with each request: an API token, mostly.
        resource_attributes: what the measurements are about, such as `service.name`.
        gzip: compress requests.
    """

    endpoint: str | None = None
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    resource_attributes: Mapping[str, Any] | None = None
    gzip: bool = False

    def __post_init__(self) -> None:
        """Check each option."""
        super().__post_init__()
        if self.endpoint is not None:
            check_url("endpoint", self.endpoint, OTLP_ENDPOINT)
        check_flag("gzip", self.gzip)
        _check_headers(self.headers)
        if self.resource_attributes is not None:
            _check_attributes("resource_attributes", self.resource_attributes)
        self._copy("headers", "resource_attributes")

    @property
    def destination(self) -> str:
        """Where measurements go."""
        return self.endpoint or "the OTLP endpoint of the environment"


def _check_attributes(name: str, value: object) -> None:
    expected = "a dict of str to str, number or bool"
    if not isinstance(value, Mapping):
        raise ConfigError(unexpected(name, expected, value))
    for key, one in value.items():
        if not isinstance(key, str):
            raise ConfigError(unexpected(f"{name}: its keys", "str", key))
        if not isinstance(one, (str, int, float, bool)):
            raise ConfigError(unexpected(f"{name}: its values", "a str, a number or a bool", one))


def _check_headers(value: object) -> None:
    if value is None:
        return
    expected = "a dict of str to str"
    if not isinstance(value, Mapping):
        raise ConfigError(unexpected("headers", expected, value))
    for name, text in value.items():
        for one in (name, text):
            check_text("headers", one, expected)
            check_header_text("headers", one)
        if not HEADER_NAME.fullmatch(name):
            raise ConfigError("headers: expected names without spaces and separators")
