"""Celery: the scope in which a task was sent holds in the task, and nowhere else."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, chain, signals  # type: ignore[import-untyped]  # it has no types
from celery.contrib.testing.worker import start_worker  # type: ignore[import-untyped]  # the same
from support import server_process
from support.marks import needs_fork

import segment_librato as analytics
from segment_librato.integrations.celery import HEADER, carry_scopes
from segment_librato.message.scope import current_scope
from segment_librato.scopes import scope_to_carry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.devserver import LocalSegment

SERVERS = Path(__file__).parent / "servers"
FULL = {"user_id": "user-1", "anonymous_id": "visitor-1", "context": {"page": {"path": "/"}}}


# Its messages stay in memory.
app = Celery("tests", broker="memory://", backend="cache+memory://", set_as_current=False)
app.conf.worker_hijack_root_logger = False
app.conf.broker_transport_options = {"polling_interval": 0.05}
task = app.task(shared=False)


@task  # type: ignore[untyped-decorator]  # as above
def look() -> dict[str, Any]:
    """Return the scope."""
    return scope_to_carry()


@app.task(bind=True, shared=False)  # type: ignore[untyped-decorator]  # the same
def look_again(self: Any) -> dict[str, Any]:
    """Return the scope of the second attempt."""
    if not self.request.retries:
        with analytics.scope(context={"attempt": "second"}):
            self.retry(countdown=0)
    return scope_to_carry()


@task  # type: ignore[untyped-decorator]  # the same
def fail() -> None:
    """Fail."""
    raise LookupError("no such user")


@app.task(bind=True, shared=False)  # type: ignore[untyped-decorator]  # the same
def header(self: Any) -> Any:
    """Return the header that carries the scope."""
    return self.request.get(HEADER)


@pytest.fixture(scope="module", autouse=True)
def carrying() -> Iterator[None]:
    carry_scopes()
    carry_scopes()  # twice is as once
    yield
    for signal in (signals.before_task_publish, signals.task_prerun, signals.task_postrun):
        signal.disconnect(dispatch_uid=HEADER)


@pytest.fixture(scope="module")
def worker() -> Iterator[None]:
    with start_worker(app, perform_ping_check=False, shutdown_timeout=30):
        yield


def result(sent: Any) -> Any:
    return sent.get(timeout=20)


@pytest.mark.usefixtures("worker")
def test_a_task_is_in_the_scope_in_which_it_was_sent() -> None:
    with analytics.scope(**FULL):  # type: ignore[arg-type]
        full = look.delay()
        with analytics.scope("user-2"):
            nested = look.apply_async(countdown=0)
    assert result(full) == FULL
    assert result(nested) == {"user_id": "user-2", "context": {"page": {"path": "/"}}}
    assert result(look.delay()) == {}


@pytest.mark.usefixtures("worker")
def test_a_task_without_a_scope_has_no_header() -> None:
    assert result(header.delay()) is None
    with analytics.scope("user-1"):
        assert json.loads(result(header.delay())) == {"user_id": "user-1"}


@pytest.mark.usefixtures("worker")
def test_the_user_of_a_function_is_asked_for_when_the_task_is_sent() -> None:
    users = iter(["user-1"])
    with analytics.scope(lambda: next(users)):
        assert result(look.delay()) == {"user_id": "user-1"}


@pytest.mark.usefixtures("worker")
def test_a_task_is_sent_also_if_the_scope_has_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    with analytics.scope(lambda: str(1 / 0)):
        sent = look.delay()
    assert result(sent) == {}
    assert "the function of the scope raised ZeroDivisionError" in caplog.text


@pytest.mark.usefixtures("worker")
def test_a_chain_and_another_attempt_keep_the_scope() -> None:
    with analytics.scope("user-1"):
        chained = chain(look.si(), look.si())()
        again = look_again.delay()
    assert result(chained) == {"user_id": "user-1"}
    assert result(again) == {"user_id": "user-1", "context": {"attempt": "second"}}


@pytest.mark.usefixtures("worker")
def test_the_scope_ends_with_a_task_that_fails() -> None:
    with analytics.scope("user-1"):
        failing = fail.delay()
    with pytest.raises(LookupError):
        result(failing)
    assert result(look.delay()) == {}


@task  # type: ignore[untyped-decorator]  # the same
def leave_a_scope() -> None:
    """Leave a scope open, as a time limit does that strikes at its end."""
    analytics.scope("user-1").__enter__()


@pytest.mark.usefixtures("worker")
def test_a_task_is_not_in_what_an_earlier_one_has_left() -> None:
    result(leave_a_scope.delay())
    assert result(look.delay()) == {}


@pytest.fixture
def eager() -> Iterator[None]:
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = False


@pytest.mark.usefixtures("eager")
def test_an_eager_task_runs_where_it_is_sent() -> None:
    with analytics.scope("user-1"):
        assert result(look.delay()) == {"user_id": "user-1"}
        assert result(look_again.delay()) == {"user_id": "user-1"}
        assert scope_to_carry() == {"user_id": "user-1"}
    assert result(look.delay()) == {}
    assert current_scope.get() is None


@pytest.mark.slow
@needs_fork
@pytest.mark.parametrize("pool", ["prefork", "gevent", "threads"])
def test_tasks_that_run_at_the_same_time_have_their_own_scopes(
    server: LocalSegment, tmp_path: Path, pool: str
) -> None:
    """One program sends, a worker runs them, some twice, and sends others."""
    count = 20

    def running(*command: str) -> Any:
        python = [sys.executable, "-W", "ignore"]  # Celery warns of the user root
        return server_process.running(server, SERVERS, *python, *command, BROKER=str(tmp_path))

    with running("scoped_tasks.py", str(count)) as program:
        assert program.communicate(timeout=240) == ("", "")
    command = ["-m", "celery", "--app", "scoped_tasks", "worker", "--loglevel", "ERROR"]
    with running(*command, "--pool", pool, "--concurrency", "4"):
        assert server.wait_for(2 * count)
    for event in ("Task Run", "Next Task Run"):
        messages = [message for message in server.messages if message["event"] == event]
        assert sorted(message["properties"]["n"] for message in messages) == [*range(count)]
        assert all(one["userId"] == f"user-{one['properties']['n']}" for one in messages)
        assert all(one["context"]["locale"] == "de" for one in messages)
