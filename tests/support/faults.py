"""All the ways in which a server, or the network, fails; and what has to come of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING, Literal

from support.raw_server import FOREVER, Ending

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.raw_server import Step

__all__ = ["FAULTS", "RETRY_AFTER_SECONDS", "SUCCESS", "Fault"]

Verdict = Literal["delivered", "retried", "rejected", "split"]

SUCCESS = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"success":true}'
HEADERS_OF_SUCCESS = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
HEADERS_OF_FAILURE = b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\n"
RETRY_AFTER_SECONDS = 30
DRIP = 0.02  # seconds between bytes

RETRIED = (408, 410, 429, 460, 500, 502, 503, 504)
SPLIT = (400, 413)
REJECTED = (301, 302, 303, 307, 308, 401, 402, 403, 404, 501, 505, 511)


@dataclass(frozen=True)
class Fault:
    """One way to fail.

    Attributes:
        name: of the test that it makes.
        steps: what the server does; where it names a date, that is filled in.
        verdict: what is to become of the request.
        status: of the error, if there was a response.
        retry_after: whether the error has one.
        is_silent: whether the client notices only when its timeout is over.
        closes_idle: whether the server closes the connection after a response.
    """

    name: str
    steps: tuple[Step, ...]
    verdict: Verdict
    status: int | None = None
    retry_after: bool = False
    is_silent: bool = False
    closes_idle: bool = False

    def script(self) -> Iterable[Step]:
        date = datetime.now(timezone.utc) + timedelta(seconds=RETRY_AFTER_SECONDS)
        text = format_datetime(date, usegmt=True).encode()
        for step in self.steps:
            yield step.replace(b"{date}", text) if isinstance(step, bytes) else step


def _drip(data: bytes) -> tuple[Step, ...]:
    return tuple(step for byte in data for step in (bytes([byte]), DRIP))


def _status(
    status: int, verdict: Verdict, suffix: str = "", headers: bytes = b"", body: bytes = b"{}"
) -> Fault:
    if status in range(300, 400):
        headers += b"Location: http://127.0.0.1:9/elsewhere\r\n"
    head = b"HTTP/1.1 %d Text\r\nContent-Length: %d\r\n%s\r\n" % (status, len(body), headers)
    return Fault(f"{status}{suffix}", (head + body,), verdict, status, bool(suffix))


_CONNECTION = [
    Fault("a reset before the headers", (Ending.RESET,), "retried"),
    Fault("a reset within the headers", (b"HTTP/1.1 200 OK\r\nCont", Ending.RESET), "delivered"),
    Fault("a reset within bad headers", (b"HTTP/1.1 503 B\r\nRet", Ending.RESET), "retried", 503),
    Fault("a reset within the status", (b"HTTP/1.1 20", Ending.RESET), "retried"),
    Fault("a reset after the headers", (HEADERS_OF_SUCCESS, Ending.RESET), "delivered"),
    Fault("a reset after bad headers", (HEADERS_OF_FAILURE, Ending.RESET), "retried", 503),
    Fault("a close without a response", (Ending.CLOSE,), "retried"),
    Fault("a close within the status", (b"HTTP/1.", Ending.CLOSE), "retried"),
    Fault("a truncated body", (HEADERS_OF_SUCCESS + b"{", Ending.CLOSE), "delivered"),
    Fault("a truncated bad body", (HEADERS_OF_FAILURE + b"{", Ending.CLOSE), "retried", 503),
    Fault("a close while idle", (SUCCESS, Ending.CLOSE), "delivered", closes_idle=True),
    Fault("a reset while idle", (SUCCESS, Ending.RESET), "delivered", closes_idle=True),
    # no status, however late the client reads: one would decide
    Fault("a slow drip", _drip(b"HTTP/1.1 " + b" " * 200), "retried", is_silent=True),
    Fault("a slow body", (HEADERS_OF_SUCCESS, *_drip(b"x" * 200)), "delivered"),
    Fault("silence", (FOREVER,), "retried", is_silent=True),
    Fault("silence in the body", (HEADERS_OF_SUCCESS, FOREVER), "delivered"),
    Fault("garbage", (b"\x00\xff{}\r\n\r\n", Ending.CLOSE), "retried"),
]
_GARBAGE_BODIES = [
    _status(200, "delivered", body=b"\xff\x00{"),
    _status(404, "rejected", body=b"[" * 500),  # deep, but the stack does not run out
    _status(503, "retried", body=b'{"code": [1], "message": {"a": NaN}}'),
    _status(400, "split", body=b"x" * 200_000),
]
_RETRY_AFTER = {
    f" with {name}": b"Retry-After: %s\r\n" % value
    for name, value in [("seconds", b"%d" % RETRY_AFTER_SECONDS), ("a date", b"{date}")]
}


def _all_faults() -> list[Fault]:
    statuses: list[tuple[int, Verdict]] = [
        *((status, "retried") for status in RETRIED),
        *((status, "split") for status in SPLIT),
        *((status, "rejected") for status in REJECTED),
    ]
    faults = list(_CONNECTION)
    faults += [
        Fault(f"{fault.name} with a strange body", fault.steps, fault.verdict, fault.status)
        for fault in _GARBAGE_BODIES
    ]
    for status, verdict in statuses:
        faults.append(_status(status, verdict))
        faults += [_status(status, verdict, name, text) for name, text in _RETRY_AFTER.items()]
    return faults


FAULTS = {fault.name: fault for fault in _all_faults()}
