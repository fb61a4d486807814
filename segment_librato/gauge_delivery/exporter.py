"""OpenTelemetry's own exporter, made to send once and to tell what came of it.

It encodes, compresses, adds headers, and reads OpenTelemetry's environment variables. Owns how
that goes together with our sessions, which have the connections and the deadlines. Must not know
what is sent or what an answer means.
"""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from segment_librato.errors import DeliveryError, NetworkError
from segment_librato.http.session import Session

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData

    from segment_librato.config.gauges import OpenTelemetryConfig
    from segment_librato.http.response import Response

__all__ = ["Exporter"]

# what else is among the headers, such as a token, may come from the environment
PLAIN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "user-agent",
    }
)


class Exporter:
    """The official exporter, which sends once and through a session of ours.

    Its own retries would hold up a shutdown and hide the status. So it is told that each request
    was a success, and the true answer is kept here. For one thread at a time.
    """

    def __init__(self, account: OpenTelemetryConfig) -> None:
        from opentelemetry.exporter.otlp.proto.http import Compression
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
            OTLPMetricExporter,
        )

        self._relay = _Relay(account)
        session = requests.Session()
        session.trust_env = False
        session.headers["Accept-Encoding"] = "identity"
        for scheme in ("http://", "https://"):
            session.mount(scheme, self._relay)
        self._exporter = OTLPMetricExporter(
            endpoint=_metrics_url(account.endpoint),
            headers=dict(account.headers) if account.headers else None,
            compression=Compression.Gzip if account.gzip else None,
            session=session,
        )

    @property
    def url(self) -> str:
        """Where requests go."""
        return self._relay.url

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values of headers that nobody should see."""
        return self._relay.secrets

    def export(self, metrics: MetricsData, timeout: float | None) -> tuple[int, Response]:
        """Send the metrics and return the answer; the batch learns how many bytes that took.

        Raises:
            DeliveryError: the exporter did not even try.
            NetworkError: no answer came.
        """
        self._relay.outcome = None
        self._relay.seconds = timeout
        with suppress(Exception):  # older releases raise what newer ones log
            self._exporter.export(metrics)
        outcome = self._relay.outcome
        if outcome is None:
            raise DeliveryError(
                "the OpenTelemetry exporter sent nothing; check `endpoint` or "
                "OTEL_EXPORTER_OTLP_ENDPOINT"
            )
        if isinstance(outcome, NetworkError):
            outcome.bytes_sent = self._relay.bytes_sent
            raise outcome
        return self._relay.bytes_sent, outcome

    def close(self) -> None:
        """Close the connections."""
        self._relay.close()


class _Relay(HTTPAdapter):
    """Sends what the exporter sends, keeps the outcome, and always reports success."""

    def __init__(self, account: OpenTelemetryConfig) -> None:
        super().__init__()
        self._account = account
        self._session: Session | None = None
        self.url = ""
        self.secrets: tuple[str, ...] = ()
        self.outcome: Response | NetworkError | None = None
        self.bytes_sent = 0
        self.seconds: float | None = None  # for the next request

    def send(
        self,
        request: requests.PreparedRequest,
        *_: Any,  # noqa: ANN401  requests has no public names for the types
        **options: Any,  # noqa: ANN401
    ) -> requests.Response:
        """Send a request through a session of ours."""
        body: Any = request.body or b""
        headers: Any = request.headers
        if self._session is None:
            self.url = str(request.url)
            self._session = Session(
                self.url,
                self._account.proxies,
                self._account.timeout,
                verify=options.get("verify", True),
                cert=options.get("cert"),
            )
        self.bytes_sent = len(body)
        self.secrets = tuple(
            str(value) for name, value in headers.items() if name.lower() not in PLAIN_HEADERS
        )
        try:
            self.outcome = self._session.post(body, headers, self.seconds)
        except NetworkError as error:
            self.outcome = error
        response = requests.Response()
        response.status_code = 200
        response.raw = io.BytesIO()
        return response

    def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            self._session.close()
        super().close()


def _metrics_url(endpoint: str | None) -> str | None:
    """Return where metrics go; None leaves it to the environment."""
    if endpoint is None or urlsplit(endpoint).path not in {"", "/"}:
        return endpoint
    return f"{endpoint.rstrip('/')}/v1/metrics"
