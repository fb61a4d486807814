"""The sink's process: accepts batches, answers 200, and tells afterwards what arrived.

Owns what arrived since the last tally. While clients are measured it only frames requests and
keeps the bodies; they are decoded when somebody asks, so that it is never the bottleneck. Must
not know who is measured, or what for.

    python -m benchmarks.sink_server     prints its two ports and serves until stdin is closed

One port takes HTTP posts. The other takes one word a connection and answers with JSON:
`reset` forgets, `hold` answers no request until `release`, `tally` waits until no client is
connected, then says what arrived and forgets it.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import re
import sys
from contextlib import suppress
from typing import Any

import orjson

__all__ = ["main"]

HOST = "127.0.0.1"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n"
    b'{"success":true}'
)
CONTENT_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
GZIP_MAGIC = b"\x1f\x8b"
MAX_KEPT_BYTES = 640 * 1024 * 1024
CLOSING_SECONDS = 5


class Sink:
    """What arrived, and which connections wait for an answer."""

    def __init__(self) -> None:
        self._connections: set[Connection] = set()
        self._deserted = asyncio.Event()
        self._deserted.set()
        self.reset()

    def connect(self, connection: Connection) -> None:
        """Count a client as connected."""
        self._connections.add(connection)
        self._deserted.clear()

    def disconnect(self, connection: Connection) -> None:
        """Count it as gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._deserted.set()

    def reset(self) -> None:
        """Forget all that arrived, and hold nothing."""
        self.holds = False
        self._held: list[Connection] = []
        self._bodies: list[bytes] = []
        self._kept_bytes = 0
        self._totals = {"requests": 0, "bytes": 0, "events": 0}
        self._orders: set[int] = set()
        self._ids: set[str] = set()

    def take(self, body: bytes, connection: Connection) -> None:
        """Keep the body of a request, and answer it unless requests are held."""
        self._bodies.append(body)
        self._totals["requests"] += 1
        self._totals["bytes"] += len(body)
        self._kept_bytes += len(body)
        if self._kept_bytes > MAX_KEPT_BYTES:
            self._decode()
        if self.holds:
            self._held.append(connection)
        else:
            connection.answer()

    def hold(self) -> None:
        """Answer nothing from now on."""
        self.holds = True

    def release(self) -> None:
        """Answer what was held."""
        self.holds = False
        held, self._held = self._held, []
        for connection in held:
            connection.answer()

    async def tally(self) -> dict[str, int]:
        """Wait until the clients are gone, say what arrived, and forget it."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._deserted.wait(), CLOSING_SECONDS)
        self._decode()
        totals = {
            **self._totals,
            "distinct_orders": len(self._orders),
            "distinct_ids": len(self._ids),
        }
        self.reset()
        return totals

    def _decode(self) -> None:
        """Read the bodies that were kept, and drop them."""
        for body in self._bodies:
            plain = gzip.decompress(body) if body.startswith(GZIP_MAGIC) else body
            for event in orjson.loads(plain)["batch"]:
                self._totals["events"] += 1
                self._orders.add(event["properties"]["order"])
                self._ids.add(event.get("messageId") or event["uuid"])
        self._bodies = []
        self._kept_bytes = 0


class Connection(asyncio.Protocol):
    """A client's connection: one request after another, each with a Content-Length."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._received = bytearray()

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401  asyncio gives a base class
        """Count the connection."""
        self._transport = transport
        self._sink.connect(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """Stop counting the connection."""
        self._sink.disconnect(self)

    def data_received(self, data: bytes) -> None:
        """Hand over each request that is complete."""
        self._received += data
        while (body := self._next_body()) is not None:
            self._sink.take(body, self)

    def _next_body(self) -> bytes | None:
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        length = CONTENT_LENGTH.search(self._received, 0, head_end)
        if not length:
            self._transport.abort()
            raise ValueError("a request without a Content-Length")
        start = head_end + 4
        end = start + int(length[1])
        if len(self._received) < end:
            return None
        body = bytes(self._received[start:end])
        del self._received[:end]
        return body

    def answer(self) -> None:
        """Answer one request."""
        if not self._transport.is_closing():
            self._transport.write(ANSWER)


async def serve() -> None:
    """Serve until stdin is closed, as it is when the parent ends."""
    sink = Sink()

    async def control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        command = (await reader.readline()).decode().strip()
        answer = await sink.tally() if command == "tally" else getattr(sink, command)()
        writer.write(json.dumps(answer).encode())
        writer.close()

    loop = asyncio.get_running_loop()
    data_server = await loop.create_server(lambda: Connection(sink), HOST, 0)
    control_server = await asyncio.start_server(control, HOST, 0)
    ports = [server.sockets[0].getsockname()[1] for server in (data_server, control_server)]
    print(*ports, flush=True)
    closed = asyncio.Event()
    loop.add_reader(sys.stdin, closed.set)
    await closed.wait()


def main() -> None:
    """Run the sink's process."""
    gc.disable()  # it makes no cycles, and a pause of the sink would be a pause of every client
    asyncio.run(serve())


if __name__ == "__main__":
    main()
