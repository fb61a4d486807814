"""Bearer tokens, from a local server that checks what it is asked with."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
import traceback
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from support.marks import needs_fork
from support.raw_server import FOREVER, RawServer
from support.real_time import in_real_time

from segment_librato import Client
from segment_librato.config.client import Config
from segment_librato.delivery.retry import SEGMENT, Decision
from segment_librato.errors import APIError, ConfigError, DeliveryError, NetworkError
from segment_librato.http import deadlines
from segment_librato.queue.batch import Batch
from segment_librato.transport import oauth
from segment_librato.transport.oauth import TokenProvider
from segment_librato.transport.segment import SegmentTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.errors import Errors
    from typing_extensions import Self

    from segment_librato.devserver import LocalSegment

PRIVATE_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
BATCH = (b'{"type":"track","event":"e","userId":"u","messageId":"1"}',)
SHORT = 0.2  # seconds, for a limit that is waited out
MARGIN = 1.5  # seconds that a slow machine may take on top of a limit


def pem(key: Any, encryption: Any = None) -> str:
    encoded: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        encryption or serialization.NoEncryption(),
    )
    return encoded.decode()


KEY = pem(PRIVATE_KEY)


class TokenServer:
    """An authorization server on 127.0.0.1, as strict as RFC 7523 lets it be.

    Attributes:
        clock_ahead: seconds by which its clock is ahead.
        expires_in: the life of its tokens in seconds.
        responses: what to send to the next requests instead: status, headers and body.
        requests: headers, form, and claims of each request.
    """

    def __init__(self) -> None:
        self.clock_ahead = 0.0
        self.expires_in: Any = 3600
        self.responses: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[tuple[Any, dict[str, str], dict[str, Any]]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Event()
        handler = type("Handler", (_TokenHandler,), {"tokens": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.block_on_close = False
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def judge(self, headers: Any, form: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        claims = self._check(form)
        self.requests.append((headers, form, claims))
        number = len(self.requests)
        self.asked.set()
        self.gate.wait(10)
        if self.responses:
            return self.responses.pop(0)
        now = time.time() + self.clock_ahead
        if claims["iat"] > now:
            return self._error(400, "invalid_request", "Token used before issued")
        if claims["exp"] <= now:
            return self._error(400, "invalid_request", "Token is expired")
        content = {"access_token": f"token-{number}", "expires_in": self.expires_in}
        return 200, {}, json.dumps(content).encode()

    def _check(self, form: dict[str, str]) -> dict[str, Any]:
        assert set(form) == {
            "grant_type", "client_assertion_type", "client_assertion", "scope",
        }  # fmt: skip
        assert form["grant_type"] == "client_credentials"
        assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert form["client_assertion_type"] == assertion_type
        assert jwt.get_unverified_header(form["client_assertion"])["kid"] == "the key id"
        claims: dict[str, Any] = jwt.decode(
            form["client_assertion"],
            PRIVATE_KEY.public_key(),
            algorithms=["RS256"],
            audience=self.url,
            issuer="the client",
            options={
                "verify_iat": False,
                "verify_exp": False,
                "require": ["iss", "sub", "aud", "iat", "exp", "jti"],
            },
        )
        assert claims["sub"] == "the client"
        assert claims["exp"] - claims["iat"] == 60
        return claims

    def _error(self, status: int, code: str, text: str) -> tuple[int, dict[str, str], bytes]:
        return status, {}, json.dumps({"error": code, "error_description": text}).encode()


class _TokenHandler(BaseHTTPRequestHandler):
    tokens: TokenServer

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        assert self.path == "/token"
        assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
        fields = parse_qs(self.rfile.read(length).decode(), strict_parsing=True)
        form = {name: value for name, (value,) in fields.items()}
        status, headers, body = self.tokens.judge(self.headers, form)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate((timestamp or time.time()) + self.tokens.clock_ahead, usegmt=True)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with TokenServer() as token_server:
        yield token_server


def options_for(url: str, **options: Any) -> dict[str, Any]:
    return {
        "oauth_client_id": "the client",
        "oauth_client_key": KEY,
        "oauth_key_id": "the key id",
        "oauth_auth_server": url,
        "timeout": 10,
        **options,
    }


def provider_for(url: str, **options: Any) -> TokenProvider:
    return TokenProvider(Config(write_key="test-key", **options_for(url, **options)))


def failure(provider: TokenProvider) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        provider.token()
    return raised.value


def everything_told_by(error: BaseException) -> str:
    chain = "".join(traceback.format_exception(error))
    return f"{error} {error!r} {error.args!r} {error.__cause__!r} {vars(error)!r} {chain}"


# Asking for a token


def test_a_token_is_asked_for_once_and_used_for_many_requests(tokens: TokenServer) -> None:
    provider = provider_for(tokens.url)
    assert [provider.token() for _ in range(10)] == ["token-1"] * 10
    assert len(tokens.requests) == 1


@pytest.mark.parametrize("scope", ["tracking_api:write", "a b&c=d+é"])
def test_the_scope_arrives_as_it_is(tokens: TokenServer, scope: str) -> None:
    provider_for(tokens.url + "/", oauth_scope=scope).token()
    assert tokens.requests[0][1]["scope"] == scope


def test_every_assertion_is_a_new_one_that_is_valid_from_a_moment_ago(tokens: TokenServer) -> None:
    provider = provider_for(tokens.url)
    for token in ("token-1", "token-2"):
        provider.discard(provider.token())
        assert len(tokens.requests) == int(token[-1])
    claims = [claims for _, _, claims in tokens.requests]
    assert claims[0]["jti"] != claims[1]["jti"]
    assert all(time.time() - 60 < claim["iat"] <= time.time() - 5 for claim in claims)


@pytest.mark.parametrize(
    "expires_in, fresh_seconds",
    [
        (3600, 1800),
        (10, 5),
        (0.5, 0.25),
        (10**400, 10**9),
        (0, 60),
        (-5, 60),
        ("3600", 60),
        (None, 60),
        (float("nan"), 60),
        (float("inf"), 60),
        ([], 60),
    ],
)
def test_a_token_is_replaced_after_half_of_its_life(
    tokens: TokenServer,
    monkeypatch: pytest.MonkeyPatch,
    expires_in: object,
    fresh_seconds: float,
) -> None:
    now = 5_000.0
    monkeypatch.setattr(oauth, "monotonic", lambda: now)
    tokens.expires_in = expires_in
    provider = provider_for(tokens.url)
    assert provider.token() == "token-1"
    now += fresh_seconds - 0.01
    assert provider.token() == "token-1"
    if fresh_seconds < 10**9:
        now += 0.02
        assert provider.token() == "token-2"


def test_a_discarded_token_is_replaced_and_a_newer_one_is_kept(tokens: TokenServer) -> None:
    provider = provider_for(tokens.url)
    provider.discard(provider.token())
    assert provider.token() == "token-2"
    provider.discard("token-1")  # another request was rejected with the old one
    assert provider.token() == "token-2"


def test_a_password_in_netrc_is_not_sent_to_the_token_server(
    tokens: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    provider_for(tokens.url).token()
    assert "Authorization" not in tokens.requests[0][0]


def test_the_token_is_asked_for_through_the_proxy(server: LocalSegment) -> None:
    proxies = {"http": f"http://somebody:password@127.0.0.1:{server.port}"}
    error = failure(provider_for("http://tokens.invalid", proxies=proxies))
    assert error.status == 404  # it is no token server
    (request,) = server.requests
    assert request.headers["Host"] == "tokens.invalid"
    assert "Proxy-Authorization" in request.headers


# Clocks


@pytest.mark.parametrize("clock_ahead", [-86_400, -3_600, -30, 30, 65, 3_600, 86_400])
def test_a_wrong_local_clock_is_found_out_and_made_up_for(
    tokens: TokenServer, clock_ahead: float
) -> None:
    tokens.clock_ahead = clock_ahead
    provider = provider_for(tokens.url)
    token = provider.token()
    assert len(tokens.requests) == int(token[-1]) <= 2
    provider.discard(token)
    provider.token()
    assert len(tokens.requests) == int(token[-1]) + 1
    issued_at = tokens.requests[-1][2]["iat"]
    assert time.time() + clock_ahead - 10 < issued_at <= time.time() + clock_ahead - 4


def test_a_small_difference_of_the_clocks_is_no_reason_to_ask_twice(tokens: TokenServer) -> None:
    tokens.responses = [(400, {}, b'{"error": "invalid_client"}')]
    tokens.clock_ahead = 3
    failure(provider_for(tokens.url))
    assert len(tokens.requests) == 1


def test_a_rejection_that_the_right_time_does_not_cure_is_final(tokens: TokenServer) -> None:
    tokens.responses = [(401, {}, b"{}")] * 5
    tokens.clock_ahead = -3_600
    failure(provider_for(tokens.url))
    assert len(tokens.requests) == 2


@pytest.mark.parametrize("date", [b"", b"Date: garbage\r\n", b"Date: Fri, 99 Dec 1999\r\n"])
def test_a_date_that_cannot_be_read_is_ignored(date: bytes) -> None:
    body = b'{"access_token": "t"}'
    response = b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (date, len(body), body)
    with RawServer(lambda: [response]) as server:
        assert provider_for(server.host).token() == "t"


def test_a_date_without_a_zone_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    date = formatdate().encode()
    assert date.endswith(b"-0000")
    reject = b"HTTP/1.1 400 No\r\nDate: %s\r\nContent-Length: 0\r\n\r\n" % date
    with RawServer(lambda: [reject]) as server:
        failure(provider_for(server.host))
        assert len(server.requests) == 1
    monkeypatch.undo()
    time.tzset()


# Rejections


@pytest.mark.parametrize("status", [400, 401])
def test_rejected_credentials_are_a_final_error_that_names_the_options(
    tokens: TokenServer, status: int
) -> None:
    tokens.responses = [(status, {}, b'{"error": "invalid_client", "error_description": "x"}')]
    error = failure(provider_for(tokens.url))
    assert (
        str(error)
        == error.message
        == (
            f"the token server answered {status} (invalid_client); "
            "check oauth_client_id, oauth_client_key and oauth_key_id"
        )
    )
    assert error.code == "invalid_client"
    assert SEGMENT.decide(error, uses_oauth=True) is Decision.FAIL


@pytest.mark.parametrize(
    "status, retried", [(302, False), (403, False), (404, False), (429, True), (500, True)]
)
def test_other_rejections_are_retried_as_those_of_the_api(
    tokens: TokenServer, status: int, retried: bool
) -> None:
    tokens.responses = [(status, {"Location": "http://other.invalid/"}, b"{}")]
    provider = provider_for(tokens.url)
    error = failure(provider)
    assert isinstance(error, APIError)
    assert (error.status, error.code) == (status, "unknown")
    place = " to a POST to /token; check oauth_auth_server" if status == 404 else ""
    assert error.message == f"the token server answered {status}{place}"
    assert SEGMENT.decide(error, uses_oauth=True) is (Decision.RETRY if retried else Decision.FAIL)
    assert provider.token() == "token-2"


@pytest.mark.parametrize(
    "headers, retry_after",
    [
        ({"X-RateLimit-Reset": "42"}, 42),
        ({"Retry-After": "17"}, 17),
        ({"X-RateLimit-Reset": "42", "Retry-After": "17"}, 42),
        ({"X-RateLimit-Reset": "soon", "Retry-After": "17"}, 17),
        ({"X-RateLimit-Reset": "0"}, None),
        ({"X-RateLimit-Reset": "-1"}, None),
        ({"X-RateLimit-Reset": "9" * 400}, None),
        ({}, None),
    ],
)
def test_a_rate_limit_says_how_long_to_wait(
    tokens: TokenServer, headers: dict[str, str], retry_after: float | None
) -> None:
    tokens.responses = [(429, headers, b"")]
    error = failure(provider_for(tokens.url))
    assert (error.status, error.retry_after) == (429, retry_after)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"access_token": null}',
        b'{"access_token": ""}',
        b'{"access_token": 7}',
        b'{"access_token": ["t"]}',
        b'{"access_token": "t\\r\\nEvil: 1"}',
        '{"access_token": "tök"}'.encode(),
        b"[" * 60_000,
    ],
    ids=range(13),
)
def test_a_response_without_a_token_is_a_network_error(tokens: TokenServer, body: bytes) -> None:
    tokens.responses = [(200, {}, body)]
    provider = provider_for(tokens.url)
    error = failure(provider)
    assert isinstance(error, NetworkError)
    assert str(error) == "the token server: its answer has no usable access_token"
    assert provider.token() == "token-2"


def test_a_server_that_is_not_there_is_a_network_error() -> None:
    with TokenServer() as gone:
        url = gone.url
    error = failure(provider_for(url))
    assert isinstance(error, NetworkError)
    assert str(error) == f"{urlsplit(url).netloc}: ConnectionError: Connection refused"


# Time


def drip(start: bytes) -> Iterator[bytes | float]:
    yield start
    while True:
        yield b"1"
        yield 0.01


@pytest.mark.parametrize(
    "start, message",
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", "no usable access_token"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "no usable access_token"),
        (b"HTTP/1.1 200 OK\r\nA: ", "no usable access_token"),
        (b"HTTP/1.1 ", "ReadTimeout"),
        (b"HTTP/1.1 503 No\r\n\r\n", "the token server answered 503"),
    ],
)
@in_real_time
def test_a_token_server_that_drips_holds_nothing_up(
    start: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "MAX_BODY_SECONDS", SHORT)
    with RawServer(lambda: drip(start)) as server:
        began = time.monotonic()
        assert message in str(failure(provider_for(server.host, timeout=SHORT)))
        assert time.monotonic() - began < SHORT + MARGIN


def run_together(count: int, target: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=target) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_threads_that_need_a_token_at_once_share_one(tokens: TokenServer) -> None:
    provider = provider_for(tokens.url)
    got: list[str] = []
    tokens.gate.clear()
    threads = run_together(8, lambda: got.append(provider.token()))
    assert tokens.asked.wait(10)
    tokens.gate.set()
    for thread in threads:
        thread.join()
    assert got == ["token-1"] * 8
    assert len(tokens.requests) == 1


@in_real_time
def test_a_token_server_that_hangs_holds_no_thread_longer_than_the_timeout() -> None:
    with RawServer(lambda: [FOREVER]) as server:
        provider = provider_for(server.host, timeout=0.5)
        errors: list[DeliveryError] = []
        began = time.monotonic()
        for thread in run_together(8, lambda: errors.append(failure(provider))):
            thread.join()
        # One after the other they would take 4 s. A thread that came late may have asked again.
        assert time.monotonic() - began < 0.5 + MARGIN
    assert len(errors) == 8
    assert all(SEGMENT.decide(error, uses_oauth=True) is Decision.RETRY for error in errors)


def test_discarding_does_not_wait_for_a_request(tokens: TokenServer) -> None:
    provider = provider_for(tokens.url)
    old = provider.token()
    provider.discard(old)
    tokens.asked.clear()
    tokens.gate.clear()
    (thread,) = run_together(1, provider.token)
    assert tokens.asked.wait(10)
    provider.discard(old)
    assert thread.is_alive()
    tokens.gate.set()
    thread.join()
    assert provider.token() == "token-2"


@in_real_time
def test_a_token_is_not_waited_for_beyond_a_deadline(no_threads: None) -> None:
    with RawServer(lambda: [FOREVER]) as silent:
        options = {**options_for(silent.host), "timeout": 60}
        client = Client("test-key", "http://127.0.0.1:9", **options)
        client.track("user", "event")
        began = time.monotonic()
        client.shutdown(timeout=0.2)
        assert time.monotonic() - began < 2
        assert silent.wait_until(lambda: len(silent.requests) == 1)
    assert client.stats.failed == 1


@in_real_time
def test_a_deadline_is_for_the_token_and_the_request_together(
    tokens: TokenServer, no_threads: None
) -> None:
    with RawServer(lambda: [FOREVER]) as silent:
        client = Client("test-key", silent.host, **options_for(tokens.url))
        client.track("user", "event")
        tokens.gate.clear()
        timer = threading.Timer(0.8, tokens.gate.set)
        timer.start()
        began = time.monotonic()
        client.shutdown(timeout=1)
        assert time.monotonic() - began < 1.5
        timer.join()
    assert client.stats.failed == 1


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_while_another_thread_holds_the_lock_of_the_tokens(
    tokens: TokenServer, server: LocalSegment
) -> None:
    client = Client("test-key", server.host, upload_size=1, **options_for(tokens.url))
    tokens.gate.clear()
    client.track("user", "parent")
    assert tokens.asked.wait(10)
    child = os.fork()
    if not child:
        status = 1
        try:
            client.track("user", "child")
            status = 0 if client.shutdown(timeout=20) else 2
        finally:
            os._exit(status)
    tokens.gate.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.shutdown(timeout=20)
    assert sorted(message["event"] for message in server.messages) == ["child", "parent"]
    assert len(tokens.requests) == 2


def test_no_connection_to_the_token_server_is_kept() -> None:
    body = b'{"access_token": "t"}'
    response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with RawServer(lambda: [response], keep_alive=True) as server:
        provider_for(server.host).token()
        assert server.wait_until(lambda: server.open_connections == 0)


# With the transport


def test_requests_carry_the_token_and_the_write_key_stays_in_the_body(
    tokens: TokenServer, server: LocalSegment
) -> None:
    config = Config(write_key="test-key", host=server.host, **options_for(tokens.url))
    transport = SegmentTransport(config, TokenProvider(config))
    for _ in range(3):
        transport.send(Batch(BATCH))
    transport.close()
    for request in server.requests:
        assert request.headers.get_all("Authorization") == ["Bearer token-1"]
        assert request.write_key == "test-key"
    assert len(tokens.requests) == 1


@pytest.mark.parametrize(
    "status, discarded",
    [
        *[(status, True) for status in (400, 401, 403, 511)],
        *[(status, False) for status in (302, 404, 413, 429, 500)],
    ],
)
def test_a_token_that_the_api_rejects_is_not_used_again(
    tokens: TokenServer, server: LocalSegment, status: int, discarded: bool
) -> None:
    config = Config(write_key="test-key", host=server.host, **options_for(tokens.url))
    transport = SegmentTransport(config, TokenProvider(config))
    server.respond(status)
    with pytest.raises(APIError):
        transport.send(Batch(BATCH))
    transport.send(Batch(BATCH))
    transport.close()
    used = [request.headers["Authorization"] for request in server.requests]
    assert used == ["Bearer token-1", "Bearer token-2" if discarded else "Bearer token-1"]


def test_a_client_retries_511_with_a_new_token(
    tokens: TokenServer, server: LocalSegment, make_client: Callable[..., Client], errors: Errors
) -> None:
    server.respond(511)
    client = make_client(**options_for(tokens.url))
    client.track("u", "e")
    assert client.flush()
    assert len(server.messages) == 1
    assert errors.calls == []
    used = [request.headers["Authorization"] for request in server.requests]
    assert used == ["Bearer token-1", "Bearer token-2"]


def test_a_client_retries_when_the_token_server_is_out_of_order(
    tokens: TokenServer, server: LocalSegment, make_client: Callable[..., Client]
) -> None:
    tokens.responses = [(503, {}, b"")]
    client = make_client(**options_for(tokens.url))
    client.track("u", "e")
    assert client.flush()
    assert len(server.messages) == 1


def test_rejected_credentials_fail_a_batch_once_and_as_a_whole(
    tokens: TokenServer, server: LocalSegment, make_client: Callable[..., Client], errors: Errors
) -> None:
    """They say nothing of its messages, so it is not split to find the culprit."""
    tokens.responses = [(400, {}, b'{"error": "invalid_client"}')] * 1_000
    client = make_client(**options_for(tokens.url), upload_size=10, upload_interval=60)
    for _ in range(10):
        client.track("u", "e")
    assert client.flush()
    assert len(tokens.requests) == 1
    assert server.requests == []
    ((error, messages),) = errors.calls
    assert "oauth_client_key" in str(error)
    assert len(messages) == 10


# Secrets


def test_nothing_that_a_token_server_repeats_gets_into_errors_and_logs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server: RawServer
    status = 0

    def script() -> Iterator[bytes]:
        sent = server.requests[-1].decode()
        words = sent.partition("client_assertion=")[2][:60]
        body = json.dumps({"error": sent, "error_description": sent, "access_token": [sent]})
        yield f"HTTP/1.1 {status} {words}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

    with RawServer(script) as server:
        provider = provider_for(server.host)
        for status in (200, 302, 400, 401, 429, 500):  # noqa: B007  the script looks at it
            told = everything_told_by(failure(provider)) + repr(provider)
            assert "eyJ" not in told  # the beginning of any JWT
            assert "PRIVATE KEY" not in told
    assert "eyJ" not in caplog.text
    assert KEY.split("\n")[1] not in caplog.text
    assert caplog.records


def test_a_token_that_the_api_repeats_is_masked(
    tokens: TokenServer, server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.respond(401, body=b'{"code": "token-1", "message": "no: token-1"}')
    config = Config(write_key="test-key", host=server.host, **options_for(tokens.url))
    provider = TokenProvider(config)
    transport = SegmentTransport(config, provider)
    with pytest.raises(APIError) as raised:
        transport.send(Batch(BATCH))
    transport.close()
    assert (raised.value.code, raised.value.message) == ("***", "no: ***")
    assert str(raised.value) == f"127.0.0.1:{server.port} answered 401; check the oauth_ options"
    for told in (everything_told_by(raised.value), caplog.text, repr(config), repr(provider)):
        assert "token-1" not in told
        assert KEY.split("\n")[1] not in told


# Options


PUBLIC_KEY = (
    PRIVATE_KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


@pytest.mark.parametrize(
    "key",
    [
        "not a key",
        KEY[: len(KEY) // 2],
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(PRIVATE_KEY, serialization.BestAvailableEncryption(b"password")),
        PUBLIC_KEY,
    ],
    ids=["text", "half", "elliptic curve", "encrypted", "public"],
)
def test_a_key_of_another_kind_is_rejected_at_once_by_name(key: str) -> None:
    with pytest.raises(ConfigError) as raised:
        provider_for("http://127.0.0.1:9", oauth_client_key=key)
    assert str(raised.value) == "oauth_client_key: expected a PEM RSA private key"
    assert "KEY-" not in everything_told_by(raised.value)


def test_a_client_without_pyjwt_is_rejected_with_the_name_of_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ConfigError, match=re.escape('pip install "segment-librato[oauth]"')):
        Client("test-key", **options_for("http://127.0.0.1:9"))


def test_a_client_with_pyjwt_but_without_cryptography_is_rejected_the_same_way() -> None:
    program = """if True:
        import sys
        sys.modules["cryptography"] = None
        from segment_librato import Client
        try:
            Client("k", oauth_client_id="i", oauth_client_key="secret", oauth_key_id="k")
        except AssertionError as error:
            print(error)
        """
    done = subprocess.run(  # noqa: S603  the program above
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=240
    )
    assert done.stdout == 'oauth_client_id: needs PyJWT; pip install "segment-librato[oauth]"\n'


def test_fetching_a_token_imports_nothing(tokens: TokenServer, tmp_path: Path) -> None:
    """A fork during another thread's import would leave a half-imported module in the child."""
    (tmp_path / "key.pem").write_text(KEY)
    program = """if True:
        import sys
        from pathlib import Path
        from segment_librato.config.client import Config
        from segment_librato.transport.oauth import TokenProvider
        url, key = sys.argv[1], Path(sys.argv[2]).read_text()
        provider = TokenProvider(
            Config(write_key="k", oauth_client_id="the client", oauth_client_key=key,
                   oauth_key_id="the key id", oauth_auth_server=url)
        )
        before = set(sys.modules)
        assert provider.token() == "token-1"
        print(sorted(set(sys.modules) - before))
        """
    done = subprocess.run(  # noqa: S603  the program above
        [sys.executable, "-c", program, tokens.url, str(tmp_path / "key.pem")],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    assert done.stdout == "[]\n"
