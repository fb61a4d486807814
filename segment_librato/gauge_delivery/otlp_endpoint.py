"""Where OTLP requests go, and how: from the configuration, else from the environment.

Owns OpenTelemetry's environment variables (OpenTelemetry specification, "OpenTelemetry Protocol
Exporter"); of each pair, the one for metrics wins. Must not know what is sent.
"""

from __future__ import annotations

import gzip
import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from segment_librato._version import VERSION
from segment_librato.config.gauges import OTLP_ENDPOINT
from segment_librato.config.validators import check_header_text
from segment_librato.errors import ConfigError
from segment_librato.log import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.config.gauges import OpenTelemetryConfig

__all__ = ["Endpoint", "find_endpoint"]

USER_AGENT = f"segment-librato/{VERSION}"
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


@dataclass(frozen=True, repr=False)  # it holds secrets
class Endpoint:
    """Where requests go, and how.

    Attributes:
        url: where they are posted to.
        headers: what each of them has; the names are in lower case.
        secrets: values of headers, such as tokens, that must not show.
        verify: file of certificate authorities; True means the usual ones.
        cert: file of the client certificate, or a pair of files with it and its key.
        compress: compresses a body, as the headers say.
        problem: why nothing can be sent, empty if it can; there is no `url` then.
    """

    url: str
    headers: dict[str, str]
    secrets: tuple[str, ...]
    verify: bool | str
    cert: str | tuple[str, str] | None
    compress: Callable[[bytes], bytes]
    problem: str


def find_endpoint(account: OpenTelemetryConfig) -> Endpoint:
    """Return the endpoint of an account.

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
        problem=problem,
    )


def _option(name: str) -> str | None:
    """Return an option of the environment; an empty one counts as none."""
    from opentelemetry.sdk import environment_variables

    for signal in ("METRICS_", ""):
        variable: str = getattr(environment_variables, f"OTEL_EXPORTER_OTLP_{signal}{name}")
        if value := os.environ.get(variable):
            return value
    return None


def _configured_url(account: OpenTelemetryConfig) -> str | None:
    if account.endpoint is None or urlsplit(account.endpoint).path not in {"", "/"}:
        return account.endpoint
    return _with_path(account.endpoint)


def _url_of_environment() -> str:
    """Return what is said for metrics as it is, and what is said for all signals with a path."""
    from opentelemetry.sdk.environment_variables import (
        OTEL_EXPORTER_OTLP_ENDPOINT,
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT,
    )

    if url := os.environ.get(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT):
        return url
    base = os.environ.get(OTEL_EXPORTER_OTLP_ENDPOINT)
    return _with_path(base) if base else OTLP_ENDPOINT


def _with_path(base: str) -> str:
    return f"{base.rstrip('/')}/v1/metrics"


def _compression_of_environment() -> str:
    name = (_option("COMPRESSION") or "none").strip().lower()
    if name in COMPRESSIONS:
        return name
    expected = "gzip, deflate or none"
    log.warning("OTEL_EXPORTER_OTLP_COMPRESSION: expected %s; nothing is compressed", expected)
    return "none"


def _find_problem(url: str, headers: dict[str, str]) -> str:
    """Return why nothing can be sent there, empty if it can. The configuration was checked."""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        expected = f"expected a URL such as {OTLP_ENDPOINT}"
        return f"{expected}; check `endpoint` or OTEL_EXPORTER_OTLP_ENDPOINT"
    try:
        for text in (*headers, *headers.values()):
            check_header_text("OTEL_EXPORTER_OTLP_HEADERS", text)
    except ConfigError as error:
        return str(error)
    return ""
