"""What `doctor` looks at on the way to the API: host, proxy, DNS, TCP, TLS, the answer, the clock.

Owns these checks, and the words for what they find. Never says a password. Must not know how a
step is taken: `http.probe` takes it.
"""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from segment_librato.cli.failures import describe
from segment_librato.cli.finding import OK, PROBLEM, WARNING, Finding
from segment_librato.config.validators import is_loopback
from segment_librato.errors import ConfigError, SegmentError
from segment_librato.http import probe
from segment_librato.http.response import REDIRECT
from segment_librato.http.session import Session

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from urllib.parse import SplitResult

    from segment_librato.http.response import Response

__all__ = ["look_at_network"]

MAX_SKEW = 60.0  # seconds; OAuth tokens that are older are refused
FEW_DAYS = 14
DAY = 24 * 3600
PROXY_NEEDS_PASSWORD = 407
SERVER_FAILED = 500

AUTHENTICATE = "put them into its URL: http://user:password@proxy.example:3128"
TRUST = "if a proxy inspects TLS, set REQUESTS_CA_BUNDLE to a file with its authority"
ON_NO_ANSWER = (  # what a failure says, and what to do then
    (f"failed: {PROXY_NEEDS_PASSWORD}", f"it wants user and password; {AUTHENTICATE}"),
    ("the proxy: ", "check the proxy, and whether it lets requests to this host through"),
    ("SSLError: ", TRUST),
)

EXPIRED, TOO_EARLY = 10, 9  # of OpenSSL: X509_V_ERR_...
WRONG_NAMES = (62, 63, 64)


class _ProblemError(Exception):
    """A step of a request fails, so the next cannot be taken."""

    def __init__(self, name: str, text: str, advice: str) -> None:
        super().__init__(text)
        self.finding = Finding(name, PROBLEM, text, advice)


def look_at_network(url: str, timeout: float) -> Iterator[Finding]:
    """Yield what each step of a request finds, up to the first that fails."""
    try:
        for step in (_look_at_host, _look_at_proxy, _look_at_connection, _look_at_answer):
            yield from step(url, timeout)
    except _ProblemError as error:
        yield error.finding


def _look_at_host(url: str, _: float) -> Iterator[Finding]:
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        text = f"{url}: key and messages travel unencrypted"
        yield Finding("host", WARNING, text, "use https")
    else:
        yield Finding("host", OK, url)


def _look_at_proxy(url: str, _: float) -> Iterator[Finding]:
    try:
        found = probe.find_proxy(url)
    except ValueError as error:
        advice = "set it to something like http://proxy.example:3128, or unset it"
        raise _ProblemError("proxy", f"{error} is not a URL", advice) from None
    yield Finding("proxy", OK, f"{found[0].geturl()}, from {found[1]}" if found else "none")


def _look_at_connection(url: str, timeout: float) -> Iterator[Finding]:
    """Connect to the host, or to the proxy: that one connects to the host."""
    target, proxy = urlsplit(url), probe.find_proxy(url)
    goal = proxy[0] if proxy else target
    who, name, port = "the proxy" if proxy else "the host", goal.hostname, probe.port_of(goal)
    try:
        addresses = probe.resolve(goal, timeout)
    except OSError as error:
        text = f"{name} has no address: {_reason_of(error)}"
        advice = f"check the name of {who}, and the name server{_or_proxy(target, proxy)}"
        raise _ProblemError("dns", text, advice) from None
    text = "not needed" if addresses == [name] else f"{name} is {', '.join(addresses)}"
    yield Finding("dns", OK, text)
    began = time.monotonic()
    try:
        connection = probe.connect(addresses, port, timeout)
    except OSError as error:
        advice = f"check the address of {who}, and firewalls{_or_proxy(target, proxy)}"
        if is_loopback(name or ""):
            advice = f"start what should listen there, or correct the address of {who}"
        text = f"no connection to {name}, port {port}: {_reason_of(error)}"
        raise _ProblemError("tcp", text, advice) from None
    took = (time.monotonic() - began) * 1000
    text = f"{connection.getpeername()[0]}, port {port}, in {took:.0f} ms"
    yield Finding("tcp", OK, text)
    with connection:
        if target.scheme == "https":
            yield from _look_at_tls(None if proxy else connection, target)


def _or_proxy(target: SplitResult, proxy: object) -> str:
    return "" if proxy else f"; perhaps a proxy is needed ({target.scheme.upper()}_PROXY)"


def _look_at_tls(connection: socket.socket | None, target: SplitResult) -> Iterator[Finding]:
    """Look at the authorities, and at the certificate if it is not behind a proxy."""
    path, variable = probe.authorities()
    origin = variable or "certifi"
    try:
        context = probe.make_context(path)
    except OSError as error:
        reason = "it has no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        advice = f"correct or unset {variable}" if variable else "reinstall certifi"
        text = f"{path}, from {origin}: {reason}"
        raise _ProblemError("authorities", text, advice) from None
    yield Finding("authorities", OK, f"{path}, from {origin}")
    if connection:
        yield _look_at_certificate(connection, target.hostname or "", context)


def _look_at_certificate(connection: socket.socket, host: str, context: ssl.SSLContext) -> Finding:
    try:
        shown = probe.handshake(connection, host, context)
    except ssl.SSLCertVerificationError as error:
        text = f"the certificate is not trusted: {error.verify_message}"
        raise _ProblemError("tls", text, _advise_on_certificate(error.verify_code)) from None
    except OSError as error:
        text = f"no handshake: {_reason_of(error)}"
        advice = "check the port; a server without TLS needs http:// in --host"
        raise _ProblemError("tls", text, advice) from None
    days = (shown.expires_at - time.time()) / DAY
    text = f"{shown.protocol}, issued by {shown.issuer}, {days:.0f} days left"
    if days < FEW_DAYS:
        return Finding("tls", WARNING, text, "have the certificate renewed")
    return Finding("tls", OK, text)


def _advise_on_certificate(code: int) -> str:
    if code in {EXPIRED, TOO_EARLY}:
        return "check the clock of this machine; else the server needs a new certificate"
    if code in WRONG_NAMES:
        return "check --host: this server is another one"
    return TRUST


def _look_at_answer(url: str, timeout: float) -> Iterator[Finding]:
    """Ask the API for something, which needs no key, and compare the clocks."""
    began = time.monotonic()
    try:
        with Session(url, None, timeout) as session:
            response = session.send("GET", b"", {})
    except SegmentError as error:
        text = describe(error)
        raise _ProblemError("answer", text, _advise_on_no_answer(error, text)) from None
    yield _judge_answer(url, response, (time.monotonic() - began) * 1000)
    yield _compare_clocks(response.clock_skew())


def _advise_on_no_answer(error: SegmentError, text: str) -> str:
    if isinstance(error, ConfigError):  # which says it itself
        return ""
    advice = (advice for part, advice in ON_NO_ANSWER if part in text)
    return next(advice, "check the server: is it up, and does it answer others?")


def _judge_answer(url: str, response: Response, took: float) -> Finding:
    status = response.status
    if status == PROXY_NEEDS_PASSWORD:
        raise _ProblemError("answer", "the proxy wants user and password", AUTHENTICATE)
    if status in REDIRECT:
        text = f"a redirect to {response.redirect_target(url)}"
        return Finding("answer", WARNING, text, "set --host to where the API is")
    if status >= SERVER_FAILED:
        return Finding("answer", WARNING, f"status {status}", "try again later")
    return Finding("answer", OK, f"in {took:.0f} ms")


def _compare_clocks(skew: float | None) -> Finding:
    if skew is None:
        return Finding("clock", OK, "the server does not say what time it is")
    text = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server"
    if abs(skew) > MAX_SKEW:
        return Finding("clock", WARNING, text, "set it by NTP: timestamps are wrong, OAuth fails")
    return Finding("clock", OK, text if abs(skew) > 1 else "as the server's")


def _reason_of(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "reason", None) or error.strerror or str(error) or "it was closed"
