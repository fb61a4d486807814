"""An `on_error` for tests."""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["Errors"]


class Errors:
    """An `on_error` that keeps what it is called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[Exception, list[dict[str, Any]]]] = []
        self.threads: list[threading.Thread] = []

    def __call__(self, error: Exception, messages: list[dict[str, Any]]) -> None:
        self.threads.append(threading.current_thread())
        self.calls.append((error, messages))

    @property
    def types(self) -> list[type[Exception]]:
        return [type(error) for error, _ in self.calls]

    @property
    def message_ids(self) -> list[str]:
        return [message["messageId"] for _, messages in self.calls for message in messages]
