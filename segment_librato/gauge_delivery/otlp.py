"""One POST of measurements to an OTLP/HTTP endpoint, as points of OpenTelemetry gauges.

Owns what a measurement is in OpenTelemetry and what an answer means (OpenTelemetry Protocol
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
from segment_librato.http.pool import Pool
from segment_librato.http.response import presentable
from segment_librato.log import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource

    from segment_librato.config.gauges import OpenTelemetryConfig
    from segment_librato.http.response import Answer
    from segment_librato.queue.batch import Batch

__all__ = ["OpenTelemetryTransport"]

SUCCESS = range(200, 300)
REDIRECT = range(300, 400)
RETRYABLE = frozenset({429, 502, 503, 504})
NANOSECONDS = 10**9
LATEST_SECONDS = 2**64 // NANOSECONDS - 1  # a time is an unsigned number of nanoseconds
GREATEST_INTEGER = 2**63 - 1


class OpenTelemetryTransport:
    """Posts measurements as gauge points. Thread-safe: each `send` has an exporter to itself."""

    def __init__(self, account: OpenTelemetryConfig) -> None:
        """Make a transport; it connects when it first sends.

        Raises:
            ConfigError: the extra is not installed.
        """
        try:
            from google.rpc.status_pb2 import Status  # noqa: PLC0415  an extra
            from opentelemetry.proto.collector.metrics.v1 import (  # noqa: PLC0415  an extra
                metrics_service_pb2,
            )
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  an extra

            self._success = metrics_service_pb2.ExportMetricsServiceResponse
            self._status = Status
            self._resource = Resource.create(account.resource_attributes)
            self._exporters = Pool(lambda: Exporter(account))
            with self._exporters.lend():
                pass  # whatever it imports is imported now, on the application's thread
        except ImportError:
            needed = "pip install segment-librato[otel]"
            raise ConfigError(f"librato: OpenTelemetryConfig needs the extra; {needed}") from None
        self._warned = False

    def reset_after_fork(self) -> None:
        """Leave the exporters to the parent, untouched, and have none."""
        self._exporters.reset_after_fork()

    def send(self, batch: Batch) -> None:
        """Post a batch of measurements.

        Raises:
            APIError: the server answered, but not with success.
            DeliveryError: nothing could be sent.
            NetworkError: no answer came.
        """
        measurements = [json.loads(message) for message in batch.messages]
        batch.refused = _out_of_time(measurements)
        wanted = [one for at, one in enumerate(measurements) if at not in batch.refused]
        if not wanted:
            return
        metrics = _metrics_data(wanted, self._resource, int(time.time()))
        with self._exporters.lend() as exporter:
            answer = exporter.export(metrics, batch)
            if answer.status not in SUCCESS:
                raise self._refusal(answer, exporter)
            error = self._doubts(answer, exporter)
        if error:
            batch.refuse_rest(error)

    def close(self) -> None:
        """Close the connections."""
        self._exporters.close()

    def _doubts(self, answer: Answer, exporter: Exporter) -> DeliveryError | None:
        """Return an error if a success says that not all was taken.

        Which points were not, it does not say, and the specification forbids to send them again.
        """
        response = self._success()
        if not _parse(response, answer.body):
            return None
        rejected = response.partial_success.rejected_data_points
        host = urlsplit(exporter.url).hostname
        text = presentable(response.partial_success.error_message, exporter.secrets)
        if rejected:
            error = DeliveryError(f"{host} rejected {rejected} of the data points of a request")
            error.message = text or error.message
            return error
        if text and not self._warned:
            self._warned = True
            log.warning("%s took all data points, with a warning", host)
        return None

    def _refusal(self, answer: Answer, exporter: Exporter) -> APIError:
        """Return the answer as an error, its texts shortened and without secrets."""
        text = f"{urlsplit(exporter.url).hostname} answered {answer.status}"
        code, message = "unknown", ""
        if answer.status in REDIRECT:
            target = presentable(answer.redirect_target(exporter.url), exporter.secrets)
            code = "redirect"
            text = f"{text}, a redirect to {target}; set `endpoint` to where metrics go"
        else:
            status = self._status()
            if _parse(status, answer.body):
                message = presentable(status.message, exporter.secrets)
        error = APIError(answer.status, code, message or text, answer.retry_after(), text)
        error.retryable = answer.status in RETRYABLE
        return error


def _out_of_time(measurements: list[dict[str, Any]]) -> dict[int, DeliveryError]:
    """Return an error for the position of each measurement whose time OTLP cannot say."""
    error = DeliveryError("measure_time is not within the years 1970 to 2554, which OTLP can say")
    return {
        at: error
        for at, one in enumerate(measurements)
        if not 0 <= one.get("measure_time", 0) <= LATEST_SECONDS
    }


def _metrics_data(
    measurements: Iterable[dict[str, Any]], resource: Resource, now: int
) -> MetricsData:
    """Return the measurements as the exporter takes them, one metric for each name."""
    from opentelemetry.sdk.metrics import export  # noqa: PLC0415  an extra
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415  an extra

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
    return value if -GREATEST_INTEGER <= value <= GREATEST_INTEGER else float(value)


def _parse(message: Any, body: bytes) -> bool:  # noqa: ANN401  any message of protobuf
    """Read a body into a message; return whether it is one."""
    from google.protobuf.message import DecodeError  # noqa: PLC0415  an extra

    try:
        message.ParseFromString(body)
    except (DecodeError, ValueError):  # also for a text that is not UTF-8
        return False
    return True
