"""Where gauges are delivered directly: a Librato account, or any OpenTelemetry endpoint.

Owns the options of the direct delivery, their defaults and checks. Must not know messages,
threads or the network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping  # noqa: TC003  for `typing.get_type_hints`
from types import MappingProxyType
from typing import Any, Literal

from segment_librato.config.options import KW_ONLY, Options
from segment_librato.config.validators import (
    Timeout,
    check_choice,
    check_count,
    check_header_text,
    check_proxies,
    check_seconds,
    check_text,
    check_timeout,
    check_url,
    host_of,
    truth,
)
from segment_librato.errors import ConfigError, unexpected
from segment_librato.foreign.narrowing import is_mapping

__all__ = ["DEFAULT_TIMEOUT", "DirectDelivery", "LibratoConfig", "OpenTelemetryConfig"]

APIS = ("metrics", "measurements")
MIN_PERIOD_SECONDS = 10
MAX_PERIOD_SECONDS = 600
MAX_AGGREGATE_SECONDS = 3_600
DEFAULT_TIMEOUT = 15  # seconds
LIBRATO_HOST = "https://metrics-api.librato.com"
OTLP_ENDPOINT = "http://localhost:4318/v1/metrics"
DEFAULT_ATTRIBUTES: Mapping[str, Any] = MappingProxyType({"aggregate": True})
HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # a token (RFC 9110, 5.6.2)


class DirectDelivery(Options, secrets=("proxies",)):
    """Options of every direct delivery of gauges; its budgets are independent of the client's.

    Attributes:
        aggregate: Fold the measurements of this many seconds, up to 3,600, into one; 0 folds none.
        segment_too: Leave the gauge to Segment's cloud as well.
        max_queue_size: Maximum number of queued measurements; 0 means unlimited.
        upload_interval: Longest time, in seconds, to wait for a batch to fill.
        timeout: Seconds to wait for a connection and for a response; a pair sets them apart. None
            means 15; over OpenTelemetry, `OTEL_EXPORTER_OTLP_TIMEOUT` if that is set.
        max_retries: Maximum number of retries per request.
        max_total_backoff_duration: Longest time, in seconds, to go on retrying a request after
            its first failure.
        max_rate_limit_duration: Longest time, in seconds, that the server may postpone a request.
        proxies: Scheme to proxy URL, as `requests` takes it; None leaves it to the environment.
    """

    _: KW_ONLY
    aggregate: int = 0
    segment_too: bool = False
    max_queue_size: int = 10_000
    upload_interval: float = 0.5
    timeout: Timeout | None = None
    max_retries: int = 10
    max_total_backoff_duration: float = 43_200
    max_rate_limit_duration: float = 1_800
    proxies: Mapping[str, str] | None = None

    def _check(self) -> None:
        check_count("aggregate", self.aggregate, 0, MAX_AGGREGATE_SECONDS)
        vars(self)["segment_too"] = truth("segment_too", self.segment_too)
        for name in ("max_queue_size", "max_retries"):
            check_count(name, getattr(self, name), 0)
        for name in ("upload_interval", "max_total_backoff_duration", "max_rate_limit_duration"):
            check_seconds(name, getattr(self, name))
        if self.timeout is not None:
            check_timeout(self.timeout)
        check_proxies(self.proxies)

    @property
    def budget(self) -> dict[str, Any]:
        """The options of a pipeline, under the names that they have in a `Config`."""
        names = ("max_queue_size", "upload_interval", "max_retries")
        durations = ("max_total_backoff_duration", "max_rate_limit_duration")
        return {name: getattr(self, name) for name in (*names, *durations)}


class LibratoConfig(DirectDelivery, secrets=("email", "token")):
    """An account of the Librato Metrics API or AppOptics: `gauges=LibratoConfig(...)`.

    More options, by keyword: those of `segment_librato.config.gauges.DirectDelivery`.

    Raises:
        ConfigError: an option has a wrong type or value; the text names it.

    Attributes:
        email: User name of the account. Leave it out for AppOptics, which takes the token alone.
        token: API token of the account.
        host: Base URL of the API.
        api: Form of the API. `"metrics"` sends gauges with a source; `"measurements"`, the later
            form, which AppOptics takes too, sends the source as the tag `source`.
        period: Seconds between the points of a gauge, 10 to 600. Applies when a measurement
            creates the gauge.
        attributes: Attributes of a gauge that a measurement creates. By default, the service
            folds what one source sends within a period.
        time_window: Maximum distance of a measurement from now, in seconds. Librato rejects
            measurements that are much older or in the future, so those go to `on_error` instead.
    """

    email: str | None = None
    token: str | None = None
    host: str = LIBRATO_HOST
    api: Literal["metrics", "measurements"] = "metrics"
    period: int = 60
    attributes: Mapping[str, Any] = DEFAULT_ATTRIBUTES
    _: KW_ONLY
    time_window: float = 7_200

    def _check(self) -> None:
        super()._check()
        check_choice("api", self.api, APIS)
        self._check_credentials()
        check_url("host", self.host, LIBRATO_HOST)
        check_count("period", self.period, MIN_PERIOD_SECONDS, MAX_PERIOD_SECONDS)
        check_seconds("time_window", self.time_window)
        if self.aggregate > self.time_window:  # a folded measurement has the time of its period
            raise ConfigError(f"aggregate: expected at most time_window, {self.time_window} s")
        _check_attributes("attributes", self.attributes)

    @property
    def destination(self) -> str:
        """Where measurements go."""
        return self.host

    @property
    def host_to_show(self) -> str:
        """The host that measurements go to, in words for a log."""
        return host_of(self.host)

    @property
    def identity(self) -> str:
        """Whose measurements they are; may hold a token."""
        return self.email or self.token or ""

    def _check_credentials(self) -> None:
        if self.email or self.api == "metrics":
            expected = 'the email address of the account, a str; for AppOptics, api="measurements"'
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


class OpenTelemetryConfig(DirectDelivery, secrets=("headers",)):
    """An OTLP/HTTP endpoint: `gauges=OpenTelemetryConfig(...)`.

    More options, by keyword: those of `segment_librato.config.gauges.DirectDelivery`. Needs the
    extra `segment-librato[otel]`. What is left out comes from the environment, as with every
    OpenTelemetry exporter: `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`,
    `OTEL_RESOURCE_ATTRIBUTES`, ... (specification, "OpenTelemetry Protocol Exporter"). With
    `OTEL_SDK_DISABLED=true`, no gauge is sent.

    Raises:
        ConfigError: an option has a wrong type or value; the text names it.

    Attributes:
        endpoint: URL that metrics are posted to (OTLP/HTTP, not gRPC); `/v1/metrics` is added to
            a URL without a path. None leaves it to the environment, or to
            http://localhost:4318/v1/metrics.
        headers: Headers of each request, usually an API token. None leaves them to the
            environment.
        resource_attributes: What the measurements are about, such as `service.name`. None leaves
            them to the environment.
        gzip: Compress requests.
    """

    endpoint: str | None = None
    headers: Mapping[str, str] | None = None
    resource_attributes: Mapping[str, Any] | None = None
    gzip: bool = False

    def _check(self) -> None:
        super()._check()
        if self.endpoint is not None:
            check_url("endpoint", self.endpoint, OTLP_ENDPOINT)
        vars(self)["gzip"] = truth("gzip", self.gzip)
        _check_headers(self.headers)
        if self.resource_attributes is not None:
            _check_attributes("resource_attributes", self.resource_attributes)

    @property
    def destination(self) -> str:
        """Where measurements go."""
        return self.endpoint or "the OTLP endpoint of the environment"

    @property
    def host_to_show(self) -> str:
        """The host that measurements go to, in words for a log."""
        return host_of(self.endpoint) if self.endpoint else self.destination

    @property
    def identity(self) -> str:
        """Whose measurements they are; may hold a token."""
        return repr(sorted((self.headers or {}).items()))


def _check_attributes(name: str, value: object) -> None:
    expected = "a dict of str to str, number or bool"
    if not is_mapping(value):
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
    if not is_mapping(value):
        raise ConfigError(unexpected("headers", expected, value))
    for name, text in value.items():
        for one in (name, text):
            check_text("headers", one, expected)
            check_header_text("headers", one)
        if not re.fullmatch(HEADER_NAME, name):
            raise ConfigError("headers: expected names without spaces and separators")
