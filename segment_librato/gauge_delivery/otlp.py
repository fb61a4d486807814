"""One POST of measurements to an OTLP/HTTP endpoint, as points of OpenTelemetry gauges.

Owns what a measurement is in OpenTelemetry and what a response means (OpenTelemetry Protocol
Specification, "OTLP/HTTP Response"). OpenTelemetry's own encoder writes the request, our sessions
send it: its exporter would retry on its own, hold up a shutdown and hide the status.

Must not know connections, queues or retries.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from segment_librato._version import VERSION
from segment_librato.errors import APIError, ConfigError, DeliveryError
from segment_librato.foreign.interruption import being_handled, let_through
from segment_librato.gauge_delivery.otlp_endpoint import find_endpoint
from segment_librato.http.pool import Sessions
from segment_librato.http.response import NOT_FOUND, REDIRECT, SUCCESS, UNAUTHORIZED, redact
from segment_librato.log import log
from segment_librato.transport.base import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from google.protobuf.message import Message
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource

    from segment_librato.config.gauges import OpenTelemetryConfig
    from segment_librato.http.response import Response
    from segment_librato.queue.batch import Batch

__all__ = ["OpenTelemetryTransport"]

NANOSECONDS = 10**9
MAX_TIME_SECONDS = 2**64 // NANOSECONDS - 1  # a time is an unsigned number of nanoseconds
MAX_INTEGER = 2**63 - 1


class OpenTelemetryTransport:
    """Posts measurements as points of gauges. Thread-safe."""

    def __init__(self, account: OpenTelemetryConfig) -> None:
        """Make a transport; it connects when it first sends.

        Raises:
            ConfigError: the extra is not installed.
        """
        handled = being_handled()
        try:  # on the application's thread, so that sending imports nothing
            from google.rpc.status_pb2 import Status
            from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
            from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
            from opentelemetry.sdk.resources import Resource

            self._success = metrics_service_pb2.ExportMetricsServiceResponse
            self._status = Status
            self._encode = encode_metrics
            self._resource = Resource.create(account.resource_attributes)
            self._endpoint = find_endpoint(account)
        except ImportError as error:
            let_through(error, handled)
            needed = 'pip install "segment-librato[otel]"'
            raise ConfigError(f"gauges: OpenTelemetryConfig needs the extra; {needed}") from None
        self._sessions = Sessions(
            self._endpoint.url,
            account.proxies,
            self._endpoint.timeout,
            verify=self._endpoint.verify,
            cert=self._endpoint.cert,
        )
        self._warned = False

    def reset_after_fork(self) -> None:
        """Leave the connections to the parent, untouched, and start with none."""
        self._sessions.reset_after_fork()

    def send(self, batch: Batch, timeout: float | None = None) -> Receipt:
        """Post a batch of measurements, without those whose time OTLP cannot express.

        Raises:
            APIError: the server answered without success.
            ConfigError: there is nowhere to post to.
            NetworkError: no response came.
        """
        if self._endpoint.problem:
            raise ConfigError(self._endpoint.problem)
        measurements = [json.loads(message) for message in batch.messages]
        failed = _outside_time_range(measurements)
        wanted = [one for at, one in enumerate(measurements) if at not in failed]
        if not wanted:
            return Receipt(0, failed)
        metrics = _metrics_data(wanted, self._resource, int(time.time()))
        body = self._endpoint.compress(self._encode(metrics).SerializeToString())
        response = self._sessions.post(body, self._endpoint.headers, timeout)
        if response.status not in SUCCESS:
            error = self._error(response)
            error.bytes_sent = len(body)
            raise error
        if doubt := self._doubts(response):
            failed = {at: failed.get(at, doubt) for at in range(len(batch))}
        return Receipt(len(body), failed)

    def close(self) -> None:
        """Close the connections."""
        self._sessions.close()

    def _doubts(self, response: Response) -> DeliveryError | None:
        """Return an error if a success says that some points were not taken.

        It does not say which, and the specification forbids sending them again.
        """
        success = self._success()
        if not _parse(success, response.body):
            return None
        host, partial = self._sessions.host, success.partial_success
        text = redact(partial.error_message, self._endpoint.secrets)
        if rejected := partial.rejected_data_points:
            error = DeliveryError(f"{host} rejected {rejected} of the data points of a request")
            error.message = text or error.message
            return error
        if text and not self._warned:
            self._warned = True
            log.warning("%s took all data points, with a warning", host)
        return None

    def _error(self, response: Response) -> APIError:
        """Return the response as an error, its texts shortened and without secrets."""
        text = f"{self._sessions.host} answered {response.status}"
        code, message = "unknown", ""
        if response.status in REDIRECT:
            target = redact(response.redirect_target(self._endpoint.url), self._endpoint.secrets)
            code = "redirect"
            text = f"{text}, a redirect to {target}; set `endpoint` to where metrics go"
        else:
            text = f"{text}{self._advice(response.status)}"
            status = self._status()
            if _parse(status, response.body):
                message = redact(status.message, self._endpoint.secrets)
        return APIError(response.status, code, message or text, response.retry_after(), text)

    def _advice(self, status: int) -> str:
        """Return which option to look at because of this status, in words to append."""
        if status == NOT_FOUND:
            path = redact(urlsplit(self._endpoint.url).path, self._endpoint.secrets)
            return f" to a POST to {path}; check `endpoint`"
        return "; check `headers`" if status == UNAUTHORIZED else ""


def _outside_time_range(measurements: list[dict[str, Any]]) -> dict[int, DeliveryError]:
    """Return an error for the position of each measurement whose time OTLP cannot express."""
    error = DeliveryError("measure_time: expected the years 1970 to 2554, the range of OTLP")
    return {
        at: error
        for at, one in enumerate(measurements)
        if not 0 <= one.get("measure_time", 0) <= MAX_TIME_SECONDS
    }


def _metrics_data(
    measurements: Iterable[dict[str, Any]], resource: Resource, now: int
) -> MetricsData:
    """Return the measurements as the encoder takes them, one metric for each name.

    Args:
        measurements: as Librato takes them.
        resource: what they are about.
        now: seconds since the epoch, the time of a measurement without one.
    """
    from opentelemetry.sdk.metrics import export
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    points: dict[str, list[export.NumberDataPoint]] = defaultdict(list)
    for measurement in measurements:
        at = measurement.get("measure_time", now) * NANOSECONDS
        attributes = {"source": measurement["source"]}
        for name, value in _gauges(measurement):
            points[name].append(export.NumberDataPoint(attributes, 0, at, value))
    metrics = [
        export.Metric(name, "", "", export.Gauge(data_points=of_name))
        for name, of_name in points.items()
    ]
    scope = export.ScopeMetrics(InstrumentationScope("segment_librato", VERSION), metrics, "")
    return export.MetricsData([export.ResourceMetrics(resource, [scope], "")])


def _gauges(measurement: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield names and values of the gauges in a measurement: five if samples were folded."""
    name = measurement["name"]
    if "count" not in measurement:
        yield name, _number(measurement["value"])
        return
    yield name, measurement["sum"] / measurement["count"]
    for statistic in ("count", "sum", "min", "max"):
        yield f"{name}.{statistic}", _number(measurement[statistic])


def _number(value: float) -> float:
    """Return the number in a form that a point can hold: an int of 64 bits, or a float."""
    return value if -MAX_INTEGER <= value <= MAX_INTEGER else float(value)


def _parse(message: Message, body: bytes) -> bool:
    """Parse a body into a message; return whether it is one."""
    from google.protobuf.message import DecodeError

    handled = being_handled()
    try:
        message.ParseFromString(body)
    except (DecodeError, ValueError) as error:  # also for a text that is not UTF-8
        let_through(error, handled)
        return False
    return True
