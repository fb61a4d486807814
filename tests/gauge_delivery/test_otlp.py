"""Gauges as OpenTelemetry: what is sent, and what the responses of an endpoint mean."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)
from support.otlp_receiver import OtlpReceiver, Point, Response
from support.raw_server import FOREVER, RawServer
from support.real_time import in_real_time

from segment_librato import (
    APIError,
    Client,
    ConfigError,
    DeliveryError,
    NetworkError,
    OpenTelemetryConfig,
    SegmentError,
    ValidationError,
)
from segment_librato.counters import Stats
from segment_librato.delivery.retry import OTLP, Decision
from segment_librato.gauge_delivery.otlp import OpenTelemetryTransport
from segment_librato.queue.batch import Batch

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]

SECRET = "s3cr3t-that-must-not-show"  # noqa: S105  not a real one


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
def transport(receiver: OtlpReceiver) -> Iterator[OpenTelemetryTransport]:
    account = OpenTelemetryConfig(receiver.host, {"X-Token": SECRET}, timeout=5)
    transport = OpenTelemetryTransport(account)
    yield transport
    transport.close()


def batch(*measurements: dict[str, Any]) -> Batch:
    usual = {"name": "depth", "value": 1, "measure_time": 1_000_000_000, "source": "web-1"}
    return Batch(tuple(json.dumps(usual | one).encode() for one in measurements or ({},)))


def failure(transport: OpenTelemetryTransport, sent: Batch | None = None) -> SegmentError:
    with pytest.raises(SegmentError) as caught:
        transport.send(sent or batch())
    return caught.value


def partial(rejected: int, text: str) -> bytes:
    success = ExportMetricsPartialSuccess(rejected_data_points=rejected, error_message=text)
    return ExportMetricsServiceResponse(partial_success=success).SerializeToString()


def test_a_measurement_is_a_point_of_a_gauge(
    receiver: OtlpReceiver, transport: OpenTelemetryTransport
) -> None:
    sent = batch(
        {"value": 42},
        {"value": 1.5, "source": "web-2", "measure_time": 1_000_000_060},
        {"name": "other", "value": -3},
        {"name": "other", "value": 2**63},
        {"name": "other", "value": 10**126},
    )
    receipt = transport.send(sent)
    assert receiver.points == [
        Point("depth", "web-1", 1_000_000_000, 42),
        Point("depth", "web-2", 1_000_000_060, 1.5),
        Point("other", "web-1", 1_000_000_000, -3),
        Point("other", "web-1", 1_000_000_000, 2.0**63),
        Point("other", "web-1", 1_000_000_000, 1e126),
    ]
    assert [type(point.value) for point in receiver.points] == [int, float, int, float, float]
    [request] = receiver.requests
    assert request.path == "/v1/metrics"
    assert request.scope == "segment_librato"
    assert request.headers["X-Token"] == SECRET
    assert request.size == receipt.bytes_sent


def test_a_measurement_without_a_time_is_of_now(
    receiver: OtlpReceiver, transport: OpenTelemetryTransport
) -> None:
    began = int(time.time())
    transport.send(Batch((b'{"name": "depth", "value": 1, "source": "web-1"}',)))
    assert began <= receiver.points[0].seconds <= time.time()


def test_a_folded_measurement_is_five_gauges(
    receiver: OtlpReceiver, transport: OpenTelemetryTransport
) -> None:
    folded = {
        "name": "depth",
        "count": 4,
        "sum": 10,
        "min": 1,
        "max": 4.5,
        "sum_squares": 30.0,
        "measure_time": 60,
        "source": "web-1",
    }
    transport.send(Batch((json.dumps(folded).encode(),)))
    assert receiver.points == [
        Point("depth", "web-1", 60, 2.5),
        Point("depth.count", "web-1", 60, 4),
        Point("depth.sum", "web-1", 60, 10),
        Point("depth.min", "web-1", 60, 1),
        Point("depth.max", "web-1", 60, 4.5),
    ]


@pytest.mark.parametrize("seconds", [-1, 2**34 + 2**34])
def test_a_time_that_otlp_cannot_express_fails_alone(
    receiver: OtlpReceiver, transport: OpenTelemetryTransport, seconds: int
) -> None:
    sent = batch({"value": 1}, {"measure_time": seconds}, {"value": 2})
    receipt = transport.send(sent)
    assert [point.value for point in receiver.points] == [1, 2]
    assert {at: str(error) for at, error in receipt.failed.items()} == {
        1: "measure_time: expected the years 1970 to 2554, the range of OTLP"
    }


def test_resource_attributes_come_from_the_account_and_the_environment(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    account = OpenTelemetryConfig(receiver.host, resource_attributes={"host.name": "web-1"})
    transport = OpenTelemetryTransport(account)
    transport.send(batch())
    transport.close()
    resource = receiver.requests[0].resource
    assert resource["service.name"] == "shop"
    assert resource["deployment.environment"] == "test"
    assert resource["host.name"] == "web-1"


def test_endpoint_and_headers_may_come_from_the_environment(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.host)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-token={SECRET}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    transport = OpenTelemetryTransport(OpenTelemetryConfig())
    transport.send(batch())
    body = Status(message=f"the token {SECRET} is wrong").SerializeToString()
    receiver.responses = [Response(401, body)]
    assert failure(transport).message == "the token *** is wrong"
    transport.close()
    request, _ = receiver.requests
    assert request.path == "/v1/metrics"
    assert request.headers["X-Token"] == SECRET
    assert request.headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize(
    "path, posted_to",
    [
        ("", "/v1/metrics"),
        ("/", "/v1/metrics"),
        ("/v1/metrics", "/v1/metrics"),
        ("/api/v1/otlp/v1/metrics", "/api/v1/otlp/v1/metrics"),
    ],
)
def test_an_endpoint_without_a_path_gets_the_usual_one(
    receiver: OtlpReceiver, path: str, posted_to: str
) -> None:
    transport = OpenTelemetryTransport(OpenTelemetryConfig(receiver.host + path))
    transport.send(batch())
    transport.close()
    assert [request.path for request in receiver.requests] == [posted_to]


def test_requests_may_be_compressed(receiver: OtlpReceiver) -> None:
    transport = OpenTelemetryTransport(OpenTelemetryConfig(receiver.host, gzip=True))
    sent = batch(*[{"value": n} for n in range(300)])
    receipt = transport.send(sent)
    transport.close()
    [request] = receiver.requests
    assert len(request.points) == 300
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.size == receipt.bytes_sent < 10_000


@pytest.mark.parametrize(
    "status, retryable",
    [
        *[(status, True) for status in (429, 502, 503, 504)],
        *[(status, False) for status in (400, 401, 403, 404, 408, 413, 500, 501)],
    ],
)
def test_one_request_is_made_and_its_status_reported(
    receiver: OtlpReceiver,
    transport: OpenTelemetryTransport,
    caplog: pytest.LogCaptureFixture,
    status: int,
    retryable: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    body = Status(message=f"the token {SECRET} is wrong").SerializeToString()
    receiver.responses = [Response(status, body, (("Retry-After", "7"),))]
    error = failure(transport)
    assert isinstance(error, APIError)
    assert (error.status, error.retry_after) == (status, 7)
    assert (OTLP.decide(error) is Decision.RETRY) == retryable
    advice = {401: "; check `headers`", 404: " to a POST to /v1/metrics; check `endpoint`"}
    assert (
        str(error) == f"{urlsplit(receiver.host).netloc} answered {status}{advice.get(status, '')}"
    )
    assert error.message == "the token *** is wrong"
    assert (OTLP.decide(error) is Decision.SPLIT) == (status in {400, 413})
    assert len(receiver.requests) == 1
    assert SECRET not in caplog.text
    assert {record.name for record in caplog.records if record.levelno >= logging.INFO} == set()


def test_a_redirect_is_not_followed(
    receiver: OtlpReceiver, transport: OpenTelemetryTransport
) -> None:
    receiver.responses = [Response(307, b"", (("Location", "/elsewhere"),))]
    error = failure(transport)
    assert (error.status, error.code) == (307, "redirect")
    assert "set `endpoint` to where metrics go" in str(error)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("body", [b"", b"\xff" * 100, b"<html>", b"x" * 100_000])
@pytest.mark.parametrize("status", [200, 500])
def test_a_body_that_is_no_protobuf_does_no_harm(
    receiver: OtlpReceiver, transport: OpenTelemetryTransport, status: int, body: bytes
) -> None:
    receiver.responses = [Response(status, body)]
    if status == 200:
        sent = batch()
        receipt = transport.send(sent)
        assert receipt.failed == {}
    else:
        assert failure(transport).status == status


def test_points_that_were_rejected_are_reported_and_nothing_is_sent_again(
    receiver: OtlpReceiver, transport: OpenTelemetryTransport
) -> None:
    receiver.responses = [Response(200, partial(2, f"{SECRET}: too old"))]
    sent = batch({}, {}, {"measure_time": -1})
    receipt = transport.send(sent)
    assert [str(receipt.failed[at]) for at in range(3)] == [
        f"{urlsplit(receiver.host).netloc} rejected 2 of the data points of a request",
        f"{urlsplit(receiver.host).netloc} rejected 2 of the data points of a request",
        "measure_time: expected the years 1970 to 2554, the range of OTLP",
    ]
    assert type(receipt.failed[0]) is DeliveryError
    assert receipt.failed[0].message == "***: too old"
    assert len(receiver.requests) == 1


def test_a_warning_is_told_once_without_its_text(
    receiver: OtlpReceiver, transport: OpenTelemetryTransport, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.responses = [
        Response(200, partial(0, "payload")),
        Response(200, partial(0, "payload")),
    ]
    for _ in range(2):
        sent = batch()
        receipt = transport.send(sent)
        assert receipt.failed == {}
    [record] = [one for one in caplog.records if one.levelno == logging.WARNING]
    place = urlsplit(receiver.host).netloc
    assert record.getMessage() == f"{place} took all data points, with a warning"


@in_real_time
def test_silence_ends_with_the_timeout(receiver: OtlpReceiver) -> None:
    receiver.requests.clear()
    receiver.responses = [Response(delay=60)]
    transport = OpenTelemetryTransport(OpenTelemetryConfig(receiver.host, timeout=0.2))
    began = time.monotonic()
    assert isinstance(failure(transport), NetworkError)
    assert time.monotonic() - began < 5
    assert receiver.wait_until(lambda: len(receiver.requests) == 1)
    transport.close()


def test_certificates_come_from_the_environment(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OtlpReceiver(tls) as receiver:
        transport = OpenTelemetryTransport(OpenTelemetryConfig(receiver.host))
        assert "self-signed certificate" in str(failure(transport)).replace(
            "self signed", "self-signed"
        )
        transport.close()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(certificate))
        transport = OpenTelemetryTransport(OpenTelemetryConfig(receiver.host))
        transport.send(batch())
        transport.close()
        assert len(receiver.points) == 1


def test_nobody_there_is_a_network_error() -> None:
    transport = OpenTelemetryTransport(OpenTelemetryConfig("http://127.0.0.1:9"))
    error = failure(transport)
    assert isinstance(error, NetworkError)
    assert str(error) == "127.0.0.1:9: ConnectionError: Connection refused"
    transport.close()


def test_an_endpoint_of_the_environment_that_is_no_url_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere")
    transport = OpenTelemetryTransport(OpenTelemetryConfig())
    error = failure(transport)
    assert type(error) is ConfigError
    assert "check `endpoint` or OTEL_EXPORTER_OTLP_ENDPOINT" in str(error)
    transport.close()


@pytest.mark.parametrize("sync_mode", [False, True])
@pytest.mark.parametrize("aggregate", [0, 60])
@pytest.mark.parametrize("text", ["true", " TRUE "])
def test_where_opentelemetry_is_disabled_no_gauge_is_sent(
    receiver: OtlpReceiver,
    errors: Errors,
    sync_mode: bool,
    aggregate: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OTEL_SDK_DISABLED", text)
    account = OpenTelemetryConfig(receiver.host, aggregate=aggregate)
    client = Client(gauges=account, sync_mode=sync_mode, on_error=errors)
    accepted, message = client.gauge("depth", 1)
    assert (accepted, message["event"]) == (True, "depth")
    with pytest.raises(ValidationError):
        client.gauge("depth", "many")  # type: ignore[arg-type]  # it is the fault
    assert client.flush(30)
    assert (client.stats.gauges, receiver.requests, errors.calls) == (Stats(), [], [])
    assert caplog.messages == ["OTEL_SDK_DISABLED is true; no gauge is sent over OpenTelemetry"]
    assert client.shutdown()
    assert client.gauge("depth", 1)[0] is False


def test_where_opentelemetry_is_disabled_messages_go_to_segment_as_before(
    receiver: OtlpReceiver,
    make_client: MakeClient,
    server: LocalSegment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for text in ("true", "false"):
        monkeypatch.setenv("OTEL_SDK_DISABLED", text)
        client = make_client(gauges=OpenTelemetryConfig(receiver.host))
        client.gauge("depth", 1)
        assert client.shutdown()
    disabled, enabled = server.messages
    assert disabled["integrations"] == enabled["integrations"] == {"Librato": False}
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("text", ["", "false", "1", "yes"])
def test_only_true_disables_opentelemetry(
    receiver: OtlpReceiver, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", text)
    client = Client(gauges=OpenTelemetryConfig(receiver.host))
    client.gauge("depth", 1)
    assert client.shutdown()
    assert len(receiver.requests) == 1


def test_the_timeout_of_the_environment_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    with RawServer(lambda: [FOREVER]) as server:
        transport = OpenTelemetryTransport(OpenTelemetryConfig(server.host))
        assert "Timeout" in str(failure(transport))
        transport.close()


def test_threads_send_at_the_same_time_and_leave_nothing_behind(
    receiver: OtlpReceiver, transport: OpenTelemetryTransport
) -> None:
    before = set(threading.enumerate())
    workers = [
        threading.Thread(target=transport.send, args=[batch({"value": n})]) for n in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(point.value for point in receiver.points) == list(range(8))
    transport.close()
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not [name for name in left if "process_request" not in name]  # but the receiver's


def test_connections_are_kept(receiver: OtlpReceiver, transport: OpenTelemetryTransport) -> None:
    for _ in range(3):
        transport.send(batch())
    assert len(receiver.requests) == 3
    assert len(transport._sessions._idle) == 1  # noqa: SLF001  its pool


def test_from_the_call_to_the_collector(
    server: LocalSegment, receiver: OtlpReceiver, make_client: MakeClient, errors: Errors
) -> None:
    receiver.responses = [Response(503), Response(429)]
    client = make_client(gauges=OpenTelemetryConfig(receiver.host, upload_interval=60))
    client.track("user", "Queue Depth", {"value": 42}, {"Librato": {"source": "web-1"}})
    client.gauge("load", 0.5, source="web-2", timestamp=1_000_000_000)
    assert client.flush(10)
    assert [(p.name, p.source, p.value) for p in receiver.points] == [
        ("Queue-Depth", "web-1", 42),
        ("load", "web-2", 0.5),
    ]
    assert receiver.points[1].seconds == 1_000_000_000
    assert [m["integrations"] for m in server.messages] == [{"Librato": False}] * 2
    assert errors.calls == []
    stats = client.stats.gauges
    assert stats is not None
    assert (stats.delivered, stats.retries, stats.requests) == (2, 2, 3)
    assert stats.bytes_sent > 0


def test_what_was_folded_adds_up(
    receiver: OtlpReceiver, make_client: MakeClient, server: LocalSegment
) -> None:
    client = make_client(gauges=OpenTelemetryConfig(receiver.host, aggregate=3_600))
    for value in range(1_000):
        client.gauge("load", value, source="web-1")
    assert client.flush(10)
    sums = [point.value for point in receiver.points if point.name == "load.sum"]
    counts = [point.value for point in receiver.points if point.name == "load.count"]
    assert (sum(sums), sum(counts)) == (sum(range(1_000)), 1_000)


def test_a_request_that_fails_with_400_is_split(
    receiver: OtlpReceiver, make_client: MakeClient, errors: Errors
) -> None:
    receiver.responses = [Response(400), Response(200), Response(400)]
    client = make_client(gauges=OpenTelemetryConfig(receiver.host, upload_interval=60))
    client.gauge("a", 1)
    client.gauge("b", 2)
    assert client.flush(10)
    assert [point.name for point in receiver.points] == ["a"]
    [(error, [measurement])] = errors.calls
    assert error.status == 400  # type: ignore[attr-defined]
    assert measurement["name"] == "b"


def test_a_forked_child_has_connections_of_its_own(receiver: OtlpReceiver) -> None:
    script = f"""
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from segment_librato import Client, OpenTelemetryConfig
client = Client(gauges=OpenTelemetryConfig({receiver.host!r}), on_error=print)
client.gauge("parent", 1)
assert client.flush(10)
child = os.fork()
client.gauge("child" if child == 0 else "parent", 2)
assert client.shutdown()
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    process = subprocess.run(  # noqa: S603  the tests' own script
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=240
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
    assert sorted((p.name, p.value) for p in receiver.points) == [
        ("child", 2),
        ("parent", 1),
        ("parent", 2),
    ]


def test_without_the_extra_the_error_says_what_to_install() -> None:
    script = """
import sys
sys.modules["opentelemetry"] = None
import segment_librato
from segment_librato import Client, ConfigError, OpenTelemetryConfig
try:
    Client("key", gauges=OpenTelemetryConfig())
except ConfigError as error:
    print(error)
"""
    process = subprocess.run(  # noqa: S603  the tests' own script
        [sys.executable, "-W", "error", "-c", script],
        check=True,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert process.stdout == (
        'gauges: OpenTelemetryConfig needs the extra; pip install "segment-librato[otel]"\n'
    )


def test_the_import_of_the_package_does_not_import_the_extra() -> None:
    script = "import sys, segment_librato; print(any('opentelemetry' in m for m in sys.modules))"
    output = subprocess.check_output([sys.executable, "-c", script], text=True)  # noqa: S603  the tests' own script
    assert output == "False\n"
