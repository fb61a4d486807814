"""Which failures are an outage, and which a setting that is wrong: told at once, and by name."""

from __future__ import annotations

import inspect
import logging
import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from support.errors import Errors
from support.raw_server import RawServer

from segment_librato import (
    Client,
    ConfigError,
    DeliveryError,
    LibratoConfig,
    NetworkError,
    OpenTelemetryConfig,
    SegmentError,
)
from segment_librato.config.validators import check_url
from segment_librato.http import failures
from segment_librato.http.failures import explain
from segment_librato.http.session import Session

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

SUCCESS = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
PASSWORD = "pr0xy-passw0rd"  # noqa: S105  not a real one
PROXY_SETTINGS = "check `proxies`, HTTPS_PROXY, HTTP_PROXY and ALL_PROXY"
WRONG_PROXY = f"expected a proxy URL such as http://proxy.example:3128; {PROXY_SETTINGS}"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the proxies and certificates of this machine out of the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}:
            monkeypatch.delenv(name)


def failure(url: str, **options: Any) -> SegmentError:
    with Session(url, None, 5, **options) as session, pytest.raises(SegmentError) as raised:
        session.send("POST", b"", {})
    return raised.value


@pytest.fixture
def files(tmp_path: Path, certificate: Path) -> dict[str, str]:
    """Return paths of files that are missing, hold nothing, are encrypted, and are right."""
    (tmp_path / "empty.pem").write_text("")
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(PASSWORD.encode()),
    )
    (tmp_path / "encrypted.pem").write_bytes(certificate.read_bytes().split(b"-----BEGIN EC")[0])
    (tmp_path / "encrypted.key").write_bytes(key)
    return {
        "missing": str(tmp_path / "missing.pem"),
        "empty": str(tmp_path / "empty.pem"),
        "directory": str(tmp_path),
        "encrypted": str(tmp_path / "encrypted.pem"),
        "key": str(tmp_path / "encrypted.key"),
        "right": str(certificate),
    }


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    "file, reason",
    [("missing", "No such file or directory"), ("empty", "it holds no certificate")],
)
def test_a_file_of_authorities_that_cannot_be_used_is_named(
    name: str,
    file: str,
    reason: str,
    files: dict[str, str],
    tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, files[file])
    with RawServer(lambda: [SUCCESS], tls=tls) as server:
        error = failure(server.host)
    assert type(error) is ConfigError
    assert str(error) == f"127.0.0.1:{server.port}: the file of {name} cannot be used: {reason}"
    assert server.requests == []


@pytest.mark.parametrize("signal", ["", "METRICS_"])
def test_the_file_of_the_environment_of_opentelemetry_is_named(
    signal: str, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}CERTIFICATE", files["missing"])
    assert str(failure("https://127.0.0.1:9", verify=files["missing"])) == (
        f"127.0.0.1:9: the file of OTEL_EXPORTER_OTLP_{signal}CERTIFICATE cannot be used: "
        "No such file or directory"
    )


@pytest.mark.parametrize(
    "cert, reason",
    [
        (("missing",), "No such file or directory"),
        (("right", "missing"), "No such file or directory"),
        (("right", "empty"), "certificate and key do not fit, or the key needs a password"),
        (("encrypted", "key"), "certificate and key do not fit, or the key needs a password"),
    ],
)
def test_a_certificate_of_the_client_that_cannot_be_used_is_named(
    cert: tuple[str, ...],
    reason: str,
    files: dict[str, str],
    tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = tuple(files[name] for name in cert)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", paths[0])
    with RawServer(lambda: [SUCCESS], tls=tls) as server:
        error = failure(
            server.host, verify=files["right"], cert=paths if len(paths) > 1 else paths[0]
        )
    setting = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"
    assert type(error) is ConfigError
    assert str(error) == f"127.0.0.1:{server.port}: the file of {setting} cannot be used: {reason}"
    assert server.requests == []


def test_authorities_that_are_missing_from_the_installation_are_named(
    files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "DEFAULT_CA_BUNDLE_PATH", files["missing"])
    options = {"proxies": {}, "verify": True, "cert": None}
    error = explain(OSError("Could not find it"), "https://a.test", options, None)
    assert str(error) == "a.test: the file of certifi cannot be used: No such file or directory"


@pytest.mark.parametrize("file", ["directory", "right"])
def test_a_certificate_that_is_not_trusted_is_no_matter_of_files(
    file: str, files: dict[str, str], tls: ssl.SSLContext
) -> None:
    with RawServer(lambda: [SUCCESS], tls=tls) as server:
        url = server.host if file == "directory" else server.host.replace("127.0.0.1", "localhost")
        error = failure(url, verify=files[file])
    assert type(error) is NetworkError
    assert "SSLError: " in str(error)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "proxy",
    [
        "http://",
        "http://:3128",
        "localhost:1",
        f"u:{PASSWORD}@proxy:3128",
        f"http://u:{PASSWORD}@[",
        "ftp://proxy:1",
        "http://proxy:99999",
        "http://a..b:1",
    ],
)
@pytest.mark.parametrize("name", ["ALL_PROXY", "{}_proxy"])
def test_a_proxy_of_the_environment_that_cannot_be_is_named(
    scheme: str, proxy: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name.format(scheme), proxy)
    error = failure(f"{scheme}://127.0.0.1:9")
    assert type(error) is ConfigError
    assert str(error) == f"127.0.0.1:9: {WRONG_PROXY}"


@pytest.mark.skipif(find_spec("socks") is not None, reason="PySocks is installed")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_socks_proxy_without_pysocks_says_what_to_install(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"socks5://u:{PASSWORD}@127.0.0.1:9")
    error = failure(f"{scheme}://127.0.0.1:9")
    assert type(error) is ConfigError
    assert str(error) == (
        "127.0.0.1:9: a SOCKS proxy needs PySocks; "
        f'pip install "requests[socks]", or {PROXY_SETTINGS}'
    )


def test_a_host_that_cannot_be_is_told_from_an_outage() -> None:
    error = failure("https://a..b")
    assert type(error) is ConfigError
    expected = "expected a valid host name; check `host`, `endpoint` or `oauth_auth_server`"
    assert str(error) == f"a..b: {expected}"


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
def test_a_proxy_that_is_down_is_an_outage(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    error = failure("https://127.0.0.1:9")
    assert type(error) is NetworkError
    assert str(error).startswith(f"127.0.0.1:9 via {proxy.removeprefix('http://')}: ProxyError: ")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "proxy, shown",
    [
        (f"http://u:{PASSWORD}@127.0.0.1:9", "127.0.0.1:9"),
        (f"http://{PASSWORD}@[::1]:9", "[::1]:9"),
        (f"http://u:9/{PASSWORD}@127.0.0.1:9", "a proxy"),
    ],
)
def test_a_proxy_is_named_without_its_password(
    scheme: str, proxy: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    error = failure(f"{scheme}://api.test:8443")
    assert type(error) is NetworkError
    assert str(error).startswith(f"api.test:8443 via {shown}: ProxyError: ")
    assert PASSWORD not in str(error)


ACCOUNTS: dict[str, dict[str, Any]] = {
    "segment": {"write_key": "key", "host": "https://127.0.0.1:9"},
    "librato": {"gauges": LibratoConfig("a@b.c", "token", host="https://127.0.0.1:9")},
    "otlp": {"gauges": OpenTelemetryConfig("https://127.0.0.1:9")},
}


@pytest.mark.parametrize("sync_mode", [False, True])
@pytest.mark.parametrize("account", ACCOUNTS)
def test_what_cannot_be_sent_before_a_setting_is_corrected_is_told_at_once(
    account: str, sync_mode: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")
    on_error = Errors()
    client = Client(**ACCOUNTS[account], sync_mode=sync_mode, on_error=on_error)
    with caplog.at_level(logging.DEBUG, "segment"):
        client.gauge("g", 1)
        assert client.shutdown()
    assert on_error.types == [ConfigError]
    problem = "the file of REQUESTS_CA_BUNDLE cannot be used: No such file or directory"
    expected = f"127.0.0.1:9: {problem}"
    assert str(on_error.calls[0][0]) == expected
    stats = client.stats.gauges or client.stats
    assert (stats.requests, stats.retries, stats.failed) == (1, 0, 1)
    lines = [record.getMessage() for record in caplog.records]
    assert f"messages not delivered: 1; {expected}" in lines
    assert not [line for line in lines if "retrying" in line]


@given(st.from_regex(r"https?://[ -~]{0,80}", fullmatch=True))
def test_a_url_that_an_option_may_have_is_one_that_requests_takes(url: str) -> None:
    try:
        check_url("host", url, "")
    except ConfigError:
        return
    Session(url, None, 1).close()


@pytest.mark.usefixtures("uncollected")
def test_too_little_stack_to_send_on_is_no_outage(server: LocalSegment) -> None:
    """In `sync_mode` the request is made on the caller's stack; no retry would find more of it."""

    def at_depth(levels: int) -> None:
        if levels:
            at_depth(levels - 1)
        else:
            client.track("user", "event")

    on_error = Errors()
    client = Client("key", server.host, sync_mode=True, on_error=on_error)
    client.track("user", "event")  # imports what sending needs
    depth = sys.getrecursionlimit() - len(inspect.stack()) - 150
    with suppress(RecursionError):  # in the end, there is too little even to accept a message
        while True:
            at_depth(depth)
            depth += 1
    client.shutdown()
    assert set(on_error.types) == {DeliveryError}
    expected = "the call came too close to the recursion limit"
    assert {str(error) for error, _ in on_error.calls} == {expected}
    assert client.stats.retries == 0
