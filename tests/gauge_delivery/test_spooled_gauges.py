"""Gauges that are delivered directly, with a spool: a folder of their own, with each sample."""

from __future__ import annotations

import errno
import json
import logging
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support.disk import failing
from support.interruptions import interrupted
from support.otlp_receiver import OtlpReceiver, Point
from support.spool import settle_one
from support.spooled_client import leave
from support.waiting import wait_until

from segment_librato import (
    APIError,
    Client,
    DeliveryError,
    LibratoConfig,
    OpenTelemetryConfig,
    QueueFullError,
    ShutdownTimeoutError,
    SpoolConfig,
)
from segment_librato.gauge_delivery.queue import GaugeQueue
from segment_librato.process.clock import monotonic
from segment_librato.spooling import lane as lane_module
from segment_librato.spooling import rest as rest_module
from segment_librato.spooling import spool as spool_module
from segment_librato.spooling.orphan import find_orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment

NOWHERE = "http://127.0.0.1:9"  # where nothing listens
EMAIL = "ada@example.com"
HOUR = int(time.time()) // 3600 * 3600  # a time of all samples, so that they are of one period
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
                settle_one(segment)
            orphan.close()
    return found


def files(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file()]


@pytest.mark.parametrize("aggregate", [0, 3600])
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
        timeout=240,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL
    gauges = left_behind(path)
    assert [gauge["sum" if aggregate else "value"] for gauge in gauges] == list(range(100))
    assert {gauge["source"] for gauge in gauges} == {"web-1"}
    assert files(path) == []


@pytest.mark.parametrize("aggregate", [0, 3600])
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
    client = make(aggregate=3600)
    for n in range(100):
        client.gauge("gauge", n)
    assert client.shutdown(10)
    assert [[gauge["count"] for gauge in gauges] for _, gauges in errors.calls] == [[100]]
    assert files(path) == []


def test_an_outage_costs_disk_instead_of_gauges(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    client = make(aggregate=3600, max_queue_size=10)
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


def test_a_shutdown_leaves_what_it_has_no_time_for(
    make: Callable[..., Client], path: Path, errors: Errors
) -> None:
    client = make(host=NOWHERE)
    for n in range(10):
        client.gauge("gauge", n)
    leave(client, 0.1)
    assert errors.calls == []
    assert len(left_behind(path)) == 10


def test_a_shutdown_leaves_one_record_of_each_gauge(
    make: Callable[..., Client],
    path: Path,
    server: LocalSegment,
    errors: Errors,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.respond(503, times=None)
    client = make(aggregate=3600)
    for n in range(1000):
        client.gauge(f"gauge-{n % 400}", n, source="web-1", timestamp=HOUR)
    with caplog.at_level(logging.INFO, "segment"):
        leave(client)
    stats = client.stats.gauges
    assert stats is not None
    assert stats.spool is not None
    assert (stats.accepted, stats.pending, stats.failed) == (400, 400, 0)
    assert [line for line in caplog.messages if line.startswith("messages: 400 wait in")]
    assert stats.spool.segments == 2  # one for each request
    server.clear()
    other = make(aggregate=3600)
    other.flush(10)
    wait_until(lambda: len(numbers(server)) == 400)
    arrived = [gauge for request in server.requests for gauge in request.measurements]
    assert sum(gauge["count"] for gauge in arrived) == 1000
    assert {gauge["name"]: gauge["sum"] for gauge in arrived} == {
        f"gauge-{n}": sum(range(n, 1000, 400)) for n in range(400)
    }
    assert {(gauge["source"], gauge["measure_time"]) for gauge in arrived} == {("web-1", HOUR)}
    assert other.shutdown(10)
    assert errors.calls == []
    assert files(path) == []


def make_outage(make: Callable[..., Client], server: LocalSegment) -> Client:
    """Give a client 400 gauges, of which 300 are delivered before the server refuses them."""
    client = make(aggregate=3600, upload_interval=60, max_retries=0)
    server.respond(200)
    server.respond(503, times=None)
    for n in range(400):
        for _ in range(2):
            client.gauge(f"gauge-{n}", n)
    assert not client.flush(0.3)
    wait_until(lambda: client.stats.gauges.delivered == 300)  # type: ignore[union-attr]
    wait_until(lambda: len(server.requests) == 2)
    return client


def test_a_shutdown_in_an_outage_leaves_no_sample_of_a_gauge_that_was_delivered(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    client = make_outage(make, server)
    leave(client)
    stats = client.stats.gauges
    assert stats is not None
    assert (stats.accepted, stats.delivered, stats.pending) == (400, 300, 100)
    left = left_behind(path)
    assert [gauge["name"] for gauge in left] == [f"gauge-{n}" for n in range(300, 400)]
    assert {gauge["count"] for gauge in left} == {2}
    assert errors.calls == []
    assert files(path) == []


def test_a_full_disk_leaves_all_samples_as_they_are(
    make: Callable[..., Client],
    path: Path,
    server: LocalSegment,
    errors: Errors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = make_outage(make, server)
    monkeypatch.setattr(rest_module, "pack", failing(errno.ENOSPC))
    leave(client)
    stats = client.stats.gauges
    assert stats is not None
    assert (stats.accepted, stats.delivered, stats.pending) == (400, 300, 100)
    assert len(files(path)) == 1 + 1  # with the lock
    assert [gauge["name"] for gauge in left_behind(path)] == [
        f"gauge-{n}" for n in range(400) for _ in range(2)
    ]
    assert errors.calls == []


@pytest.mark.parametrize("aggregate", [0, 3600])
def test_what_an_outage_makes_too_old_for_librato_is_reported_and_the_rest_arrives(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors, aggregate: int
) -> None:
    now = int(time.time())
    server.respond(503, times=None)
    client = make(aggregate=aggregate)
    for n in range(10):
        client.gauge(f"gauge-{n}", n, timestamp=now - 3 * 3600 * (n % 3 == 0))
    leave(client)
    server.clear()
    other = make(aggregate=aggregate)
    other.flush(10)
    wait_until(lambda: len(numbers(server)) + len(errors.calls) == 6 + 4)
    assert sorted(numbers(server)) == [1, 2, 4, 5, 7, 8]
    assert {type(error) for error, _ in errors.calls} == {DeliveryError}
    assert {str(error) for error, _ in errors.calls} == {
        "measure_time is more than 7200 s from now, which Librato rejects"
    }
    assert [gauge["name"] for _, gauges in errors.calls for gauge in gauges] == [
        f"gauge-{n}" for n in (0, 3, 6, 9)
    ]
    assert other.shutdown(10)
    assert files(path) == []


@pytest.mark.parametrize("aggregate", [0, 3600])
def test_of_a_request_that_librato_rejects_for_its_age_only_what_is_too_old_fails(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors, aggregate: int
) -> None:
    """With a `time_window` that is wider than that of the service."""
    now = int(time.time())
    client = make(aggregate=aggregate, time_window=86_400, upload_interval=60)
    for n in range(40):
        client.gauge(f"gauge-{n}", n, timestamp=now - 3 * 3600 * (n % 10 == 0))
    assert client.flush(10)
    assert sorted(numbers(server)) == [n for n in range(40) if n % 10]
    for error, _ in errors.calls:
        assert isinstance(error, APIError)
        assert (error.status, error.message) == (400, "measure_time: is too far in the past")
    assert [gauge["name"] for _, gauges in errors.calls for gauge in gauges] == [
        f"gauge-{n}" for n in (0, 10, 20, 30)
    ]
    assert client.shutdown(10)
    assert files(path) == []


def test_gauges_may_be_written_only(make: Callable[..., Client], path: Path) -> None:
    client = make(SpoolConfig(path, deliver=False), aggregate=3600)
    for n in range(10):
        assert client.gauge("gauge", n)[0]
    assert client.shutdown()
    assert len(left_behind(path)) == 10


def numbers(server: LocalSegment) -> list[Any]:
    """Return the values that arrived, or the sums, in order."""
    return [
        gauge.get("sum", gauge.get("value"))
        for request in server.requests
        for gauge in request.measurements
    ]


def fail_to_write(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lane_module, "write", failing(errno.ENOSPC))


def test_samples_that_cannot_be_written_stay_in_memory_in_a_gauge_of_their_own(
    make: Callable[..., Client],
    path: Path,
    server: LocalSegment,
    errors: Errors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = make(aggregate=3600)
    assert client.gauge("gauge", 1, timestamp=HOUR)[0]
    with monkeypatch.context() as patch:
        fail_to_write(patch)
        assert client.gauge("gauge", 2, timestamp=HOUR)[0]
        assert client.gauge("another", 10, timestamp=HOUR)[0]
    assert client.gauge("gauge", 4, timestamp=HOUR)[0]  # the disk has a rest
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + 31)
    assert client.gauge("another", 20, timestamp=HOUR)[0]
    stats = client.stats.gauges
    assert stats is not None
    assert stats.spool is not None
    assert (stats.accepted, stats.pending, stats.spool.errors) == (4, 4, 1)
    assert client.flush(10)
    assert sorted(numbers(server)) == [1, 6, 10, 20]
    assert client.shutdown(10)
    assert errors.calls == []
    assert files(path) == []


def test_of_a_gauge_only_the_samples_on_disk_are_left(
    make: Callable[..., Client], path: Path, errors: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(host=NOWHERE, aggregate=3600)
    client.gauge("both", 1, timestamp=HOUR)
    with monkeypatch.context() as patch:
        fail_to_write(patch)
        client.gauge("both", 2, timestamp=HOUR)
        client.gauge("both", 4, timestamp=HOUR)
    leave(client)
    ((error, gauges),) = errors.calls
    assert isinstance(error, ShutdownTimeoutError)
    assert [(gauge["name"], gauge["sum"]) for gauge in gauges] == [("both", 6)]
    assert [(gauge["name"], gauge["sum"]) for gauge in left_behind(path)] == [("both", 1)]
    stats = client.stats.gauges
    assert stats is not None
    assert (stats.accepted, stats.failed, stats.pending) == (2, 1, 1)


@pytest.mark.parametrize("names", [["gauge"], ["gauge", "another"]])
def test_beyond_its_bytes_samples_are_rejected_though_their_gauge_waits(
    make: Callable[..., Client],
    path: Path,
    server: LocalSegment,
    errors: Errors,
    names: list[str],
) -> None:
    client = make(SpoolConfig(path, max_bytes=1024 * 1024, fsync=None), aggregate=3600)
    source = "s" * 250
    server.hold()
    accepted = [
        client.gauge(names[n % len(names)], 1, source=source, timestamp=HOUR)[0]
        for n in range(4000)
    ]
    assert accepted == sorted(accepted, reverse=True)
    assert 2000 < sum(accepted) < 4000
    assert set(errors.types) == {QueueFullError}
    stats = client.stats.gauges
    assert stats is not None
    assert stats.spool is not None
    assert stats.rejected == len(errors.calls) == 4000 - sum(accepted)
    assert 1024 * 1024 - 1024 < stats.spool.bytes <= 1024 * 1024
    server.release()
    assert client.flush(10)
    assert sum(numbers(server)) == sum(accepted)
    wait_until(lambda: not list(path.rglob("*.seg")))
    wait_until(lambda: client.gauge("gauge", 1)[0])


def test_samples_that_do_not_fit_in_one_gauge_are_two_with_files_of_their_own(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    client = make(aggregate=3600)
    for value in (9e125, 8e125, 1):
        assert client.gauge("gauge", value, timestamp=HOUR)[0]
    assert client.flush(10)
    assert [len(request.measurements) for request in server.requests] == [2]
    assert sorted(numbers(server)) == [8e125, 9e125]
    assert client.shutdown(10)
    assert errors.calls == []
    assert files(path) == []


def test_a_sample_that_an_interruption_keeps_out_leaves_no_record(
    make: Callable[..., Client],
    path: Path,
    server: LocalSegment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = make(aggregate=3600)
    assert client.gauge("gauge", 1, timestamp=HOUR)[0]

    def interrupt(*_: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(GaugeQueue, "offer", interrupt)
        with pytest.raises(KeyboardInterrupt):
            client.gauge("gauge", 2, timestamp=HOUR)
    assert client.gauge("gauge", 4, timestamp=HOUR)[0]
    assert client.flush(10)
    assert numbers(server) == [5]
    assert client.shutdown(10)
    assert files(path) == []


def kill_after_gauges(path: Path, account: str) -> None:
    """Run a process that is killed when it has written 100 samples."""
    script = f"""
        import os, signal
        from segment_librato import Client, LibratoConfig, OpenTelemetryConfig
        client = Client(gauges={account}, spool={str(path)!r}, on_error=print)
        for n in range(100):
            assert client.gauge("gauge", n, source="web-1", timestamp={HOUR})[0]
        os.kill(os.getpid(), signal.SIGKILL)
    """
    process = subprocess.run(  # noqa: S603  the tests' own script
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert (process.returncode, process.stdout) == (-signal.SIGKILL, b""), process.stderr


@pytest.mark.parametrize("aggregate", [0, 3600])
def test_what_a_killed_process_left_is_delivered_one_by_one_by_the_next(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors, aggregate: int
) -> None:
    account = LibratoConfig(EMAIL, TOKEN, host=server.host)
    given = f"({EMAIL!r}, {TOKEN!r}, host={server.host!r}, upload_interval=600"
    with server.hold():
        kill_after_gauges(path, f"LibratoConfig{given}, aggregate={aggregate})")
    server.clear()
    client = make(aggregate=aggregate)
    assert client.config.gauges == account.with_options(aggregate=aggregate)
    assert client.gauge("own", 1000)[0]
    assert client.flush(10)
    wait_until(lambda: len(numbers(server)) == 101)
    assert numbers(server) == [1000, *range(100)]
    left = [gauge for request in server.requests for gauge in request.measurements][1:]
    assert {(gauge["name"], gauge["source"]) for gauge in left} == {("gauge", "web-1")}
    if aggregate:
        assert {gauge["count"] for gauge in left} == {1}
    assert client.shutdown(10)
    stats = client.stats.gauges
    assert stats is not None
    assert stats.spool is not None
    assert (stats.accepted, stats.delivered) == (1, 1)
    assert (stats.spool.adopted, stats.spool.recovered) == (100, 100)
    assert errors.calls == []
    assert files(path) == []


def test_a_process_that_is_killed_leaves_gauges_for_opentelemetry(
    path: Path, errors: Errors
) -> None:
    with OtlpReceiver() as receiver:
        headers = {"X-Token": TOKEN}
        account = OpenTelemetryConfig(receiver.host, headers, aggregate=3600)
        kill_after_gauges(
            path, f"OpenTelemetryConfig({receiver.host!r}, {headers!r}, aggregate=3600)"
        )
        assert not [one for one in path.rglob("*") if TOKEN in one.name]
        assert not [one for one in files(path) if TOKEN.encode() in one.read_bytes()]
        client = Client(gauges=account, spool=path, on_error=errors)
        assert client.gauge("own", 1000)[0]
        assert client.flush(10)
        assert receiver.wait_until(lambda: len(receiver.points) == 5 * 101)
        assert client.shutdown(10)
        assert {point.name for point in receiver.points[:5]} == {
            f"own{of}" for of in ("", ".count", ".sum", ".min", ".max")
        }
        for name in ("gauge", "gauge.sum", "gauge.min", "gauge.max"):
            points = [point for point in receiver.points if point.name == name]
            assert points == [Point(name, "web-1", HOUR, n) for n in range(100)]
    assert errors.calls == []
    assert files(path) == []


def test_each_token_for_opentelemetry_has_a_folder(path: Path) -> None:
    for headers in ({"X-Token": "1"}, {"X-Token": "2"}, None):
        for endpoint in (NOWHERE, "http://127.0.0.1:10"):
            for _ in range(2):
                Client(gauges=OpenTelemetryConfig(endpoint, headers), spool=path)
    assert len(list(path.iterdir())) == 6


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


@pytest.mark.parametrize("aggregate", [0, 3600])
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
    assert files(path) == []


@pytest.mark.parametrize("aggregate", [0, 3600])
def test_what_a_shutdown_would_leave_in_files_that_somebody_deleted_is_reported(
    make: Callable[..., Client], path: Path, errors: Errors, aggregate: int
) -> None:
    client = make(host=NOWHERE, aggregate=aggregate)
    for n in range(10):
        client.gauge("gauge", n)
    shutil.rmtree(path)
    leave(client)
    stats = client.stats.gauges
    assert stats is not None
    assert stats.pending == 0
    assert stats.failed == stats.accepted > 0
    assert {type(error) for error, _ in errors.calls} == {ShutdownTimeoutError}
