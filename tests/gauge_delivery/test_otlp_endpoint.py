"""Where OTLP requests go: the configuration, else OpenTelemetry's environment variables."""

from __future__ import annotations

import gzip
import logging
import zlib
from typing import Any

import pytest

from segment_librato import OpenTelemetryConfig
from segment_librato._version import VERSION
from segment_librato.gauge_delivery.otlp_endpoint import find_endpoint

OTEL = "OTEL_EXPORTER_OTLP_"
URL = "https://collector.example"


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for signal in ("", "METRICS_"):
        for option in ("ENDPOINT", "HEADERS", "COMPRESSION", "CERTIFICATE", "TIMEOUT"):
            monkeypatch.delenv(f"{OTEL}{signal}{option}", raising=False)


def test_without_anything_it_is_the_collector_on_this_machine() -> None:
    endpoint = find_endpoint(OpenTelemetryConfig())
    assert endpoint.url == "http://localhost:4318/v1/metrics"
    assert endpoint.headers == {
        "user-agent": f"segment-librato/{VERSION}",
        "content-type": "application/x-protobuf",
    }
    assert (endpoint.verify, endpoint.cert, endpoint.secrets) == (True, None, ())
    assert (endpoint.compress(b"body"), endpoint.problem) == (b"body", "")
    assert endpoint.timeout == 15


@pytest.mark.parametrize(
    "of_metrics, of_all, configured, url",
    [
        ("", URL, None, f"{URL}/v1/metrics"),
        ("", f"{URL}/", None, f"{URL}/v1/metrics"),
        ("", f"{URL}/otlp", None, f"{URL}/otlp/v1/metrics"),
        (URL, "http://other", None, URL),
        (f"{URL}/a?b=c", "http://other", None, f"{URL}/a?b=c"),
        ("http://other", "http://other", URL, f"{URL}/v1/metrics"),
        ("http://other", "http://other", f"{URL}/otlp", f"{URL}/otlp"),
    ],
)
def test_the_url(
    monkeypatch: pytest.MonkeyPatch, of_metrics: str, of_all: str, configured: str | None, url: str
) -> None:
    monkeypatch.setenv(f"{OTEL}METRICS_ENDPOINT", of_metrics)
    monkeypatch.setenv(f"{OTEL}ENDPOINT", of_all)
    assert find_endpoint(OpenTelemetryConfig(configured)).url == url


def test_headers_of_the_configuration_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{OTEL}HEADERS", "X-Token=all, x-tenant=a%20b,content-type=text/html")
    account = OpenTelemetryConfig(URL, {"X-Token": "mine", "User-Agent": "Shop/1"})
    assert find_endpoint(account).headers == {
        "x-token": "mine",
        "x-tenant": "a b",
        "user-agent": "Shop/1",
        "content-type": "application/x-protobuf",
    }
    assert {"mine", "a b"} <= set(find_endpoint(account).secrets)
    assert "mine" not in repr(find_endpoint(account))


def test_headers_for_metrics_replace_those_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{OTEL}HEADERS", "a=1,b=2")
    monkeypatch.setenv(f"{OTEL}METRICS_HEADERS", "a=Bearer%20x=,c=three words")
    headers = find_endpoint(OpenTelemetryConfig(URL)).headers
    assert (headers["a"], headers["c"]) == ("Bearer x=", "three words")
    assert "b" not in headers


@pytest.mark.parametrize(
    "of_metrics, of_all, configured, name",
    [
        ("", "gzip", False, "gzip"),
        ("none", "gzip", False, None),
        (" Deflate", "", False, "deflate"),
        ("deflate", "deflate", True, "gzip"),
    ],
)
def test_the_compression(
    monkeypatch: pytest.MonkeyPatch,
    of_metrics: str,
    of_all: str,
    configured: bool,
    name: str | None,
) -> None:
    monkeypatch.setenv(f"{OTEL}METRICS_COMPRESSION", of_metrics)
    monkeypatch.setenv(f"{OTEL}COMPRESSION", of_all)
    endpoint = find_endpoint(OpenTelemetryConfig(URL, gzip=configured))
    assert endpoint.headers.get("content-encoding") == name
    assert decompress(name, endpoint.compress(b"body")) == b"body"


def decompress(name: str | None, body: bytes) -> bytes:
    if name == "gzip":
        return gzip.decompress(body)
    return zlib.decompress(body) if name else body


def test_an_unknown_compression_is_logged_and_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(f"{OTEL}COMPRESSION", "brotli")
    endpoint = find_endpoint(OpenTelemetryConfig(URL))
    assert "content-encoding" not in endpoint.headers
    assert endpoint.compress(b"body") == b"body"
    [record] = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert record.getMessage() == (
        "OTEL_EXPORTER_OTLP_COMPRESSION: expected gzip, deflate or none; sent uncompressed"
    )


@pytest.mark.parametrize(
    "of_metrics, of_all, configured, seconds",
    [
        ("", "7", None, 7),
        ("2.5", "7", None, 2.5),
        ("10000", "", None, 10_000),  # seconds, as OpenTelemetry's exporter has it
        ("2.5", "7", 3, 3),
        ("2.5", "7", (3, 4), (3, 4)),
        ("2.5", "7", 15, 15),
    ],
)
def test_the_timeout(
    monkeypatch: pytest.MonkeyPatch, of_metrics: str, of_all: str, configured: Any, seconds: Any
) -> None:
    monkeypatch.setenv(f"{OTEL}METRICS_TIMEOUT", of_metrics)
    monkeypatch.setenv(f"{OTEL}TIMEOUT", of_all)
    assert find_endpoint(OpenTelemetryConfig(URL, timeout=configured)).timeout == seconds


@pytest.mark.parametrize("text", ["10s", "0", "-1", "nan", "inf", "1e99"])
def test_a_timeout_that_cannot_be_is_logged_and_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    monkeypatch.setenv(f"{OTEL}TIMEOUT", text)
    assert find_endpoint(OpenTelemetryConfig(URL)).timeout == 15
    assert caplog.messages == [
        "OTEL_EXPORTER_OTLP_TIMEOUT: expected a number of seconds above 0; using 15"
    ]


@pytest.mark.parametrize("signal", ["", "METRICS_"])
def test_the_files_of_certificates(monkeypatch: pytest.MonkeyPatch, signal: str) -> None:
    if signal:
        for option in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
            monkeypatch.setenv(f"{OTEL}{option}", "other.pem")
    monkeypatch.setenv(f"{OTEL}{signal}CERTIFICATE", "ca.pem")
    monkeypatch.setenv(f"{OTEL}{signal}CLIENT_CERTIFICATE", "client.pem")
    monkeypatch.setenv(f"{OTEL}{signal}CLIENT_KEY", "key.pem")
    endpoint = find_endpoint(OpenTelemetryConfig(URL))
    assert (endpoint.verify, endpoint.cert) == ("ca.pem", ("client.pem", "key.pem"))
    monkeypatch.delenv(f"{OTEL}METRICS_CLIENT_KEY", raising=False)
    monkeypatch.delenv(f"{OTEL}CLIENT_KEY")
    assert find_endpoint(OpenTelemetryConfig(URL)).cert == "client.pem"


@pytest.mark.parametrize(
    "url",
    [
        *("nowhere", "ftp://a", "http://", "http://[", "http://a:0", "http://a:x", "//a"),
        *("http://a..b", "http://a\x1b[2J", "http://a/\u202e", "http://a b"),
    ],
)
def test_what_is_no_url_is_a_problem(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv(f"{OTEL}METRICS_ENDPOINT", url)
    endpoint = find_endpoint(OpenTelemetryConfig())
    assert endpoint.url == ""
    assert endpoint.problem == (
        "expected a URL such as http://localhost:4318/v1/metrics; "
        "check `endpoint` or OTEL_EXPORTER_OTLP_ENDPOINT"
    )


@pytest.mark.parametrize("headers", ["a=b%0D%0Ac=d", "a%00=b", "a=%C3%A4"])
def test_headers_that_cannot_be_sent_are_a_problem(
    monkeypatch: pytest.MonkeyPatch, headers: str
) -> None:
    monkeypatch.setenv(f"{OTEL}HEADERS", headers)
    assert find_endpoint(OpenTelemetryConfig(URL)).problem == (
        "OTEL_EXPORTER_OTLP_HEADERS: expected printable ASCII characters without surrounding spaces"
    )
