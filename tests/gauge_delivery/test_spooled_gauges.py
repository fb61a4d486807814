"""Gauges that are delivered directly, with a spool: a folder of their own, with each sample."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import textwrap
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support.interruptions import interrupted

from segment_librato import Client, LibratoConfig, ShutdownTimeoutError, SpoolConfig
from segment_librato.process.clock import monotonic
from segment_librato.spooling.orphan import find_orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment

NOWHERE = "http://127.0.0.1:9"  # where nothing listens
EMAIL = "ada@example.com"
TOKEN = "t0ken-that-must-not-show"  # noqa: S105  not a real one


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def make(path: Path, server: LocalSegment, errors: Errors) -> Iterator[Callable[..., Client]]:
    """Make clients that deliver gauges to the server, with a spool; shut them down in the end."""
    made: list[Client] = []

    def make(spool: Any = path, **options: Any) -> Client:
        account = LibratoConfig(EMAIL, TOKEN, **{"host": server.host, **options})
        made.append(Client(gauges=account, on_error=errors, spool=spool))
        return made[-1]

    yield make
    server.release()
    for client in made:
        client.shutdown(timeout=0)


def left_behind(path: Path) -> list[dict[str, Any]]:
    """Return the gauges of dead processes in a spool, in order; settle them."""
    found = []
    for folder in path.iterdir():
        for orphan in find_orphans(folder, lambda error: pytest.fail(str(error))):
            for segment, payload in orphan.messages():
                found.append(json.loads(payload))
                segment.settle(1)
            orphan.close()
    return found


def files(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file()]


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = monotonic() + 10
    while not condition() and monotonic() < deadline:
        pass
    return condition()


@pytest.mark.parametrize("aggregate", [0, 60])
def test_each_sample_survives_a_kill(path: Path, aggregate: int) -> None:
    script = """
        import os, signal, sys
        from segment_librato import Client, LibratoConfig
        account = LibratoConfig("ada@example.com", "token", host=sys.argv[2], aggregate=%d)
        client = Client(gauges=account, spool=sys.argv[1])
        for n in range(100):
            assert client.gauge("gauge", n, source="web-1")[0]
        os.kill(os.getpid(), signal.SIGKILL)
    """
    source = textwrap.dedent(script) % aggregate
    process = subprocess.run(  # noqa: S603  the tests' own script
        [sys.executable, "-W", "error", "-c", source, str(path), NOWHERE],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL
    gauges = left_behind(path)
    assert [gauge["sum" if aggregate else "value"] for gauge in gauges] == list(range(100))
    assert {gauge["source"] for gauge in gauges} == {"web-1"}
    assert files(path) == []


@pytest.mark.parametrize("aggregate", [0, 60])
def test_what_was_delivered_is_deleted(
    make: Callable[..., Client], path: Path, server: LocalSegment, aggregate: int
) -> None:
    client = make(aggregate=aggregate)
    for n in range(100):
        assert client.gauge(f"gauge-{n % 4}", n, source="web-1")[0]
    stats = client.stats.gauges
    assert stats is not None
    assert stats.spool is not None
    assert stats.spool.bytes > 0
    assert client.stats.spool is None
    assert client.flush(10)
    (request,) = server.requests if aggregate else server.requests[-1:]
    assert len(request.measurements) == (4 if aggregate else len(request.measurements))
    assert client.shutdown(10)
    assert files(path) == []


def test_samples_that_fail_are_reported_as_one_gauge_and_deleted(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    server.respond(401, times=None)
    client = make(aggregate=60)
    for n in range(100):
        client.gauge("gauge", n)
    assert client.shutdown(10)
    assert [[gauge["count"] for gauge in gauges] for _, gauges in errors.calls] == [[100]]
    assert files(path) == []


def test_an_outage_costs_disk_instead_of_gauges(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    client = make(aggregate=600, max_queue_size=10)
    for n in range(500):
        assert client.gauge(f"gauge-{n}", n)[0]
        stats = client.stats.gauges
        assert stats is not None
        assert stats.accepted == n + 1 == stats.delivered + stats.pending
    assert client.flush(20)
    values = [
        gauge.get("sum", gauge.get("value"))
        for request in server.requests
        for gauge in request.measurements
    ]
    assert values == list(range(500))
    assert errors.calls == []
    assert client.shutdown(10)
    assert files(path) == []


@pytest.mark.parametrize("aggregate", [0, 60])
def test_a_shutdown_leaves_what_it_has_no_time_for(
    make: Callable[..., Client], path: Path, errors: Errors, aggregate: int
) -> None:
    client = make(host=NOWHERE, aggregate=aggregate)
    for n in range(10):
        client.gauge("gauge", n)
    assert not client.shutdown(0.1)
    assert errors.calls == []
    assert len(left_behind(path)) == 10


def test_gauges_may_be_written_only(make: Callable[..., Client], path: Path) -> None:
    client = make(SpoolConfig(path, deliver=False), aggregate=60)
    for n in range(10):
        assert client.gauge("gauge", n)[0]
    assert client.shutdown()
    assert len(left_behind(path)) == 10


def test_accounts_have_folders_of_their_own_and_none_shows_a_token(path: Path) -> None:
    accounts = [
        LibratoConfig(EMAIL, TOKEN, host=NOWHERE),
        LibratoConfig("eve@example.com", TOKEN, host=NOWHERE),
        LibratoConfig(EMAIL, TOKEN, host="http://127.0.0.1:10"),
        LibratoConfig(token=TOKEN, api="measurements", host=NOWHERE),
        LibratoConfig(token="another", api="measurements", host=NOWHERE),  # noqa: S106  not one
    ]
    for account in accounts:
        Client("test-key", NOWHERE, gauges=account, spool=path)
    assert len(list(path.iterdir())) == len(accounts) + 1
    assert not [each for each in path.rglob("*") if TOKEN in each.name or "ada" in each.name]


@pytest.mark.parametrize("aggregate", [0, 60])
def test_calls_that_a_signal_handler_ends_anywhere_leave_no_file(
    make: Callable[..., Client], path: Path, server: LocalSegment, aggregate: int
) -> None:
    client = make(aggregate=aggregate)
    client.gauge("gauge", 0)
    for n in range(600):
        interrupted(partial(client.gauge, "gauge", n), n % 150 + 1)
    assert client.flush(20)
    stats = client.stats.gauges
    assert stats is not None
    assert stats.pending == 0
    assert client.shutdown(10)
    assert [
        file for file in files(path) if file.suffix == ".seg" and file.stat().st_size > 16
    ] == []


@pytest.mark.parametrize("aggregate", [0, 60])
def test_what_a_shutdown_would_leave_in_files_that_somebody_deleted_is_reported(
    make: Callable[..., Client], path: Path, errors: Errors, aggregate: int
) -> None:
    client = make(host=NOWHERE, aggregate=aggregate)
    for n in range(10):
        client.gauge("gauge", n)
    shutil.rmtree(path)
    assert not client.shutdown(0)
    stats = client.stats.gauges
    assert stats is not None
    assert stats.pending == 0
    assert stats.failed == stats.accepted > 0
    assert {type(error) for error, _ in errors.calls} == {ShutdownTimeoutError}
