"""A local OTLP/HTTP receiver of metrics that decodes what it is sent."""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from email.message import Message

    from typing_extensions import Self


class Point(NamedTuple):
    """A data point of a gauge."""

    name: str
    source: str
    seconds: int
    value: float


@dataclass
class Received:
    """A request and what was in it."""

    path: str
    headers: Message
    size: int
    points: list[Point]
    resource: dict[str, str]
    scope: str


@dataclass
class Response:
    """What the receiver responds with."""

    status: int = 200
    body: bytes = ExportMetricsServiceResponse().SerializeToString()
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Print nothing about a client that went away."""


class OtlpReceiver:
    """Listens on 127.0.0.1 as soon as it is made.

    Attributes:
        responses: the responses to the next requests; after them, each is a success.
        requests: what was received; a request that got an error has no points.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.responses: list[Response] = []
        self.requests: list[Received] = []
        self.closing = threading.Event()
        self._changed = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.host = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def points(self) -> list[Point]:
        """The points that were accepted."""
        with self._changed:
            return [point for request in self.requests for point in request.points]

    def wait_until(self, condition: Callable[[], bool]) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, 30)

    def receive(self, path: str, headers: Message, body: bytes) -> Response:
        with self._changed:
            response = self.responses.pop(0) if self.responses else Response()
            size = len(body)
            if headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            message = ExportMetricsServiceRequest.FromString(body)
            request = _decode(path, headers, size, message)
            if not 200 <= response.status < 300:
                request.points = []
            self.requests.append(request)
            self._changed.notify_all()
            return response


def _decode(
    path: str, headers: Message, size: int, message: ExportMetricsServiceRequest
) -> Received:
    [of_resource] = message.resource_metrics
    [of_scope] = of_resource.scope_metrics
    points = []
    for metric in of_scope.metrics:
        assert metric.WhichOneof("data") == "gauge"
        for point in metric.gauge.data_points:
            attributes = {pair.key: pair.value.string_value for pair in point.attributes}
            assert set(attributes) == {"source"}
            kind = point.WhichOneof("value")
            value = point.as_int if kind == "as_int" else point.as_double
            seconds, rest = divmod(point.time_unix_nano, 10**9)
            assert rest == 0
            points.append(Point(metric.name, attributes["source"], seconds, value))
    names = [metric.name for metric in of_scope.metrics]
    assert len(names) == len(set(names))
    resource = {pair.key: pair.value.string_value for pair in of_resource.resource.attributes}
    return Received(path, headers, size, points, resource, of_scope.scope.name)


def _handler(receiver: OtlpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            response = receiver.receive(self.path, self.headers, body)
            receiver.closing.wait(response.delay)
            self.send_response(response.status)
            for name, value in (
                ("Content-Length", str(len(response.body))),
                ("Content-Type", "application/x-protobuf"),
                *response.headers,
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(response.body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
