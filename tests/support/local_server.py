"""The local server as tests have it, and how they speak to it without a client."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

from segment_librato.devserver import LocalSegment
from support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "KEY",
    "PatientSegment",
    "batch",
    "connect",
    "exchange",
    "in_background",
    "post",
    "server_threads",
    "track",
]

KEY = "test-key"


class PatientSegment(LocalSegment):
    """The local server, for a loaded machine: a process may take long until it has started."""

    def wait_for(self, count: int, timeout: float = PATIENCE) -> bool:
        return super().wait_for(count, timeout)

    def wait_until(self, condition: Callable[[], bool], timeout: float = PATIENCE) -> bool:
        return super().wait_until(condition, timeout)


def connect(server: LocalSegment) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)


def post(
    server: LocalSegment,
    body: object,
    *,
    path: str = "/v1/batch",
    headers: dict[str, str] | None = None,
    method: str = "POST",
) -> tuple[int, Any]:
    """Send a body, as JSON unless it is bytes, and return the status and the JSON received."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection = connect(server)
    try:
        connection.request(method, path, data, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    finally:
        connection.close()


def exchange(server: LocalSegment, data: bytes) -> bytes:
    """Send raw bytes, and return all that comes back until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
        return received


def track(message_id: str | None = None, **fields: Any) -> dict[str, Any]:
    message = {"type": "track", "userId": "user", "event": "Signed Up", **fields}
    return message if message_id is None else {**message, "messageId": message_id}


def batch(*messages: object, **fields: Any) -> dict[str, Any]:
    return {"batch": list(messages), "writeKey": KEY, **fields}


def in_background(server: LocalSegment, *messages: object) -> threading.Thread:
    """Post a batch from a thread that ignores the response."""

    def send() -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            body = json.dumps(batch(*messages)).encode()
            head = f"POST /v1/batch HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            connection.recv(65_536)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def server_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("local-segment")]
