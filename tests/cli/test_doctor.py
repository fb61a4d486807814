"""doctor, run as a command against servers that have what it looks for."""

from __future__ import annotations

import os
import re
import socket
import ssl
import sys
import threading
from contextlib import suppress
from email.utils import formatdate
from importlib.metadata import metadata
from time import time
from typing import TYPE_CHECKING, Any

import pytest
from support.certificates import make_certificate
from support.command import KEY, clean_environment, complaint, on_terminal, records, run
from support.raw_server import FOREVER, Ending, RawServer

from segment_librato import __version__
from segment_librato.cli.checks import EXTRAS, WHERE_KEYS_ARE
from segment_librato.cli.checks import examine as examine_all
from segment_librato.devserver import LocalSegment  # noqa: TC001  a fixture
from segment_librato.http import probe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.raw_server import Step

pytestmark = pytest.mark.once

PASSWORD = "pr0xy-passw0rd"  # noqa: S105  not a real one


def response(status: int = 404, body: bytes = b"", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *headers, "\r\n")
    return "\r\n".join(lines).encode() + body


class Examine:
    """Examines in this process, in an environment of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(
        self, host: str, *, key: str = KEY, timeout: float = 10, send: bool = False, **more: str
    ) -> dict[str, dict[str, str]]:
        """Return what is found, by name; no finding has a key or a password."""
        with self._monkeypatch.context() as patch:
            for name in {*os.environ} - clean_environment().keys():
                patch.delenv(name)
            for name, value in more.items():
                patch.setenv(name, value)
            found = [*examine_all(key, host, timeout, send=send)]
        assert not any(secret in repr(found) for secret in (KEY, PASSWORD))
        assert len({finding.name for finding in found}) == len(found)
        return {finding.name: finding._asdict() for finding in found}


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch) -> Examine:
    return Examine(monkeypatch)


def is_state(found: dict[str, Any], name: str, state: str, text: str, advice: str = "") -> bool:
    """Return whether a finding is this one; fail with what it is."""
    finding = found[name]
    assert finding["state"] == state, finding
    assert text in finding["text"], finding
    assert advice in finding["advice"], finding
    return bool(finding["advice"]) is bool(advice)


@pytest.fixture
def trusted(tmp_path: Path) -> Callable[..., tuple[ssl.SSLContext, str]]:
    """Make a certificate; return what a server needs, and the file with its authority."""

    def make(**options: Any) -> tuple[ssl.SSLContext, str]:
        path = make_certificate(tmp_path / "certificate.pem", **options)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context, str(path)

    return make


def test_a_way_without_trouble(server: LocalSegment, examine: Examine) -> None:
    found = examine(server.host, send=True)
    assert [*found] == [
        *("python", "segment-librato", *(f"extra {extra}" for extra in EXTRAS), "write key"),
        *("host", "proxy", "dns", "tcp", "answer", "clock", "delivery"),
    ]
    assert {finding["state"] for finding in found.values()} == {"ok"}
    assert found["segment-librato"]["text"].startswith(f"{__version__}, with requests ")
    assert found["tcp"]["text"].startswith(f"127.0.0.1, port {server.port}, in ")
    (message,) = server.messages
    assert message["event"] == "Doctor Checked Connection"


def test_what_people_read(server: LocalSegment) -> None:
    lines = run("doctor", "--host", server.host).stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("warning"))
    assert lines[at : at + 3] == [
        "warning write key         not set",
        f"{' ' * 26}set SEGMENT_WRITE_KEY; {WHERE_KEYS_ARE}",
        f"ok      host              {server.host}/v1/batch",
    ]
    assert lines[-1] == "problems: 0, warnings: 1"
    result = run("doctor", "-q", "--host", "http://127.0.0.1:1", status=1)
    assert (result.stdout, result.stderr) == ("", "")


def test_the_same_as_json_with_a_key_that_cannot_be_right(server: LocalSegment) -> None:
    result = run(
        *("doctor", "--json", "--send", "--host", server.host),
        status=1,
        SEGMENT_WRITE_KEY=f'"{KEY}"',
    )
    found = {record["name"]: record for record in records(result)}
    assert found["write key"] == {
        "name": "write key",
        "state": "problem",
        "text": "has quotes around it",
        "advice": "remove them",
    }
    assert found["delivery"]["text"] == "not tried: there is no usable write key"
    assert result.stderr == ""


def test_a_terminal_gets_lines_that_fit(server: LocalSegment) -> None:
    status, shown = on_terminal("doctor", "--host", server.host, TERM="dumb")
    assert status == 0
    assert all(len(line) < 80 for line in shown.splitlines())
    assert WHERE_KEYS_ARE in " ".join(shown.split())
    assert "python-dateutil" in shown


def test_it_looks_at_each_extra() -> None:
    assert [*EXTRAS] == sorted(metadata("segment-librato").get_all("Provides-Extra") or [])


def test_an_extra_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, examine: Examine) -> None:
    monkeypatch.setitem(EXTRAS, "fast", ("click no-such-package nor-this", "is fast"))
    found = examine("ftp://api.test")
    text = "not installed: no-such-package, nor-this; is fast"
    assert is_state(found, "extra fast", "ok", text)
    assert re.fullmatch(r"click [\d.]+, rich [\d.]+", found["extra cli"]["text"])


@pytest.mark.parametrize(
    "key,state,text",
    [
        ("", "warning", "not set"),
        (f'"{KEY}"', "problem", "has quotes around it"),
        (f"'{KEY}'", "problem", "has quotes around it"),
        (f"{KEY}\n", "problem", "expected printable ASCII characters without surrounding spaces"),
        (f" {KEY}", "problem", "expected printable ASCII characters without surrounding spaces"),
        (f"{KEY[:-1]}é", "problem", "expected printable ASCII characters"),
        (KEY[:-1], "warning", "has 31 characters, where Segment's have 32 letters and digits"),
        (KEY, "ok", "32 letters and digits, as usual"),
    ],
    ids=repr,
)
def test_the_shape_of_the_key(
    key: str, state: str, text: str, server: LocalSegment, examine: Examine
) -> None:
    found = examine(server.host, key=key)
    advice = {"ok": "", "warning": "Segment has it under", "problem": "remove"}[state]
    assert is_state(found, "write key", state, text, advice)


@pytest.mark.parametrize("key", ["", f"{KEY}\n"], ids=["none", "wrong"])
def test_without_a_key_nothing_is_sent(key: str, server: LocalSegment, examine: Examine) -> None:
    found = examine(server.host, send=True, key=key)
    assert is_state(found, "delivery", "problem", "not tried: there is no usable write key")
    assert server.messages == []


def test_an_installation_that_cannot_send(
    monkeypatch: pytest.MonkeyPatch, examine: Examine
) -> None:
    monkeypatch.setitem(sys.modules, "segment_librato.cli.network_checks", None)
    found = examine("https://api.test", send=True)
    assert is_state(found, "http", "problem", "segment_librato.cli.network_checks", "repair the")
    assert is_state(found, "delivery", "problem", "not tried: the API cannot be reached")


def test_a_host_that_is_no_url(examine: Examine) -> None:
    found = examine("ftp://api.test")
    assert is_state(found, "host", "problem", "expected a URL", "set --host or SEGMENT_HOST")
    assert [*found][-1] == "host"


def test_a_name_without_an_address(examine: Examine) -> None:
    found = examine("https://nowhere.invalid", send=True)
    assert is_state(
        found, "dns", "problem", "nowhere.invalid has no address: ", "the name of the host"
    )
    assert found["dns"]["advice"].endswith("; perhaps a proxy is needed (HTTPS_PROXY)")
    assert is_state(found, "delivery", "problem", "not tried: the API cannot be reached")


def test_a_port_where_nobody_listens(examine: Examine) -> None:
    found = examine("http://127.0.0.1:1")
    text = "no connection to 127.0.0.1, port 1: Connection refused"
    assert is_state(found, "tcp", "problem", text, "start what should listen there")


def test_a_machine_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, examine: Examine) -> None:
    monkeypatch.setattr(probe, "resolve", lambda *_: ["192.0.2.1"])
    monkeypatch.setattr(probe, "connect", raise_timeout)
    found = examine("http://api.test")
    text = "no connection to api.test, port 80: no answer in time"
    assert is_state(found, "tcp", "problem", text, "perhaps a proxy is needed (HTTP_PROXY)")


def raise_timeout(*_: object) -> None:
    raise TimeoutError


def test_keys_that_travel_unencrypted(examine: Examine) -> None:
    with RawServer(lambda: [response()]) as proxy:
        found = examine("http://api.test", http_proxy=proxy.host)
    assert is_state(found, "host", "warning", "key and messages travel unencrypted", "use https")


@pytest.mark.parametrize(
    "step",
    [FOREVER, Ending.RESET, b"garbage\r\n\r\n"],
    ids=["silence", "reset", "garbage"],
)
def test_a_server_that_does_not_answer(step: Step, examine: Examine) -> None:
    with RawServer(lambda: [step]) as server:
        found = examine(server.host, timeout=0.5)
    assert is_state(
        found, "answer", "problem", f"127.0.0.1:{server.port}: ", "is it up, and does it answer"
    )


@pytest.mark.parametrize(
    "data,text,advice",
    [
        (response(503), "status 503", "try again later"),
        (
            response(301, b"", "Location: https://elsewhere.test/x"),
            "a redirect to https://elsewhere.test",
            "set --host",
        ),
    ],
    ids=["503", "301"],
)
def test_an_odd_answer_is_a_warning(data: bytes, text: str, advice: str, examine: Examine) -> None:
    with RawServer(lambda: [data]) as server:
        found = examine(server.host)
    assert is_state(found, "answer", "warning", text, advice)


@pytest.mark.parametrize(
    "ahead,state,text",
    [
        (0, "ok", "server"),
        (-30, "ok", "30 s ahead of the server"),
        (3600, "warning", "3600 s behind the server"),
        (-3600, "warning", "3600 s ahead of the server"),
    ],
)
def test_the_clock_is_compared_with_that_of_the_server(
    ahead: float, state: str, text: str, examine: Examine
) -> None:
    def script() -> list[Step]:
        return [response(404, b"", f"Date: {formatdate(int(time()) + ahead, usegmt=True)}")]

    with RawServer(script) as server:
        finding = examine(server.host)["clock"]
    assert finding["state"] == state
    seconds = [word for word in finding["text"].split() if word.isdecimal()]
    expected = [word for word in text.split() if word.isdecimal()]
    assert len(seconds) == len(expected) or not ahead
    for found, about in zip(seconds, expected, strict=False):
        assert abs(int(found) - int(about)) < 10
    assert finding["text"].endswith(text.partition("s ")[2])


class TestTls:
    def test_a_certificate_that_is_trusted(self, trusted: Any, examine: Examine) -> None:
        tls, file = trusted(days=90)
        with RawServer(lambda: [response()], tls=tls) as server:
            found = examine(server.host, REQUESTS_CA_BUNDLE=file)
        assert is_state(found, "authorities", "ok", f"{file}, from REQUESTS_CA_BUNDLE")
        assert is_state(found, "tls", "ok", "TLSv1.3, issued by 127.0.0.1, 90 days left")
        assert is_state(found, "answer", "ok", "in ")

    def test_a_folder_of_authorities(self, trusted: Any, tmp_path: Path, examine: Examine) -> None:
        tls, _ = trusted(days=90)
        with RawServer(lambda: [response()], tls=tls) as server:
            found = examine(server.host, CURL_CA_BUNDLE=str(tmp_path))
        assert is_state(found, "authorities", "ok", f"{tmp_path}, from CURL_CA_BUNDLE")
        assert is_state(found, "tls", "problem", "the certificate is not trusted", "set REQUESTS")

    def test_the_authorities_of_certifi(self, trusted: Any, examine: Examine) -> None:
        tls, _ = trusted(days=90)
        with RawServer(lambda: [response()], tls=tls) as server:
            found = examine(server.host, CURL_CA_BUNDLE="")
        assert found["authorities"]["text"].endswith(", from certifi")
        advice = "if a proxy inspects TLS, set REQUESTS_CA_BUNDLE"
        assert is_state(found, "tls", "problem", "the certificate is not trusted: self", advice)

    @pytest.mark.parametrize(
        "options,state,text,advice",
        [
            ({"days": 3}, "warning", " days left", "have the certificate renewed"),
            ({"days": -3}, "problem", "certificate has expired", "check the clock of this machine"),
            ({"address": "127.0.0.9"}, "problem", "address mismatch", "check --host"),
        ],
        ids=["soon", "expired", "another"],
    )
    def test_a_certificate_that_is_not_right(
        self,
        options: dict[str, Any],
        state: str,
        text: str,
        advice: str,
        trusted: Any,
        examine: Examine,
    ) -> None:
        tls, file = trusted(**{"days": 90, **options})
        with RawServer(lambda: [response()], tls=tls) as server:
            found = examine(server.host, REQUESTS_CA_BUNDLE=file)
        assert is_state(found, "tls", state, text, advice)

    def test_a_server_without_tls(self, server: LocalSegment, examine: Examine) -> None:
        found = examine(f"https://127.0.0.1:{server.port}")
        assert is_state(
            found, "tls", "problem", "no handshake: ", "a server without TLS needs http://"
        )

    def test_a_server_that_does_not_shake_hands(self, examine: Examine) -> None:
        with RawServer(lambda: [FOREVER]) as server:
            host = f"https://127.0.0.1:{server.port}"
            found = examine(host, timeout=0.5)
        assert is_state(
            found, "tls", "problem", "no handshake: no answer in time", "check the port"
        )

    @pytest.mark.parametrize(
        "file,reason",
        [("/nowhere", "No such file or directory"), (__file__, "it has no certificate")],
        ids=["missing", "something else"],
    )
    def test_authorities_that_cannot_be_used(
        self, file: str, reason: str, server: LocalSegment, examine: Examine
    ) -> None:
        host = f"https://127.0.0.1:{server.port}"
        found = examine(host, REQUESTS_CA_BUNDLE=file)
        text = f"{file}, from REQUESTS_CA_BUNDLE: {reason}"
        assert is_state(found, "authorities", "problem", text, "correct or unset REQUESTS_CA")
        assert "tls" not in found


class TestProxy:
    """None of them shows its password."""

    def test_it_is_named_with_its_variable(self, examine: Examine) -> None:
        with RawServer(lambda: [response()]) as server:
            proxy = f"http://me:{PASSWORD}@127.0.0.1:{server.port}"
            found = examine("http://api.test", ALL_PROXY=proxy)
            assert server.requests[0].startswith(b"GET http://api.test/v1/batch ")
        assert is_state(found, "proxy", "ok", f"http://127.0.0.1:{server.port}, from ALL_PROXY")
        assert is_state(found, "dns", "ok", "not needed")

    def test_one_that_cannot_be_reached(self, examine: Examine) -> None:
        proxy = f"http://me:{PASSWORD}@127.0.0.1:1"
        found = examine("http://api.test", HTTP_PROXY=proxy)
        assert is_state(found, "tcp", "problem", "Connection refused", "the address of the proxy")

    @pytest.mark.parametrize(
        "proxy",
        [
            f"http://me:{PASSWORD}@127.0.0.1:abc",
            f"http://me:1/{PASSWORD}@127.0.0.1:80",
            "http://127.0.0.1:99999",
            "http://:80",
            "http://",
        ],
    )
    def test_one_that_is_no_url(self, proxy: str, examine: Examine) -> None:
        found = examine("http://api.test", http_proxy=proxy)
        assert is_state(found, "proxy", "problem", "http_proxy is not a URL", "unset it")

    def test_one_without_a_scheme(self, examine: Examine) -> None:
        with RawServer(lambda: [response()]) as server:
            proxy = f"127.0.0.1:{server.port}"
            found = examine("http://api.test", http_proxy=proxy)
        assert is_state(found, "proxy", "ok", f"http://{proxy}, from http_proxy")

    def test_one_that_wants_a_password(self, examine: Examine) -> None:
        with RawServer(lambda: [response(407)]) as server:
            found = examine("http://api.test", http_proxy=server.host)
        assert is_state(found, "answer", "problem", "wants user and password", "into its URL")

    def test_one_that_wants_a_password_for_a_tunnel(self, examine: Examine) -> None:
        with RawServer(lambda: [response(407)]) as server:
            found = examine("https://api.test", HTTPS_PROXY=server.host)
        text = f"api.test via 127.0.0.1:{server.port}: the proxy: Tunnel connection failed: 407"
        advice = "it wants user and password; put them into its URL"
        assert is_state(found, "answer", "problem", text, advice)

    def test_one_that_inspects_tls(self, trusted: Any, examine: Examine) -> None:
        tls, _ = trusted(days=90)
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def intercept() -> None:
                for _ in range(2):  # the first connection looks whether it listens
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        if connection.recv(65_536):
                            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                            tls.wrap_socket(connection, server_side=True)

            thread = threading.Thread(target=intercept)
            thread.start()
            proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
            found = examine("https://api.test", HTTPS_PROXY=proxy)
            thread.join()
        assert is_state(found, "answer", "problem", "SSLError: ", "if a proxy inspects TLS, set")

    def test_one_that_lets_nothing_through(self, examine: Examine) -> None:
        """The certificate is behind it, and comes with the answer."""
        with RawServer(lambda: [response(403)]) as server:
            found = examine("https://api.test", HTTPS_PROXY=server.host)
            assert server.requests[0].startswith(b"CONNECT api.test:443 ")
        text = f"api.test via 127.0.0.1:{server.port}: the proxy: Tunnel connection failed: 403"
        assert is_state(found, "answer", "problem", text, "whether it lets requests to this host")
        assert "tls" not in found

    def test_one_that_needs_another_package(self, server: LocalSegment, examine: Examine) -> None:
        proxy = f"socks5://127.0.0.1:{server.port}"
        found = examine("http://api.test", http_proxy=proxy)
        assert is_state(found, "answer", "problem", "a SOCKS proxy needs PySocks")

    def test_a_host_for_which_there_is_none(self, server: LocalSegment, examine: Examine) -> None:
        found = examine(server.host, http_proxy="http://127.0.0.1:1", NO_PROXY="127.0.0.1")
        assert is_state(found, "proxy", "ok", "none")


class TestDelivery:
    def send(self, data: bytes, examine: Examine) -> dict[str, Any]:
        answers = iter([response(), *[data] * 9])
        with RawServer(lambda: [next(answers)]) as server:
            self.place = f"127.0.0.1:{server.port}"
            return examine(server.host, send=True)

    def test_an_event_that_is_rejected(self, examine: Examine) -> None:
        found = self.send(response(401), examine)
        text, advice = f"{self.place} answered 401: Said", "check the write key"
        assert is_state(found, "delivery", "problem", text, advice)

    def test_an_event_that_a_web_page_swallows(self, examine: Examine) -> None:
        found = self.send(response(200, b"<p>", "Content-Type: text/html"), examine)
        assert is_state(found, "delivery", "warning", "answered with a web page")


def test_a_reader_that_leaves_does_not_change_the_status() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as nowhere:  # noqa: PTH123  a descriptor
        result = run("doctor", "--host", "http://127.0.0.1:1", stdout=nowhere, status=1)
    assert result.stderr == ""


def test_the_timeout_is_more_than_0() -> None:
    text = "expected a number of seconds, above 0 and at most a year"
    assert complaint(run("doctor", "--timeout", "0", status=2)).endswith(text)
