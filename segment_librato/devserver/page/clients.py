"""What connected clients say of themselves, until they fall silent.

Owns the newest counters of each client. Must not know what they count.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from segment_librato.devserver.http.exchange import InvalidRequestError

if TYPE_CHECKING:
    from segment_librato.devserver.http.exchange import JsonObject

__all__ = ["Clients"]

MAX_BYTES = 16_384
SILENCE = 10.0  # seconds after which a client is gone
MAX_CLIENTS = 100
MAX_NAME = 200


class Clients:
    """The clients that have reported lately. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[str, tuple[float, JsonObject]] = {}
        self._revision = 0

    @property
    def revision(self) -> int:
        """A number that grows when a client reports, or is gone."""
        with self._lock:
            self._forget()
            return self._revision

    def report(self, content: dict[str, Any]) -> None:
        """Keep what a client says: `name` and `stats`.

        Raises:
            InvalidRequestError: It says something else, or there are too many.
        """
        name, stats = content.get("name"), content.get("stats")
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
            raise InvalidRequestError(400, f"name is not a text of up to {MAX_NAME} characters")
        if not isinstance(stats, dict):
            raise InvalidRequestError(400, "stats is not an object")
        if len(json.dumps(stats)) > MAX_BYTES:
            raise InvalidRequestError(400, f"stats exceeds {MAX_BYTES} bytes")
        with self._lock:
            self._forget()
            if name not in self._clients and len(self._clients) >= MAX_CLIENTS:
                raise InvalidRequestError(400, f"there are {MAX_CLIENTS} clients already")
            client: JsonObject = {"name": name, "at": time.time(), "stats": stats}
            self._clients[name] = (time.monotonic() + SILENCE, client)
            self._revision += 1

    def list(self) -> list[JsonObject]:
        """Return `name`, `at` and `stats` of each, by name."""
        with self._lock:
            self._forget()
            return [client for _, (_, client) in sorted(self._clients.items())]

    def _forget(self) -> None:
        now = time.monotonic()
        gone = [name for name, (until, _) in self._clients.items() if until <= now]
        for name in gone:
            del self._clients[name]
        self._revision += len(gone)
