"""What happens to a few messages while a server fails, and what had to happen."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from support.faults import FAULTS, SUCCESS, Fault
from support.hasty_clock import hasty_client
from support.raw_server import RawServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from segment_librato import Client
    from segment_librato.errors import SegmentError
    from segment_librato.queue.batch import Batch
    from segment_librato.transport.base import Receipt
    from support.hasty_clock import HastyClock
    from support.raw_server import Step

__all__ = ["CELLS", "MODES", "FaultServer", "Record", "Request", "expected_requests", "prepare"]

MESSAGES = range(3)
MAX_RETRIES = 3
MAX_RATE_LIMIT_DURATION = 100  # for three waits of 30 s, as many as retries
VIRTUAL_TIMEOUT = 600.0  # seconds that all waits together do not take
TIMEOUT = 10.0
SHORT_TIMEOUT = 0.1  # real seconds, of which sockets know: for a server that stays silent

MODES: dict[str, dict[str, Any]] = {
    "threaded": {},
    "sync_mode": {"sync_mode": True, "sync_timeout": VIRTUAL_TIMEOUT},
    "gzip": {"gzip": True},
}


@dataclass(frozen=True)
class Cell:
    """A fault that happens to the first request only, or to all."""

    fault: Fault
    always: bool

    @property
    def name(self) -> str:
        return f"{self.fault.name}, {'always' if self.always else 'once'}"

    @property
    def timeout(self) -> float:
        return SHORT_TIMEOUT if self.fault.is_silent and self.always else TIMEOUT


CELLS = {
    cell.name: cell
    for fault in FAULTS.values()
    for cell in (Cell(fault, always=False), Cell(fault, always=True))
}


@dataclass(frozen=True)
class Request:
    """What the server saw of a request."""

    numbers: list[int]
    message_ids: list[str]
    retry: int
    is_compressed: bool

    @classmethod
    def of(cls, data: bytes) -> Request:
        head, _, body = data.partition(b"\r\n\r\n")
        headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        is_compressed = headers.get(b"Content-Encoding") == b"gzip"
        if is_compressed:
            body = gzip.decompress(body)
        messages = json.loads(body)["batch"]
        return cls(
            numbers=[message["properties"]["n"] for message in messages],
            message_ids=[message["messageId"] for message in messages],
            retry=int(headers.get(b"X-Retry-Count", b"0")),
            is_compressed=is_compressed,
        )


class FaultServer(RawServer):
    """Fails as a cell says.

    Attributes:
        is_over: whether it does not any more.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self.is_over = False
        super().__init__(lambda: [SUCCESS], keep_alive=True)

    def choose_script(self, *, is_first: bool) -> Iterable[Step]:
        """Fail as the cell says, or succeed."""
        if not self.is_over and (self._cell.always or is_first):
            return self._cell.fault.script()
        return super().choose_script(is_first=is_first)

    def settle(self) -> None:
        """Wait until a connection that is to be closed while idle is."""
        if self._cell.fault.closes_idle and (self._cell.always or len(self.requests) == 1):
            assert self.wait_until(lambda: not self.open_connections)

    def see(self, count: int) -> list[Request]:
        """Wait for this many requests and return what was seen; a silent server may lag."""
        self.wait_until(lambda: len(self.requests) >= count)
        return [Request.of(request) for request in self.requests]


@dataclass
class Record:
    """What an application was told."""

    accepted: list[bool] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0

    def on_error(self, error: SegmentError, messages: list[dict[str, Any]]) -> None:
        self.failures.append(
            {
                "type": type(error).__name__,
                "status": error.status,
                "code": error.code,
                "message": error.message,
                "retry_after": error.retry_after,
                "numbers": [message["properties"]["n"] for message in messages],
            }
        )

    def track(
        self, client: Client, numbers: Iterable[int], settle: Callable[[], object] = bool
    ) -> None:
        for number in numbers:
            settle()
            accepted, message = client.track("user", "event", {"n": number})
            self.accepted.append(accepted)
            self.message_ids.append(message["messageId"])

    def close(self, client: Client) -> None:
        self.stats = client.stats._asdict()


def prepare(cell: Cell, host: str, mode: str, **options: Any) -> tuple[Client, HastyClock, Record]:
    """Make a client for a cell, and the record of it."""
    record = Record()
    options = {
        "host": host,
        "on_error": record.on_error,
        "upload_interval": VIRTUAL_TIMEOUT,
        "timeout": cell.timeout,
        "max_retries": MAX_RETRIES,
        "max_rate_limit_duration": MAX_RATE_LIMIT_DURATION,
        "exit_timeout": VIRTUAL_TIMEOUT,
        "shutdown_timeout": VIRTUAL_TIMEOUT,
        **MODES[mode],
        **options,
    }
    client, clock = hasty_client("test-key", **options)
    if cell.fault.is_silent and not cell.always:
        _give_up_the_first_request_soon(client)
    return client, clock, record


def _give_up_the_first_request_soon(client: Client) -> None:
    """Keep the timeout of the client for later requests: they get a response, however late."""
    transport: Any = client._router._pipelines[0]._transport  # noqa: SLF001  sync mode has it, too
    send = transport.send

    def send_the_first(batch: Batch, timeout: float | None) -> Receipt:
        transport.send = send
        receipt: Receipt = send(batch, SHORT_TIMEOUT)
        return receipt

    transport.send = send_the_first


def expected_requests(
    cell: Cell, batches: list[list[int]]
) -> Iterator[tuple[list[int], int, bool | None]]:
    """Yield each request: its messages, its retry, and whether it is their end, good or bad."""
    work = list(batches)
    is_faulty = True
    while work:
        batch = work.pop(0)
        for retry in range(MAX_RETRIES + 1):
            verdict = cell.fault.verdict if is_faulty else "delivered"
            is_faulty = cell.always
            is_last = retry == MAX_RETRIES
            if verdict == "delivered":
                yield batch, retry, True
            elif verdict == "split" and len(batch) > 1:
                middle = len(batch) // 2
                work = [batch[:middle], batch[middle:], *work]
                yield batch, retry, None
            elif verdict == "retried" and not is_last:
                yield batch, retry, None
                continue
            else:
                yield batch, retry, False
            break
