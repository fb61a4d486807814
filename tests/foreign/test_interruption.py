"""Exceptions of signal handlers: real signals, and handlers of all kinds."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support.interruptions import SoftTimeLimit
from support.script import run, start

from segment_librato.foreign.interruption import being_handled, let_through

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

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
        output, _ = process.communicate(timeout=60)
        assert server.held == 1
    assert process.returncode == 0
    assert sorted(output.splitlines()) == [told, "raised 0"]


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
