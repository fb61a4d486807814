"""Every fault, in every mode, at every end: all messages have one outcome, in order and in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.faults import RETRY_AFTER_SECONDS
from support.scenario import (
    CELLS,
    MAX_RETRIES,
    MESSAGES,
    MODES,
    TIMEOUT,
    VIRTUAL_TIMEOUT,
    Cell,
    FaultServer,
    Record,
    Request,
    expected_requests,
    prepare,
)
from support.waiting import wait_until

from segment_librato import drain_spool
from segment_librato.http import deadlines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TESTS = Path(__file__).parents[1]
MAX_ANSWER_SECONDS = 0.2
MARGIN = 10.0  # real seconds that a slow machine may take in one cell
MAX_BACKOFFS = 0.5 + 1.0  # the first retry comes at once

every_cell = pytest.mark.parametrize(
    "cell",
    [pytest.param(cell, id=name, marks=pytest.mark.fault_cell) for name, cell in CELLS.items()],
)
every_mode = pytest.mark.parametrize("mode", MODES)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "MAX_BODY_SECONDS", MAX_ANSWER_SECONDS)


def check(cell: Cell, record: Record, seen: list[Request], batches: list[list[int]]) -> None:
    """Assert that what happened is what had to happen."""
    expected = list(expected_requests(cell, batches))
    numbers = [number for batch in batches for number in batch]
    ids = dict(zip(numbers, record.message_ids, strict=True))
    assert [(request.numbers, request.retry) for request in seen] == [
        (batch, retry) for batch, retry, _ in expected
    ]
    assert [request.message_ids for request in seen] == [
        [ids[number] for number in batch] for batch, _, _ in expected
    ]
    delivered = [number for batch, _, end in expected if end is True for number in batch]
    failed = [batch for batch, _, end in expected if end is False]
    assert [failure["numbers"] for failure in record.failures] == failed
    assert sorted([*delivered, *(number for batch in failed for number in batch)]) == numbers
    for failure in record.failures:
        check_error(cell, failure)
    check_stats(record, seen, len(delivered))


def check_error(cell: Cell, failure: dict[str, Any]) -> None:
    status = cell.fault.status
    assert failure["type"] == ("APIError" if status else "NetworkError")
    assert failure["status"] == status
    assert failure["message"]
    assert failure["code"] == ("redirect" if status in range(300, 400) else failure["code"])
    if cell.fault.retry_after:
        lag = MARGIN if "date" in cell.fault.name else 0  # it is nearer when it is read
        assert RETRY_AFTER_SECONDS - lag <= failure["retry_after"] <= RETRY_AFTER_SECONDS
    else:
        assert failure["retry_after"] is None


def check_stats(record: Record, seen: list[Request], delivered: int) -> None:
    stats = record.stats
    accepted = len(record.message_ids)
    assert stats["accepted"] == accepted
    assert stats["delivered"] == delivered
    assert stats["failed"] == accepted - delivered
    assert stats["pending"] == stats["rejected"] == 0
    assert stats["requests"] == len(seen)
    assert stats["retries"] == sum(request.retry > 0 for request in seen)


def check_time(cell: Cell, seconds: float, waits: int, margin: float = MARGIN) -> None:
    """Assert that the clock of the client went on by its waits and by little else."""
    lowest = highest = 0.0
    if cell.fault.verdict == "retried" and cell.fault.retry_after:
        lowest = waits * (RETRY_AFTER_SECONDS - 2)
        highest = waits * RETRY_AFTER_SECONDS
    elif cell.fault.verdict == "retried":
        highest = waits * MAX_BACKOFFS
    assert lowest <= seconds <= highest + margin


def batches_of(mode: str, *groups: range) -> list[list[int]]:
    if MODES[mode].get("sync_mode"):
        return [[number] for group in groups for number in group]
    return [list(group) for group in groups]


@every_mode
@every_cell
def test_flush(cell: Cell, mode: str) -> None:
    later = range(len(MESSAGES), len(MESSAGES) + 1)
    with FaultServer(cell) as server:
        client, clock, record = prepare(cell, server.host, mode)
        began = clock.now()
        for numbers in (MESSAGES, later):
            record.track(client, numbers, server.settle)
            assert client.flush(timeout=VIRTUAL_TIMEOUT)
        seconds = clock.now() - began
        record.close(client)
        seen = server.see(record.stats["requests"])
        client.shutdown()
    check(cell, record, seen, batches_of(mode, MESSAGES, later))
    check_time(cell, seconds, sum(request.retry > 0 for request in seen))


@every_mode
@every_cell
def test_shutdown(cell: Cell, mode: str) -> None:
    with FaultServer(cell) as server:
        client, clock, record = prepare(cell, server.host, mode)
        began = clock.now()
        record.track(client, MESSAGES, server.settle)
        assert client.shutdown()
        seconds = clock.now() - began
        assert not any(consumer.is_alive() for consumer in client.consumers or [])
        record.close(client)
        seen = server.see(record.stats["requests"])
    check(cell, record, seen, batches_of(mode, MESSAGES))
    check_time(cell, seconds, sum(request.retry > 0 for request in seen))


@every_cell
def test_what_a_spool_keeps_arrives_when_the_server_works_again(cell: Cell, tmp_path: Path) -> None:
    stays = cell.always and cell.fault.verdict == "retried"
    with FaultServer(cell) as server:
        client, _, record = prepare(cell, server.host, "threaded", spool=tmp_path)
        queue: Any = client.queue
        record.track(client, MESSAGES, server.settle)
        client.flush(timeout=0)
        wait_until(lambda: queue.is_settled() or queue.ledger.count_set_aside())
        assert client.shutdown(timeout=0) is not stays
        wait_until(lambda: not any(consumer.is_alive() for consumer in client.consumers))
        record.close(client)
        seen = server.see(record.stats["requests"])
        server.is_over = True
        report = drain_spool(tmp_path, "test-key", host=server.host)
        (*_, last) = server.see(len(seen) + stays)
    if not stays:
        check(cell, record, seen, batches_of("threaded", MESSAGES))
        assert tuple(report) == (0, 0, 0, 0)
    else:
        assert len(seen) > MAX_RETRIES
        assert (record.failures, record.stats["pending"]) == ([], len(MESSAGES))
        assert tuple(report) == (len(MESSAGES), 0, 0, 0)
        assert last.message_ids == record.message_ids
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


Departed = dict[str, tuple[Record, list[Request]]]


@pytest.fixture(scope="module")
def departed(request: pytest.FixtureRequest) -> Callable[[str], Departed]:
    """Let a process end while its servers fail, one for each mode when it is first asked for."""
    names: dict[Any, list[str]] = defaultdict(list)
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.originalname == "test_exit":
            parameters: dict[str, Any] = item.callspec.params
            names[parameters["mode"]].append(parameters["cell"].name)
    return cache(lambda mode: depart(mode, names[mode]))


def depart(mode: str, names: Sequence[str]) -> Departed:
    """Run the cells of these names in one process that ends; return what came of each."""
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(FaultServer(CELLS[name]))
            for name in names
            if not is_left_to_chance(CELLS[name], mode)
        }
        process = subprocess.run(
            [sys.executable, "-W", "error", "-m", "support.leave"],
            check=False,
            capture_output=True,
            text=True,
            timeout=240,
            input=json.dumps(
                {
                    "mode": mode,
                    "max_answer_seconds": MAX_ANSWER_SECONDS,
                    "hosts": {name: server.host for name, server in servers.items()},
                }
            ),
            env={**os.environ, "PYTHONPATH": str(TESTS)},
        )
        assert process.returncode == 0, process.stderr
        records = {name: Record(**of_cell) for name, of_cell in json.loads(process.stdout).items()}
        return {
            name: (records[name], server.see(records[name].stats["requests"]))
            for name, server in servers.items()
        }


def is_left_to_chance(cell: Cell, mode: str) -> bool:
    """Return whether nobody knows which is first: the server's close, or the next request."""
    return mode == "sync_mode" and cell.fault.closes_idle


@every_mode
@every_cell
def test_exit(cell: Cell, mode: str, departed: Callable[[str], Departed]) -> None:
    if is_left_to_chance(cell, mode):
        pytest.skip("the next request comes at once: chance decides whether the close is first")
    record, seen = departed(mode)[cell.name]
    check(cell, record, seen, batches_of(mode, MESSAGES))
    waits = sum(request.retry > 0 for request in seen)
    check_time(cell, record.seconds, waits, margin=3 * MARGIN)  # all cells in one process


@pytest.mark.parametrize("mode", ["threaded", "gzip"])
@pytest.mark.parametrize(
    "name, deadline",
    [("503 with seconds, always", RETRY_AFTER_SECONDS / 5), ("silence, always", 0.2)],
)
def test_a_deadline_is_kept_whatever_the_server_does(name: str, deadline: float, mode: str) -> None:
    cell = CELLS[name]
    with FaultServer(cell) as server:
        client, clock, record = prepare(cell, server.host, mode, timeout=TIMEOUT)
        clock.is_patient = True  # nobody waits in between, and no try may come then
        record.track(client, MESSAGES)
        for finish, outcome in ((client.flush, False), (client.join, False)):
            began = clock.now()
            assert finish(timeout=deadline) is outcome
            assert deadline <= clock.now() - began < deadline + MARGIN / 2
            assert client.stats.pending == len(MESSAGES)
            assert [request.numbers for request in server.see(1)] == [[0, 1, 2]]
        began = clock.now()
        assert client.shutdown(timeout=deadline) is False
        assert clock.now() - began < deadline + MARGIN / 2
        record.close(client)
        assert [request.numbers for request in server.see(1)] == [[0, 1, 2]]
    (failure,) = record.failures
    assert (failure["type"], failure["numbers"]) == ("ShutdownTimeoutError", [0, 1, 2])
    assert (record.stats["failed"], record.stats["pending"]) == (len(MESSAGES), 0)


def test_the_matrix_has_every_verdict_both_once_and_always() -> None:
    verdicts = Counter((cell.fault.verdict, cell.always) for cell in CELLS.values())
    assert len(verdicts) == 8
    assert min(verdicts.values()) >= 6
    assert MAX_RETRIES == 3
