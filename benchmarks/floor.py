"""The floor: the minimum that a hand-written client can do, as a limit to compare with.

Each message is encoded once, in the call; bytes are queued, joined, and posted by one thread
over one connection. No validation, no limits, no retries, no lock of its own, and a message
waits for a full batch or a flush. What it leaves out is what a library is for.
"""

from __future__ import annotations

import gzip
import http.client
import json
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Floor", "import_lines", "json_dump", "orjson_dump"]

GZIP_LEVEL = 6
MAX_BATCH_BYTES = 499_000  # of 500,000, with the envelope
Dump = Callable[[object], bytes]

LIBRARY = {"name": "floor", "version": "0"}
HEADERS = {"Content-Type": "application/json", "Authorization": "Basic Zmxvb3I6"}


def json_dump() -> Dump:
    """Return the encoder of the standard library."""
    encode = json.JSONEncoder(
        ensure_ascii=False, check_circular=False, separators=(",", ":")
    ).encode
    return lambda value: encode(value).encode()


def orjson_dump() -> Dump:
    """Return the encoder of orjson."""
    from orjson import dumps

    # The bytes that orjson returns keep the larger buffer they were written to: queue a copy.
    return lambda value: bytes(memoryview(dumps(value)))


class Floor:
    """A client that does only what is necessary."""

    def __init__(self, url: str, dump: Dump, *, upload_size: int, compress: bool) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port)
        self._dump = dump
        self._upload_size = upload_size
        self._compress = compress
        self._waiting: deque[bytes] = deque()
        self._wake = threading.Event()
        self._sleeps = False
        self._flushed: threading.Event | None = None
        self._closed = False
        self._random_bits = random.Random().getrandbits
        self._second = (0, "")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def track(
        self,
        user_id: str,
        event: str,
        properties: dict[str, Any],
        context: dict[str, Any] | None = None,
    ) -> None:
        """Encode a message and queue it."""
        bits = f"{self._random_bits(128):032x}"
        message = {
            "type": "track",
            "userId": user_id,
            "anonymousId": None,
            "event": event,
            "properties": properties,
            "context": {**context, "library": LIBRARY} if context else {"library": LIBRARY},
            "integrations": {},
            "timestamp": self._timestamp(),
            "messageId": f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}",
        }
        self._waiting.append(self._dump(message))
        if self._sleeps and len(self._waiting) >= self._upload_size:
            self._wake.set()

    def flush(self) -> None:
        """Wait until everything that waits is sent."""
        flushed = self._flushed = threading.Event()
        self._wake.set()
        flushed.wait()

    def shutdown(self) -> None:
        """Send what waits and end the thread."""
        self._closed = True
        self._wake.set()
        self._thread.join()

    def _timestamp(self) -> str:
        """Return the time, formatted anew once a second."""
        now = time.time()
        second = int(now)
        if second != self._second[0]:
            self._second = (second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
        return f"{self._second[1]}.{int((now - second) * 1_000):03d}Z"

    def _run(self) -> None:
        while True:
            self._sleep()
            while len(self._waiting) >= self._upload_size:
                self._post(self._upload_size)
            if self._flushed or self._closed:
                flushed, self._flushed = self._flushed, None
                while self._waiting:
                    self._post(min(self._upload_size, len(self._waiting)))
                if flushed:
                    flushed.set()
            if self._closed:
                self._connection.close()
                return

    def _sleep(self) -> None:
        """Sleep until there is a full batch, or somebody flushes or shuts down."""
        self._sleeps = True
        if len(self._waiting) < self._upload_size:
            self._wake.wait()
        self._sleeps = False
        self._wake.clear()

    def _post(self, count: int) -> None:
        messages = b",".join([self._waiting.popleft() for _ in range(count)])
        body = b'{"batch":[%b],"writeKey":"floor"}' % messages
        headers = HEADERS
        if self._compress:
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            headers = {**HEADERS, "Content-Encoding": "gzip"}
        self._connection.request("POST", "/v1/batch", body, headers)
        self._connection.getresponse().read()


def import_lines(
    url: str, lines: Iterable[bytes], loads: Callable[[bytes], Any], dump: Dump
) -> None:
    """Read events from lines of JSON, give each an id, and post them in batches as large as may be.

    One thread encodes, and one posts what that has filled.
    """
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    full: queue.Queue[list[bytes] | None] = queue.Queue(1)

    def post() -> None:
        while batch := full.get():
            body = b'{"batch":[%b],"writeKey":"floor"}' % b",".join(batch)
            connection.request("POST", "/v1/batch", body, HEADERS)
            connection.getresponse().read()

    thread = threading.Thread(target=post)
    thread.start()
    batch: list[bytes] = []
    size = 0
    for number, line in enumerate(lines):
        event = loads(line)
        event["messageId"] = str(number)
        message = dump(event)
        if size + len(message) > MAX_BATCH_BYTES:
            full.put(batch)
            batch, size = [], 0
        batch.append(message)
        size += len(message) + 1
    if batch:
        full.put(batch)
    full.put(None)
    thread.join()
    connection.close()
