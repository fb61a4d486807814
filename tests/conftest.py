"""What many tests need: a local server, clients that are shut down, errors that are kept."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from segment_librato import Client
from segment_librato.devserver import LocalSegment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> None:
    """Heed Ctrl-C, here and in child processes: a shell has its background jobs ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture
def server() -> Iterator[LocalSegment]:
    with LocalSegment() as local:
        yield local


@pytest.fixture
def errors() -> Errors:
    return Errors()


@pytest.fixture
def make_client(server: LocalSegment, errors: Errors) -> Iterator[Callable[..., Client]]:
    """Make clients of the server that report to `errors`; shut them down in the end."""
    made: list[Client] = []

    def make(**options: Any) -> Client:
        options = {"host": server.host, "on_error": errors, **options}
        made.append(Client("test-key", **options))
        return made[-1]

    yield make
    server.release()
    for client in made:
        client.shutdown(timeout=1)
