"""One POST of measurements to an OTLP/HTTP endpoint, as points of OpenTelemetry gauges.

Owns what a measurement is in OpenTelemetry and what an response means (OpenTelemetry Protocol
Specification, "OTLP/HTTP Response"). Knows nothing of encoding and of connections, of queues or
of retries.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from segment_librato._version import VERSION
from segment_librato.errors import APIError, ConfigError, DeliveryError
from segment_librato.gauge_delivery.exporter import Exporter
from segment_librato.http.response import REDIRECT, SUCCESS, redact
from segment_librato.http.session import Pool
from segment_librato.log import log
from segment_librato.transport.base import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    """Posts measurements as gauge points. Thread-safe: each `send` has an exporter to itself."""

    def __init__(self, account: OpenTelemetryConfig) -> None:
        """Make a transport; it connects when it first sends.

        Raises:
            ConfigError: the extra is not installed.
        """
        try:
            from google.rpc.status_pb2 import Status
            from opentelemetry.proto.collector.metrics.v1 import (
                metrics_service_pb2,
            )
            from opentelemetry.sdk.resources import Resource

            self._success = metrics_service_pb2.ExportMetricsServiceResponse
            self._status = Status
            self._resource = Resource.create(account.resource_attributes)
            self._exporters = Pool(lambda: Exporter(account))
            with self._exporters.lend():
                pass  # whatever it imports is imported now, on the application's thread
        except ImportError:
            needed = "pip install segment-librato[otel]"
            raise ConfigError(f"gauges: OpenTelemetryConfig needs the extra; {needed}") from None
        self._warned = False

    def reset_after_fork(self) -> None:
        """Leave the exporters to the parent, untouched, and have none."""
        self._exporters.reset_after_fork()

    def send(self, batch: Batch, timeout: float | None = None) -> Receipt:
        """Post a batch of measurements.

        Raises:
            APIError: the server answered without success.
            DeliveryError: nothing could be sent.
            NetworkError: no response came.
        """
        measurements = [json.loads(message) for message in batch.messages]
        failed = _out_of_time(measurements)
        wanted = [one for at, one in enumerate(measurements) if at not in failed]
        if not wanted:
            return Receipt(0, failed)
        metrics = _metrics_data(wanted, self._resource, int(time.time()))
        with self._exporters.lend() as exporter:
            bytes_sent, response = exporter.export(metrics, timeout)
            if response.status not in SUCCESS:
                error = self._error(response, exporter)
                error.bytes_sent = bytes_sent
                raise error
            doubt = self._doubts(response, exporter)
        if doubt:
            failed = {at: failed.get(at, doubt) for at in range(len(batch))}
        return Receipt(bytes_sent, failed)

    def close(self) -> None:
        """Close the connections."""
        self._exporters.close()

    def _doubts(self, response: Response, exporter: Exporter) -> DeliveryError | None:
        """Return an error if a success says that not all was taken.

        Which points were not, it does not say, and the specification forbids to send them again.
        """
        success = self._success()
        if not _parse(success, response.body):
            return None
        rejected = success.partial_success.rejected_data_points
        host = urlsplit(exporter.url).hostname
        text = redact(success.partial_success.error_message, exporter.secrets)
        if rejected:
            error = DeliveryError(f"{host} rejected {rejected} of the data points of a request")
            error.message = text or error.message
            return error
        if text and not self._warned:
            self._warned = True
            log.warning("%s took all data points, with a warning", host)
        return None

    def _error(self, response: Response, exporter: Exporter) -> APIError:
        """Return the response as an error, its texts shortened and without secrets."""
        text = f"{urlsplit(exporter.url).hostname} answered {response.status}"
        code, message = "unknown", ""
        if response.status in REDIRECT:
            target = redact(response.redirect_target(exporter.url), exporter.secrets)
            code = "redirect"
            text = f"{text}, a redirect to {target}; set `endpoint` to where metrics go"
        else:
            status = self._status()
            if _parse(status, response.body):
                message = redact(status.message, exporter.secrets)
        return APIError(response.status, code, message or text, response.retry_after(), text)


def _out_of_time(measurements: list[dict[str, Any]]) -> dict[int, DeliveryError]:
    """Return an error for the position of each measurement whose time OTLP cannot say."""
    error = DeliveryError("measure_time is not within the years 1970 to 2554, which OTLP can say")
    return {
        at: error
        for at, one in enumerate(measurements)
        if not 0 <= one.get("measure_time", 0) <= MAX_TIME_SECONDS
    }


def _metrics_data(
    measurements: Iterable[dict[str, Any]], resource: Resource, now: int
) -> MetricsData:
    """Return the measurements as the exporter takes them, one metric for each name."""
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
    """Yield the gauges that a measurement is, and their values; of a folded one there are five."""
    name = measurement["name"]
    if "count" not in measurement:
        yield name, _number(measurement["value"])
        return
    yield name, measurement["sum"] / measurement["count"]
    for statistic in ("count", "sum", "min", "max"):
        yield f"{name}.{statistic}", _number(measurement[statistic])


def _number(value: float) -> float:
    """Return a number that a point can hold: an int of 64 bits, or a float."""
    return value if -MAX_INTEGER <= value <= MAX_INTEGER else float(value)


def _parse(message: Any, body: bytes) -> bool:
    """Read a body into a message; return whether it is one."""
    from google.protobuf.message import DecodeError

    try:
        message.ParseFromString(body)
    except (DecodeError, ValueError):  # also for a text that is not UTF-8
        return False
    return True
