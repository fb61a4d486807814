"""Faults on demand: what the next requests of clients meet.

Owns the kinds of trouble, and how many requests are still to meet them. Must not know how a fault
comes about: the server's `respond` does it.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from segment_librato.devserver.http.exchange import InvalidRequestError, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.devserver.faults import ScriptedResponse
    from segment_librato.devserver.http.exchange import JsonObject
    from segment_librato.devserver.server import LocalSegment

__all__ = ["KINDS", "Trouble"]

FOREVER = 30 * 24 * 3600.0
MAX_SECONDS = 3600
MAX_TIMES = 1_000_000
MAX_FAULTS = 100  # that no request has met yet
RETRY_AFTER = 2
DELAY = 3.0
HANG = "hang"
# How each kind is scripted, given `retry_after` and `delay`.
KINDS: dict[str, Callable[[int, float], dict[str, Any]]] = {
    "429": lambda retry_after, _: {"status": 429, "headers": {"Retry-After": str(retry_after)}},
    "500": lambda _, __: {"status": 500},
    "slow": lambda _, delay: {"status": 200, "delay": delay},
    # Nothing is accepted, and the connection is cut when the trouble ends.
    HANG: lambda _, __: {"status": None, "delay": FOREVER},
    "reset": lambda _, __: {"status": None},
}


class _Fault(NamedTuple):
    kind: str
    scripted: ScriptedResponse


class Trouble:
    """The faults that requests are still to meet, or are meeting. Thread-safe."""

    def __init__(self, server: LocalSegment, is_client: Callable[[Request], bool]) -> None:
        """Make no trouble yet.

        Args:
            server: what is to respond.
            is_client: returns whether a request is to meet faults.
        """
        self._server = server
        self._is_client = is_client
        self._lock = threading.Lock()
        self._faults: list[_Fault] = []
        self.revision: int = 0

    def make(self, content: dict[str, Any]) -> None:
        """Script a fault: `kind`, `times`, and of some kinds `retry_after` or `delay`.

        Raises:
            InvalidRequestError: There is no such kind, or a number is none.
        """
        kind = content.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            raise InvalidRequestError(400, f"kind is not one of {', '.join(KINDS)}")
        if len(self.list()["faults"]) >= MAX_FAULTS:
            raise InvalidRequestError(400, f"there are {MAX_FAULTS} faults already: end them first")
        times = math.ceil(_read_number(content, "times", 1, 1, MAX_TIMES))
        retry_after = math.ceil(_read_number(content, "retry_after", RETRY_AFTER, 0, MAX_SECONDS))
        delay = _read_number(content, "delay", DELAY, 0, MAX_SECONDS)
        script = KINDS[kind](retry_after, delay)
        scripted = self._server.respond(**script, times=times, when=self._is_client)
        with self._lock:
            self._faults.append(_Fault(kind, scripted))
            self.revision += 1

    def end(self) -> None:
        """End all trouble: what hangs is cut off, what is slow gets its response."""
        with self._lock:
            faults, self._faults = self._faults, []
            self.revision += 1
        for fault in faults:
            self._server.withdraw(fault.scripted)

    def notice(self) -> None:
        """Notice that a request met a fault."""
        with self._lock:
            self.revision += 1

    def list(self) -> JsonObject:
        """Return what is still to come, and whether requests hang."""
        with self._lock:
            self._faults = [
                fault for fault in self._faults if fault.scripted.times or fault.scripted.waiting
            ]
            return {
                "faults": [
                    {"kind": fault.kind, "times": fault.scripted.times}
                    for fault in self._faults
                    if fault.scripted.times
                ],
                "holding": any(
                    fault.kind == HANG and fault.scripted.waiting for fault in self._faults
                ),
            }


def _read_number(
    content: dict[str, Any], name: str, default: float, least: int, most: int
) -> float:
    value = content.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise InvalidRequestError(400, f"{name} is not a number from {least} to {most}")
    return value
