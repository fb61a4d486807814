"""Where OTLP requests go, and how: from the configuration, else from the environment.

Owns OpenTelemetry's environment variables (OpenTelemetry specification, "OpenTelemetry Protocol
Exporter"). A variable for metrics takes precedence over the one for all signals. Must not know
what is sent.
"""

from __future__ import annotations

import gzip
import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from segment_librato._version import USER_AGENT
from segment_librato.config.gauges import DEFAULT_TIMEOUT, OTLP_ENDPOINT
from segment_librato.config.validators import check_header_text, check_timeout, is_http_url
from segment_librato.errors import ConfigError
from segment_librato.foreign.interruption import is_interruption
from segment_librato.log import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.config.gauges import OpenTelemetryConfig
    from segment_librato.config.validators import Timeout

__all__ = ["Endpoint", "find_endpoint", "is_disabled"]

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


@dataclass(frozen=True, repr=False)  # it holds secrets
class Endpoint:
    """Where requests go, and how.

    Attributes:
        url: where they are posted.
        headers: sent with each request; names are in lower case.
        secrets: values of headers, such as tokens; no log or error may show them.
        verify: file of certificate authorities; True means the default ones.
        cert: file of the client certificate, or a pair of files with it and its key.
        compress: compresses a body, as the headers say.
        timeout: seconds to connect, and to the end of the headers; one number or a pair.
        problem: why nothing can be sent; empty if there is no problem. With one, `url` is empty.
    """

    url: str
    headers: dict[str, str]
    secrets: tuple[str, ...]
    verify: bool | str
    cert: str | tuple[str, str] | None
    compress: Callable[[bytes], bytes]
    timeout: Timeout
    problem: str


def find_endpoint(account: OpenTelemetryConfig) -> Endpoint:
    """Return the endpoint of an account; reads the environment once.

    Raises:
        ImportError: the extra is not installed.
    """
    from opentelemetry.util.re import parse_env_headers

    url = _configured_url(account) or _url_of_environment()
    configured = {name.lower(): value for name, value in (account.headers or {}).items()}
    given = {**parse_env_headers(_option("HEADERS") or "", liberal=True), **configured}
    problem = _find_problem(url, given)
    compression = "gzip" if account.gzip else _compression_of_environment()
    headers = {"user-agent": USER_AGENT, **given, "content-type": "application/x-protobuf"}
    if compression != "none":
        headers["content-encoding"] = compression
    cert, key = _option("CLIENT_CERTIFICATE"), _option("CLIENT_KEY")
    return Endpoint(
        url="" if problem else url,
        headers=headers,
        secrets=tuple(given.values()),
        verify=_option("CERTIFICATE") or True,
        cert=(cert, key) if cert and key else cert,
        compress=COMPRESSIONS[compression],
        timeout=account.timeout or _timeout_of_environment(),
        problem=problem,
    )


def is_disabled() -> bool:
    """Return whether the environment disables OpenTelemetry, and so all that it would send."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _option(name: str) -> str | None:
    """Return an option of the environment; an empty one counts as none."""
    of_metrics = os.environ.get(f"OTEL_EXPORTER_OTLP_METRICS_{name}")
    return of_metrics or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") or None


def _configured_url(account: OpenTelemetryConfig) -> str | None:
    if account.endpoint is None or urlsplit(account.endpoint).path not in {"", "/"}:
        return account.endpoint
    return _with_path(account.endpoint)


def _url_of_environment() -> str:
    """Return the URL for metrics as it is, else the one for all signals with a path added."""
    if url := os.environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"):
        return url
    base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return _with_path(base) if base else OTLP_ENDPOINT


def _with_path(base: str) -> str:
    return f"{base.rstrip('/')}/v1/metrics"


def _compression_of_environment() -> str:
    name = (_option("COMPRESSION") or "none").strip().lower()
    if name in COMPRESSIONS:
        return name
    log.warning("OTEL_EXPORTER_OTLP_COMPRESSION: expected gzip, deflate or none; sent uncompressed")
    return "none"


def _timeout_of_environment() -> float:
    """Return the timeout in seconds, the unit in which OpenTelemetry's Python exporter reads it.

    The specification has milliseconds. But what an application has set for its exporter must not
    mean something else here.
    """
    text = _option("TIMEOUT")
    if text is None:
        return DEFAULT_TIMEOUT
    try:
        seconds = float(text)
        check_timeout(seconds)
    except ValueError as error:  # a ConfigError is one, too
        if is_interruption(error):
            raise
        expected = "a number of seconds above 0"
        log.warning("OTEL_EXPORTER_OTLP_TIMEOUT: expected %s; using %d", expected, DEFAULT_TIMEOUT)
        return DEFAULT_TIMEOUT
    return seconds


def _find_problem(url: str, headers: dict[str, str]) -> str:
    """Return why nothing can be sent; empty if there is no problem."""
    if not is_http_url(url):
        expected = f"expected a URL such as {OTLP_ENDPOINT}"
        return f"{expected}; check `endpoint` or OTEL_EXPORTER_OTLP_ENDPOINT"
    try:
        for text in (*headers, *headers.values()):
            check_header_text("OTEL_EXPORTER_OTLP_HEADERS", text)
    except ConfigError as error:
        return str(error)
    return ""
