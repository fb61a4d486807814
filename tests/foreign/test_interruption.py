"""Exceptions of signal handlers: real signals, and handlers of all kinds."""

from __future__ import annotations

import signal
import socket
import threading
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.interruptions import SoftTimeLimit
from support.script import run, start

from segment_librato.foreign.interruption import being_handled, let_through

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from segment_librato import Client
    from segment_librato.devserver import LocalSegment


def plain(number: int, frame: FrameType | None) -> None:
    raise SoftTimeLimit


def with_any_arguments(*_: object) -> None:
    raise SoftTimeLimit


def with_a_helper(number: int, frame: FrameType | None) -> None:
    plain(number, None)


class Limit:
    def method(self, number: int, frame: FrameType | None) -> None:
        raise SoftTimeLimit

    def __call__(self, number: int, frame: FrameType | None) -> None:
        raise SoftTimeLimit

    @staticmethod
    def with_job(job: str, number: int, frame: FrameType | None) -> None:
        raise SoftTimeLimit


HANDLERS = [
    plain,
    with_any_arguments,
    with_a_helper,
    Limit().method,
    Limit(),
    partial(Limit.with_job, "job"),
]


@contextmanager
def handling(handler: Any) -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def interrupt() -> None:
    signal.raise_signal(signal.SIGUSR1)


def wrapped(call: Callable[[], object]) -> None:
    """Raise what a call raises as errors of one's own, as urllib3 and requests do."""
    try:
        try:
            call()
        except Exception as error:
            raise ConnectionError("wrapped").with_traceback(error.__traceback__) from error
    except Exception:  # noqa: BLE001  as above
        raise ConnectionError("wrapped again") from None


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("call", [interrupt, partial(wrapped, interrupt)])
def test_the_exception_of_a_signal_handler_is_let_through(
    handler: Any, call: Callable[[], object]
) -> None:
    with handling(handler), pytest.raises(SoftTimeLimit) as raised:
        watched(call)
    assert raised.value.__context__ is None


def watched(call: Callable[[], object]) -> None:
    try:
        call()
    except Exception as error:  # noqa: BLE001  what is tested
        let_through(error, None)


def fail() -> None:
    raise TimeoutError("timed out")


def fail_with_arguments(number: int, frame: object = None) -> None:
    raise TimeoutError("timed out")


@pytest.mark.parametrize("call", [fail, partial(fail_with_arguments, 1), partial(wrapped, fail)])
def test_any_other_exception_is_not(call: Callable[[], object]) -> None:
    with pytest.raises(OSError, match=r"timed out|wrapped") as raised:
        call()
    let_through(raised.value, None)


def test_nor_is_one_that_was_being_handled_before() -> None:
    with handling(plain):
        try:
            interrupt()
        except SoftTimeLimit:
            handled = being_handled()
            try:
                wrapped(fail)
            except ConnectionError as error:
                let_through(error, handled)
    assert isinstance(handled, SoftTimeLimit)


TIME_LIMIT = """
    import logging, signal
    logging.disable()
    import segment_librato.sending
    class SoftTimeLimit(Exception):
        pass
    def limit_time(exception):
        def handler(number, frame):
            raise exception
        signal.signal(signal.SIGALRM, handler)
"""


@pytest.mark.parametrize("exception", ["SoftTimeLimit", "TimeoutError"])
@pytest.mark.parametrize(
    "options, ending, told",
    [
        ("sync_mode=True", "flush", "on_error DeliveryError 1"),
        ("", "flush", "on_error ShutdownTimeoutError 1"),
        ("", "join", "on_error ShutdownTimeoutError 1"),
        ("", "shutdown", "on_error ShutdownTimeoutError 1"),
    ],
)
def test_a_time_limit_ends_the_wait_for_a_server(
    server: LocalSegment, options: str, ending: str, told: str, exception: str
) -> None:
    """Its signal comes during a system call: `recv`, or the wait for a lock."""
    with server.hold():
        process = start(
            server,
            f"""
            client = make(exit_timeout=0, {options})
            limit_time({exception})
            try:
                client.track("user", "event")
                client.{ending}()
            except {exception}:
                print("raised", client.stats.retries, flush=True)
            """,
            before_import=TIME_LIMIT,
        )
        assert server.wait_until(lambda: server.held == 1)
        process.send_signal(signal.SIGALRM)
        output, _ = process.communicate(timeout=240)
        assert server.held == 1
    assert process.returncode == 0
    assert sorted(output.splitlines()) == [told, "raised 0"]


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have each name stand for these addresses."""

    def getaddrinfo(host: str, port: int, *_: object) -> list[Any]:
        kind = socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, ""
        found = [host] if host in addresses else addresses
        return [(*kind, (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@contextmanager
def full_listener() -> Iterator[int]:
    """Listen at a port whose connects wait for an answer forever; yield the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        for _ in range(2):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)  # noqa: FBT003  it takes no keyword
            caller.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def waiting_connects(port: int) -> int:
    """Return how many connects to a port have no answer yet."""
    rows = Path("/proc/net/tcp").read_text().splitlines()
    return sum(f":{port:04X} 02 " in row for row in rows)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the system has no such file")
def test_a_time_limit_ends_the_connect_to_a_host_of_several_addresses(
    make_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """urllib3 goes on to the next address after any OSError."""
    resolve_to(monkeypatch, "127.0.0.1", "127.0.0.2")

    def limit_time(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("the time is up")

    with full_listener() as port, handling(limit_time):
        before = waiting_connects(port)
        main = threading.get_ident()

        def strike() -> None:
            while waiting_connects(port) == before:
                pass
            signal.pthread_kill(main, signal.SIGUSR1)

        client = make_client(host=f"http://several.example:{port}", sync_mode=True, max_retries=0)
        striker = threading.Thread(target=strike)
        striker.start()
        with pytest.raises(TimeoutError, match="the time is up"):
            client.track("user", "event")
        striker.join()


def test_a_host_is_reached_at_its_second_address(
    server: LocalSegment, make_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")
    port = server.host.rpartition(":")[2]
    client = make_client(host=f"http://localhost:{port}", sync_mode=True)
    assert client.track("user", "event")[0]
    assert len(server.messages) == 1


def test_a_time_limit_that_has_struck_is_no_reason_to_raise_it_again(server: LocalSegment) -> None:
    """To track that it did is the usual thing to do, and that may fail for another reason."""
    output = run(
        server,
        """
        limit_time(SoftTimeLimit)
        try:
            signal.raise_signal(signal.SIGALRM)
        except SoftTimeLimit:
            client = make(host="http://127.0.0.1:9", sync_mode=True, max_retries=0)
            print(client.track("user", "the time was up")[0])
        """,
        before_import=TIME_LIMIT,
    )
    assert output == "on_error NetworkError 1\nFalse\n"


def test_a_time_limit_in_on_error_reaches_the_caller(server: LocalSegment) -> None:
    output = run(
        server,
        """
        def wait(error, messages):
            print(type(error).__name__)
            signal.raise_signal(signal.SIGALRM)
        client = make(host="http://127.0.0.1:9", sync_mode=True, max_retries=0, on_error=wait)
        limit_time(SoftTimeLimit)
        try:
            client.track("user", "event")
        except SoftTimeLimit:
            print("raised", client.stats.failed, client.stats.pending)
        """,
        before_import=TIME_LIMIT,
    )
    assert output == "NetworkError\nraised 1 0\n"
