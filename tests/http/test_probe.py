"""The steps of a request, one by one; `tests/cli/test_doctor.py` takes them against servers."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from segment_librato.http import probe

if TYPE_CHECKING:
    from collections.abc import Iterator

GOAL = urlsplit("https://api.test")


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Answer as `answer` says: with addresses, an exception, or only when the test is over."""
    state: dict[str, Any] = {}
    is_over = threading.Event()

    def getaddrinfo(_: str, port: int, **__: object) -> list[Any]:
        answer = state.get("answer")
        if answer is None:
            is_over.wait(20)
            raise socket.gaierror
        if isinstance(answer, Exception):
            raise answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in answer]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield state
    is_over.set()


def test_a_name_server_that_does_not_answer_in_time(name_server: dict[str, Any]) -> None:
    with pytest.raises(TimeoutError):
        probe.resolve(GOAL, 0.01)


def test_each_address_is_named_once(name_server: dict[str, Any]) -> None:
    name_server["answer"] = ["10.0.0.2", "10.0.0.1", "10.0.0.2"]
    assert probe.resolve(GOAL, 10) == ["10.0.0.2", "10.0.0.1"]


@pytest.mark.parametrize(
    "answer", [UnicodeError("label too long"), socket.gaierror(-2, "unknown")], ids=["text", "name"]
)
def test_what_is_no_name(answer: Exception, name_server: dict[str, Any]) -> None:
    name_server["answer"] = answer
    with pytest.raises(OSError, match=r"not a host name|unknown"):
        probe.resolve(GOAL, 10)


def test_the_first_address_that_answers_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with probe.connect(["127.0.0.3", "127.0.0.1"], port, 10) as connection:
            assert connection.getpeername() == ("127.0.0.1", port)


def test_the_last_failure_is_raised() -> None:
    with pytest.raises(ConnectionRefusedError):
        probe.connect(["127.0.0.1", "127.0.0.3"], 1, 10)


def test_no_address_is_tried_when_time_is_up() -> None:
    with pytest.raises(TimeoutError):
        probe.connect(["127.0.0.1"], 1, 0)


@pytest.mark.parametrize(
    "url,port",
    [
        ("http://a.test", 80),
        ("https://a.test", 443),
        ("socks5h://a.test", 1080),
        ("other://a.test", 443),
        ("http://a.test:8080", 8080),
    ],
)
def test_each_scheme_has_a_port(url: str, port: int) -> None:
    assert probe.port_of(urlsplit(url)) == port
