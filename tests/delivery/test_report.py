"""Telling the application what was not delivered."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from segment_librato.delivery.report import MAX_DEPTH, Failure, Reporter
from segment_librato.errors import APIError, NetworkError, QueueFullError

if TYPE_CHECKING:
    from collections.abc import Coroutine

MESSAGE = '{"event":"sécret"}'.encode()


def test_on_error_gets_the_messages_as_dicts() -> None:
    calls: list[tuple[Exception, list[dict[str, Any]]]] = []
    error = APIError(404)
    Reporter(lambda error, messages: calls.append((error, messages))).failure(
        Failure(error, [MESSAGE] * 2)
    )
    assert calls == [(error, [{"event": "sécret"}] * 2)]


def test_a_failure_is_logged_with_count_and_status_and_nothing_of_the_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Reporter(None).failure(Failure(APIError(404, "code", "text of the server"), [MESSAGE] * 2))
    assert [record.getMessage() for record in caplog.records] == [
        "messages not delivered: 2; the server answered 404"
    ]


def test_an_on_error_that_returns_a_coroutine_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A function that is `async` is rejected as an option; what hides one is found out here."""
    made: list[Coroutine[Any, Any, None]] = []

    async def asynchronous(error: Exception, messages: list[dict[str, Any]]) -> None:
        raise AssertionError

    def on_error(error: Exception, messages: list[dict[str, Any]]) -> object:
        made.append(asynchronous(error, messages))
        return made[-1]

    Reporter(on_error).failure(Failure(APIError(404), [MESSAGE]))
    made[0].close()
    assert caplog.messages[0] == "on_error returned a coroutine, which nothing runs"


@pytest.mark.parametrize(
    "wait, when", [(0, "now"), (0.049, "now"), (0.05, "in 0.1 s"), (3.21, "in 3.2 s")]
)
def test_a_retry_says_when_it_comes(
    wait: float, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    Reporter(None).retry(NetworkError("h: Timeout"), wait, 37, is_first=True)
    assert caplog.messages == [f"h: Timeout; retrying {when}, messages: 37"]


def test_a_rejection_is_logged_only_if_it_is_the_first(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[Exception] = []
    report = Reporter(lambda error, messages: calls.append(error))
    first, second = QueueFullError("3 messages are waiting"), QueueFullError("3 messages")
    second.is_first = False
    report.rejection(first, MESSAGE)
    report.rejection(second, MESSAGE)
    assert len(calls) == 2
    assert [record.getMessage() for record in caplog.records] == [
        "messages are rejected: 3 messages are waiting"
    ]


def test_an_on_error_that_raises_is_logged_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        raise ValueError(str(messages))

    Reporter(on_error).failure(Failure(APIError(404), [MESSAGE]))
    assert "on_error raised ValueError" in caplog.text
    assert "sécret" not in caplog.text


def test_a_logging_handler_that_raises_does_no_harm() -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ZeroDivisionError

    calls: list[Exception] = []
    handler = Broken()
    logging.getLogger("segment").addHandler(handler)
    try:
        Reporter(lambda error, messages: calls.append(error)).failure(
            Failure(APIError(404), [MESSAGE])
        )
    finally:
        logging.getLogger("segment").removeHandler(handler)
    assert len(calls) == 1


def test_a_rejection_from_within_on_error_is_not_handed_to_it_again() -> None:
    calls: list[Exception] = []

    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        calls.append(error)
        report.rejection(QueueFullError("full"), MESSAGE)

    report = Reporter(on_error)
    report.failure(Failure(APIError(404), [MESSAGE]))
    report.failure(Failure(APIError(500), [MESSAGE]))
    assert [error.status for error in calls if isinstance(error, APIError)] == [404, 500]
    assert len(calls) == 2


def test_a_failure_from_within_on_error_is_handed_to_it_too_but_not_forever() -> None:
    calls: list[Exception] = []

    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        calls.append(error)
        if len(calls) != 2:
            report.failure(Failure(APIError(500), [MESSAGE]))

    report = Reporter(on_error)
    report.failure(Failure(APIError(404), [MESSAGE]))
    assert [error.status for error in calls if isinstance(error, APIError)] == [404, 500]
    report.failure(Failure(APIError(404), [MESSAGE]))
    assert len(calls) == 2 + MAX_DEPTH


def test_threads_report_at_the_same_time() -> None:
    both = threading.Barrier(2)
    calls: list[Exception] = []

    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        both.wait(10)
        calls.append(error)

    report = Reporter(on_error)
    threads = [
        threading.Thread(target=report.failure, args=(Failure(APIError(404), [MESSAGE]),))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 2


def test_an_on_error_that_exits_keeps_no_line_from_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def leave(error: Exception, messages: list[dict[str, Any]]) -> None:
        sys.exit(3)

    report = Reporter(leave)
    with pytest.raises(SystemExit):
        report.failure(Failure(NetworkError("lost"), [b"{}"]))
    with pytest.raises(SystemExit):
        report.rejection(QueueFullError("full"), b"{}")
    assert caplog.messages == ["messages not delivered: 1; lost", "messages are rejected: full"]
