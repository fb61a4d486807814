"""Messages on disk, from the call to their outcome: with a real server, processes and signals."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.disk import failing
from support.interruptions import interrupted
from support.marks import needs_fork
from support.script import fork_warning, sequence_numbers
from support.spool import settle_one
from support.waiting import wait_until

from segment_librato import (
    APIError,
    Client,
    ConfigError,
    QueueFullError,
    ShutdownTimeoutError,
    SpoolConfig,
    SpoolCorruptError,
    SpoolExpiredError,
    SpoolFullError,
    SpoolStats,
)
from segment_librato.delivery import retry
from segment_librato.delivery.consumer import Consumer
from segment_librato.delivery.keeper import Keeper
from segment_librato.process.clock import monotonic
from segment_librato.queue import overflow as overflow_module
from segment_librato.queue import overflowing_queue, patient_queue
from segment_librato.queue.spooled_queue import SpooledQueue
from segment_librato.spooling import lane as lane_module
from segment_librato.spooling import merged
from segment_librato.spooling import spool as spool_module
from segment_librato.spooling.orphan import find_orphans
from segment_librato.spooling.run import Run
from segment_librato.spooling.segment import WrittenSegment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment
    from segment_librato.devserver.http.exchange import Request

NOWHERE = "http://127.0.0.1:9"  # where nothing listens
LONG = 60.0  # seconds that no test waits out


def track(client: Client, numbers: Iterable[int]) -> list[bool]:
    return [client.track("user", "event", {"n": n})[0] for n in numbers]


def left_behind(path: Path) -> list[int]:
    """Return the numbers of the messages of dead processes in a spool, in order; settle them."""
    found = []
    for folder in path.iterdir():
        for orphan in find_orphans(folder, lambda error: pytest.fail(str(error))):
            for segment, payload in orphan.messages():
                found.append(json.loads(payload)["properties"]["n"])
                settle_one(segment)
            orphan.close()
    return found


def files(path: Path) -> list[Path]:
    return [Path(folder, name) for folder, _, names in os.walk(path) for name in names]


def folder_of(path: Path) -> Path:
    """Return the only folder in a spool."""
    (folder,) = path.iterdir()
    return folder


def run_script(path: Path, script: str, status: int = 0, host: str = NOWHERE) -> str:
    """Run a process with a spool; check how it ended."""
    preamble = """
        import json, logging, os, signal, sys, threading, time
        from segment_librato import Client, SpoolConfig
        path, host = sys.argv[1:]
        logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        def on_error(error, messages):
            print("on_error", type(error).__name__, len(messages), flush=True)
        def make(**options):
            return Client("test-key", host, **{"spool": path, "on_error": on_error, **options})
        def track(client, numbers):
            for n in numbers:
                assert client.track("user", "event", {"n": n})[0]
    """
    source = textwrap.dedent(preamble) + textwrap.dedent(script)
    process = subprocess.run(  # noqa: S603  the tests' own script
        [sys.executable, "-W", "error", *fork_warning, "-c", source, str(path), host],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (process.returncode, process.stderr) == (status, "")
    return process.stdout


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def make(path: Path, server: LocalSegment, errors: Errors) -> Iterator[Callable[..., Client]]:
    """Make clients of the server with a spool; shut them down in the end."""
    made: list[Client] = []

    def make(write_key: str = "test-key", **options: Any) -> Client:
        options = {"host": server.host, "on_error": errors, "spool": str(path), **options}
        made.append(Client(write_key, **options))
        return made[-1]

    yield make
    server.release()
    for client in made:
        client.shutdown(timeout=0)


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have batches that were set aside come back soon."""
    monkeypatch.setattr(patient_queue, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(patient_queue, "MAX_PAUSE", 0.05)


def has(request: Request, number: int) -> bool:
    return any(message["properties"]["n"] == number for message in request.messages)


# Whatever ends the process


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(-9 & 0xFF)"])
def test_a_process_that_is_killed_leaves_each_message_it_accepted(path: Path, end: str) -> None:
    status = -signal.SIGKILL if "kill" in end else 0xF7
    run_script(path, f"track(make(), range(1000)); {end}", status)
    assert left_behind(path) == list(range(1000))
    assert files(path) == []


def test_messages_of_several_threads_survive_too(path: Path) -> None:
    script = """
        client = make()
        def work(first):
            track(client, range(first, first + 500))
        threads = [threading.Thread(target=work, args=(n * 500,)) for n in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    run_script(path, script, -signal.SIGKILL)
    assert sorted(left_behind(path)) == list(range(2000))


@needs_fork
def test_parent_and_child_have_files_of_their_own(path: Path) -> None:
    script = """
        client = make()
        track(client, range(10))
        child = os.fork()
        if not child:
            track(client, range(10, 20))
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        track(client, range(20, 30))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    run_script(path, script, -signal.SIGKILL)
    assert sorted(left_behind(path)) == list(range(30))


@needs_fork
def test_a_child_deletes_nothing_that_its_parent_still_writes(path: Path) -> None:
    script = """
        import gc
        client = make(upload_interval=60)
        track(client, range(1))
        lane, (segment,) = client.queue._lane, client.queue._lane._idle
        segment.settled += 1
        del segment
        child = os.fork()
        if not child:
            client.queue.reset()
            gc.collect()
            sys.exit()
        os.waitpid(child, 0)
        track(client, range(1, 2))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    run_script(path, script, -signal.SIGKILL)
    assert left_behind(path) == [0, 1]


@needs_fork
def test_a_child_counts_what_it_does_itself(path: Path, server: LocalSegment) -> None:
    """As all counters do, those of the spool start from 0; what is on disk is of both."""
    script = """
        before = make(spool=SpoolConfig(path, deliver=False))
        track(before, range(100, 104))
        before.shutdown()
        client = make(upload_interval=60)
        track(client, range(10))
        while client.stats.spool[1:4] != (1, 4, 4):
            time.sleep(0.01)
        spool = client.queue.spool
        spool.quarantined, spool.errors = 2, 1
        child = os.fork()
        if not child:
            stats = client.stats
            assert (stats.accepted, stats.pending) == (0, 0), stats
            assert stats.spool[2:] == (0, 0, 0, 0), stats
            assert stats.spool.segments == 1, stats
            track(client, range(10, 20))
            stats = client.stats
            assert (stats.accepted, stats.pending, stats.spool.segments) == (10, 10, 2), stats
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert client.stats.spool[2:] == (4, 4, 2, 1)
        os._exit(0)
    """
    run_script(path, script, host=server.host)
    assert sorted(left_behind(path)) == list(range(20))


@needs_fork
def test_a_child_tries_a_disk_in_trouble_itself(path: Path) -> None:
    """Its parent may have had too many files open, or not the room."""
    script = """
        client = make()
        spool, lane = client.queue.spool, client.queue._lane
        append, lane.append = lane.append, lambda *_: os.open("/nowhere/at/all", os.O_RDONLY)
        track(client, range(1))
        assert spool.is_in_trouble
        lane.append = append
        child = os.fork()
        if not child:
            track(client, range(1, 2))
            os._exit(0)
        os.waitpid(child, 0)
        os._exit(0)
    """
    run_script(path, script, 0)
    assert left_behind(path) == [1]


# Delivery


def test_what_was_delivered_is_deleted(
    make: Callable[..., Client], path: Path, server: LocalSegment
) -> None:
    client = make()
    assert all(track(client, range(1000)))
    assert client.flush(10)
    assert sequence_numbers(server) == list(range(1000))
    wait_until(lambda: client.stats.spool is not None and client.stats.spool.segments == 0)
    assert client.shutdown(10)
    assert files(path) == []
    assert client.stats[:5] == (1000, 1000, 0, 0, 0)


def test_what_failed_for_good_is_reported_and_deleted(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    server.respond(404, times=None)
    client = make()
    track(client, range(10))
    assert client.shutdown(10)
    assert errors.types == [APIError]
    assert client.stats.failed == len(errors.message_ids) == 10
    assert files(path) == []


def test_a_poisoned_message_costs_only_itself(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    server.respond(400, times=None, when=lambda request: has(request, 7))
    client = make(upload_interval=LONG)
    track(client, range(20))
    assert client.shutdown(10)
    assert sorted(sequence_numbers(server)) == [n for n in range(20) if n != 7]
    assert len(errors.message_ids) == 1
    assert files(path) == []


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("header", [{}, {"Retry-After": "0"}])
def test_budgets_of_retries_do_not_end_the_life_of_a_message(
    make: Callable[..., Client],
    server: LocalSegment,
    errors: Errors,
    header: dict[str, str],
) -> None:
    server.respond(503, times=20, headers=header)
    client = make(max_retries=0, max_total_backoff_duration=0, max_rate_limit_duration=0)
    track(client, range(10))
    assert client.flush(20)
    assert sequence_numbers(server) == list(range(10))
    assert errors.calls == []
    assert client.stats.retries == 20


@pytest.mark.usefixtures("short_pauses")
def test_a_batch_that_is_refused_again_and_again_lets_others_pass(
    make: Callable[..., Client], server: LocalSegment, errors: Errors
) -> None:
    server.respond(500, times=None, when=lambda request: has(request, 0))
    client = make(max_retries=0, upload_size=1)
    track(client, range(100))
    assert server.wait_until(lambda: len(server.messages) == 99)
    wait_until(lambda: client.stats.pending == 1)
    assert errors.calls == []


def test_pauses_grow_and_the_server_is_obeyed(make: Callable[..., Client]) -> None:
    queue: Any = make(upload_interval=LONG).queue
    queue.offer(b"{}")
    pauses = []
    for retry_after in (None, None, None, None, 300):
        batch = queue.take_now()
        before = queue.clock.now()
        assert queue.set_aside(batch, retry_after)
        pauses.append(batch.retry_at - before)
        assert queue.take_now() is None
        queue.begin_flush()
    expected = (60, 120, 240, 300, 300)
    assert all(
        0.8 * due <= pause <= 1.21 * due for pause, due in zip(pauses, expected, strict=True)
    )
    assert pauses[-1] >= 300


def test_a_batch_that_was_refused_thousands_of_times_is_tried_again(
    make: Callable[..., Client],
) -> None:
    """Each flush tries it at once, and an outage may last for days."""
    queue: Any = make(upload_interval=LONG).queue
    queue.offer(b"{}")
    for _ in range(2_000):
        batch = queue.take_now()
        before = queue.clock.now()
        assert queue.set_aside(batch, None)
        assert batch.retry_at - before <= 1.21 * 300
        queue.begin_flush()


# An outage


def test_an_outage_costs_disk_instead_of_messages_and_memory(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    client = make(max_queue_size=100)
    queue: Any = client.queue
    count = 50 * 100
    with server.hold():
        for n in range(count):
            assert track(client, range(n, n + 1)) == [True]
            stats = client.stats
            assert stats.accepted == n + 1 == stats.delivered + stats.failed + stats.pending
            assert len(queue._waiting) <= 100  # noqa: SLF001  what is in memory
        assert client.queue.qsize() > count - 300
    assert client.flush(20)
    assert sequence_numbers(server) == list(range(count))
    assert errors.calls == []
    assert client.stats[:5] == (count, count, 0, 0, 0)
    assert client.shutdown(10)
    assert files(path) == []


def test_the_sums_agree_while_threads_write_and_others_read(
    make: Callable[..., Client], server: LocalSegment
) -> None:
    client = make(max_queue_size=50, thread=3, upload_interval=0.01)
    done = threading.Event()
    wrong = []

    def look() -> None:
        before = 0
        while not done.is_set():
            stats = client.stats
            if stats.accepted != stats.delivered + stats.failed + stats.pending:
                wrong.append(stats)
            if stats.accepted < before:
                wrong.append(stats)
            before = stats.accepted

    def work(first: int) -> None:
        assert all(track(client, range(first, first + 2000)))

    threads = [threading.Thread(target=work, args=(n * 2000,)) for n in range(3)]
    looking = threading.Thread(target=look)
    for thread in (looking, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(20)
    done.set()
    looking.join()
    assert wrong == []
    assert sorted(sequence_numbers(server)) == list(range(6000))


def test_an_outage_leaves_messages_in_order_for_later(path: Path) -> None:
    script = """
        client = make(max_queue_size=100, exit_timeout=0)
        track(client, range(2000))
    """
    output = run_script(path, script)
    assert "messages: 2000 wait in " in output
    assert "on_error" not in output
    assert left_behind(path) == list(range(2000))


# The end


@pytest.mark.parametrize("timeout", [0, 0.3])
def test_the_exit_leaves_what_it_has_no_time_for(path: Path, timeout: float) -> None:
    began = monotonic()
    output = run_script(path, f"track(make(exit_timeout={timeout}), range(10))")
    assert monotonic() - began < 20
    lines = [line for line in output.splitlines() if "retrying" not in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"messages: 10 wait in {path}")
    assert left_behind(path) == list(range(10))


@pytest.mark.parametrize(
    "timeout, end",
    [(0, "pass"), (60, "client.shutdown(0)")],
    ids=["exit_timeout=0", "shutdown(0)"],
)
def test_without_time_the_exit_does_not_wait_for_an_answer(
    path: Path, server: LocalSegment, timeout: int, end: str
) -> None:
    """The server holds its answers for good: a wait for one would last until the timeout."""
    script = f"""
        import atexit
        client = make(exit_timeout={timeout}, timeout=60, upload_interval=0.01)
        track(client, range(10))
        while not client.queue.ledger.in_flight():
            time.sleep(0.01)
        before = time.monotonic()
        {end}
        atexit._run_exitfuncs()
        print("left after", time.monotonic() - before < 30, flush=True)
    """
    with server.hold():
        lines = run_script(path, script, host=server.host).splitlines()
    assert sorted(lines) == ["left after True", f"messages: 10 wait in {folder_of(path)}"]
    assert left_behind(path) == list(range(10))


@pytest.mark.parametrize("delivers", [True, False])
def test_the_exit_says_once_what_waits_though_other_threads_go_on(
    path: Path, delivers: bool
) -> None:
    """And others track in between, and after it."""
    script = f"""
        client = make(spool=SpoolConfig(path, deliver={delivers}), exit_timeout=0)
        def work():
            while True:
                track(client, range(1))
        for _ in range(4):
            threading.Thread(target=work, daemon=True).start()
        while client.stats.accepted < 100:
            time.sleep(0.01)
    """
    lines = [line for line in run_script(path, script).splitlines() if "retrying" not in line]
    ((number, rest),) = [line.removeprefix("messages: ").split(" ", 1) for line in lines]
    assert rest == f"wait in {folder_of(path)}"
    assert len(left_behind(path)) >= int(number) > 0


def test_a_path_stays_the_same_when_the_process_changes_its_folder(tmp_path: Path) -> None:
    script = f"""
        import segment_librato as analytics
        os.chdir({str(tmp_path)!r})
        analytics.write_key, analytics.host, analytics.spool = "test-key", host, "relative"
        analytics.exit_timeout = 0
        analytics.track("user", "event", {{"n": 0}})
        os.mkdir("elsewhere")
        os.chdir("elsewhere")
        analytics.upload_size = 10
        analytics.track("user", "event", {{"n": 1}})
        assert os.listdir() == []
        analytics.spool = "another"
        analytics.track("user", "event", {{"n": 2}})
        assert os.listdir() == ["another"]
    """
    run_script(tmp_path / "spool", script)
    assert sorted(left_behind(tmp_path / "relative")) == [0, 1]
    assert left_behind(tmp_path / "elsewhere" / "another") == [2]


def test_a_shutdown_leaves_what_it_has_no_time_for(
    make: Callable[..., Client], path: Path, errors: Errors, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(host=NOWHERE)
    track(client, range(10))
    with caplog.at_level(logging.INFO, "segment"):
        assert not client.shutdown(0.1)
    assert [line for line in caplog.messages if line.startswith("messages: 10 wait in")]
    assert errors.calls == []
    assert client.stats[:5] == (10, 0, 0, 0, 10)
    assert left_behind(path) == list(range(10))
    assert client.shutdown(0)
    assert client.stats.pending == 10


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("window", [100, 5])
def test_what_a_shutdown_leaves_is_only_what_has_no_outcome(
    make: Callable[..., Client],
    path: Path,
    server: LocalSegment,
    errors: Errors,
    status: int,
    window: int,
) -> None:
    server.respond(status, when=lambda request: has(request, 0))
    server.respond(503, times=None, when=lambda request: has(request, 24))
    client = make(upload_size=10, upload_interval=0.05, max_queue_size=window)
    with server.hold():
        track(client, range(25))
    assert server.wait_until(lambda: any(has(request, 24) for request in server.requests))
    assert not client.shutdown(0.1)
    stats = client.stats
    done = stats.delivered + stats.failed
    assert done == 25 - stats.pending > 0
    assert len(errors.message_ids) == stats.failed
    assert (stats.failed > 0) == (status == 404)
    assert left_behind(path) == list(range(done, 25))
    assert files(path) == []


def test_what_the_exit_leaves_is_only_what_has_no_outcome(path: Path, server: LocalSegment) -> None:
    script = """
        client = make(upload_size=10, upload_interval=60, exit_timeout=0)
        track(client, range(15))
        while client.stats.delivered < 10:
            time.sleep(0.01)
    """
    server.respond(503, times=None, when=lambda request: has(request, 10))
    output = run_script(path, script, host=server.host)
    assert "messages: 5 wait in " in output
    assert left_behind(path) == list(range(10, 15))


def test_without_a_thread_a_shutdown_leaves_what_it_has_no_time_for(
    make: Callable[..., Client], path: Path, errors: Errors, no_threads: None
) -> None:
    client = make(host=NOWHERE)
    track(client, range(10))
    assert not client.shutdown(0.1)
    assert errors.calls == []
    assert left_behind(path) == list(range(10))


@pytest.mark.usefixtures("no_threads")
def test_without_a_thread_a_shutdown_after_a_flush_lets_go_of_what_was_set_aside(
    make: Callable[..., Client], path: Path, errors: Errors
) -> None:
    client = make(host=NOWHERE, max_retries=0)
    track(client, range(10))
    assert not client.flush(0.1)
    assert not client.shutdown(0)
    assert errors.calls == []
    assert left_behind(path) == list(range(10))


def test_a_shutdown_without_time_waits_for_files_of_what_was_delivered(
    make: Callable[..., Client], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = WrittenSegment.delete_if_settled

    def delete_slowly(segment: WrittenSegment) -> bool:
        time.sleep(0.02)
        return delete(segment)

    monkeypatch.setattr(lane_module, "MAX_SEGMENT_BYTES", 100)
    monkeypatch.setattr(WrittenSegment, "delete_if_settled", delete_slowly)
    client = make()
    track(client, range(10))
    assert client.flush(10)
    assert client.shutdown(0)
    assert files(path) == []


def test_what_is_delivered_at_the_exit_leaves_no_file(path: Path, server: LocalSegment) -> None:
    output = run_script(path, "track(make(), range(1000))", host=server.host)
    assert output == ""
    assert sequence_numbers(server) == list(range(1000))
    assert files(path) == []


def test_a_client_that_was_dropped_lets_go_of_its_files(
    make: Callable[..., Client], path: Path, server: LocalSegment
) -> None:
    client = Client("test-key", server.host, spool=path)
    track(client, range(10))
    del client
    assert server.wait_until(lambda: len(server.messages) == 10)
    wait_until(lambda: files(path) == [])
    wait_until(
        lambda: not [one for one in threading.enumerate() if one.name.startswith("segment-")]
    )


def test_a_join_ends_every_thread_and_the_next_message_starts_them(
    make: Callable[..., Client], server: LocalSegment
) -> None:
    client = make()
    for n in range(3):
        track(client, range(n, n + 1))
        assert client.join(10)
        assert not [one for one in threading.enumerate() if one.name.startswith("segment-")]
    assert sequence_numbers(server) == [0, 1, 2]


# Only writing


def test_a_call_that_is_interrupted_at_once_leaves_the_exit_to_the_next_one(
    make: Callable[..., Client], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(spool=SpoolConfig(path, deliver=False))
    (pipeline,) = client._router._pipelines  # noqa: SLF001  it registers for the exit
    interruptions = iter([KeyboardInterrupt])

    def hook_in() -> None:
        for interruption in interruptions:
            raise interruption

    monkeypatch.setattr(pipeline, "hook_in", hook_in)
    with pytest.raises(KeyboardInterrupt):
        track(client, [0])
    assert client.queue.is_unserved
    assert track(client, [1]) == [True]
    assert not client.queue.is_unserved


def test_after_a_shutdown_nothing_is_written_that_was_in_memory(
    make: Callable[..., Client], path: Path
) -> None:
    client = make(spool=SpoolConfig(path, deliver=False))
    client.shutdown()
    queue = client.queue
    assert isinstance(queue, SpooledQueue)
    queue.unwritten.add(b"{}")  # by a call that began before
    assert track(client, [0]) == [False]
    assert files(path) == []


def test_what_a_call_accepts_in_memory_during_a_shutdown_is_reported_at_the_exit(
    path: Path,
) -> None:
    script = """
        import errno
        from segment_librato.spooling import lane
        client = make(spool=SpoolConfig(path, deliver=False))
        def shut_down_and_fail(*_):
            client.shutdown()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        lane.write = shut_down_and_fail
        track(client, [0])
        assert client.stats.pending == 1, client.stats
        print("exit")
    """
    _, at_the_exit = run_script(path, script).split("exit\n")
    assert at_the_exit.startswith("on_error ShutdownTimeoutError 1\n")
    assert "time ran out before delivery; the disk did not take them\n" in at_the_exit
    assert left_behind(path) == []


def test_a_client_that_only_writes_has_no_thread_and_imports_no_http(path: Path) -> None:
    script = """
        client = make(spool=SpoolConfig(path, deliver=False))
        track(client, range(100))
        assert client.flush()
        assert threading.active_count() == 1
        assert not {"requests", "urllib3", "http.client"} & set(sys.modules)
        stats = client.stats
        assert (stats.accepted, stats.pending) == (100, 100), stats
        assert stats.spool.segments == 1
        track(client, range(100, 200))
    """
    output = run_script(path, script)
    assert output.startswith("messages: 200 wait in ")
    assert left_behind(path) == list(range(200))


def test_a_client_that_only_writes_keeps_in_memory_what_it_cannot_write(
    make: Callable[..., Client], path: Path, errors: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(spool=SpoolConfig(path, deliver=False))
    track(client, range(2))
    with monkeypatch.context() as patch:
        fail_to_write(patch, errno.ENOSPC)
        assert all(track(client, range(2, 4)))
        assert not client.flush()
        assert client.stats[:5] == (4, 0, 0, 0, 4)
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + 31)
    assert client.flush()
    assert client.stats[:5] == (4, 0, 0, 0, 4)
    assert client.shutdown()
    assert sorted(left_behind(path)) == list(range(4))
    assert errors.calls == []


def test_a_client_that_only_writes_writes_what_waits_when_the_disk_works_again(path: Path) -> None:
    script = """
        import errno
        from segment_librato.spooling import lane
        client = make(spool=SpoolConfig(path, deliver=False))
        write, spool = lane.write, client.queue.spool
        def fail(*_):
            raise OSError(errno.ENOSPC, "No space left on device")
        lane.write = fail
        track(client, range(10))
        lane.write, spool._retry_at = write, 1e-9  # there is room again, and it is time to look
        track(client, [10])
        os.kill(os.getpid(), signal.SIGKILL)
    """
    run_script(path, script, -signal.SIGKILL)
    assert left_behind(path) == list(range(11))


def test_each_call_writes_a_batch_of_what_waits_at_most_and_keeps_the_order(
    make: Callable[..., Client], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(spool=SpoolConfig(path, deliver=False), upload_size=10)
    queue: Any = client.queue
    now = monotonic()
    monkeypatch.setattr(spool_module, "monotonic", lambda: now)
    with monkeypatch.context() as patch:
        failed = fail_to_write(patch, errno.ENOSPC)
        assert all(track(client, range(25)))
        assert len(failed) == 1
        now += 31
        assert all(track(client, range(25, 27)))
        assert len(failed) == 2
    now += 31
    written = 0
    for _ in range(2):
        assert all(track(client, [0]))
        records = queue.unwritten._lane._idle[0].records  # noqa: SLF001  with the oldest
        assert records - written == 10
        written = records
    assert client.stats[:5] == (29, 0, 0, 0, 29)
    assert not queue.is_settled()
    assert client.flush()
    assert not queue.unwritten.messages  # the memory is free
    assert client.stats[:5] == (29, 0, 0, 0, 29)
    assert client.shutdown()
    assert left_behind(path) == [*range(10), 0, *range(10, 20), 0, *range(20, 27)]


def test_a_client_that_only_writes_rejects_what_a_full_spool_has_no_room_for(
    make: Callable[..., Client], path: Path, errors: Errors
) -> None:
    client = make(spool=SpoolConfig(path, max_bytes=1024 * 1024, deliver=False))
    calls = [client.track("user", "event", {"n": n, "text": "x" * 10_000}) for n in range(120)]
    accepted = [message["properties"]["n"] for is_accepted, message in calls if is_accepted]
    rejected = [message["messageId"] for is_accepted, message in calls if not is_accepted]
    assert len(accepted) > 90
    assert set(errors.types) == {QueueFullError}
    assert errors.message_ids == rejected != []
    assert client.stats[:5] == (len(accepted), 0, 0, len(rejected), len(accepted))
    assert client.shutdown()
    assert left_behind(path) == accepted


def test_a_client_that_only_writes_flushes_an_event_loop_without_a_thread(
    make: Callable[..., Client], path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(spool=SpoolConfig(path, fsync=LONG, deliver=False))
    threads = threading.active_count()
    track(client, range(2))
    synced.clear()
    track(client, range(2, 4))
    assert asyncio.run(client.aflush(0))
    assert synced == [".seg", ".run"]
    with monkeypatch.context() as patch:
        fail_to_write(patch, errno.ENOSPC)
        track(client, range(4, 6))
        assert not asyncio.run(client.aflush(0))
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + 31)
    assert asyncio.run(client.aflush(0))
    assert threading.active_count() == threads
    assert client.shutdown()
    assert sorted(left_behind(path)) == list(range(6))


@pytest.mark.parametrize(
    "end, status",
    [
        ("signal.signal(signal.SIGTERM, lambda *_: os._exit(3))", 3),  # the handler of a framework
        ("pass", -signal.SIGTERM),
    ],
    ids=["with a handler", "without one"],
)
def test_a_client_that_only_writes_has_sigterm_write_what_is_only_in_memory(
    path: Path, end: str, status: int
) -> None:
    script = f"""
        import errno
        import segment_librato
        from segment_librato.spooling import lane
        {end}
        segment_librato.flush_on_sigterm()
        client = make(spool=SpoolConfig(path, deliver=False))
        write, spool = lane.write, client.queue.spool
        def fail(*_):
            raise OSError(errno.ENOSPC, "No space left on device")
        lane.write = fail
        track(client, range(10))
        assert spool.is_in_trouble
        lane.write, spool._retry_at = write, 1e-9  # there is room again, and it is time to look
        os.kill(os.getpid(), signal.SIGTERM)
    """
    run_script(path, script, status)
    assert left_behind(path) == list(range(10))


@pytest.mark.parametrize("delivers", [True, False])
def test_a_call_does_not_wait_for_another_thread_to_look_how_much_there_is(
    make: Callable[..., Client], path: Path, monkeypatch: pytest.MonkeyPatch, *, delivers: bool
) -> None:
    client = make(spool=SpoolConfig(path, deliver=delivers), host=NOWHERE)
    look, accepted = spool_module._entries, []  # noqa: SLF001  what takes long in a large folder

    def look_slowly(folder: Any) -> Any:
        monkeypatch.setattr(spool_module, "_entries", look)
        other = threading.Thread(target=lambda: accepted.extend(track(client, range(1, 2))))
        other.start()
        other.join(10)
        return look(folder)

    monkeypatch.setattr(spool_module, "_entries", look_slowly)
    accepted += track(client, range(1))
    assert accepted == [True, True]
    assert client.stats.rejected == 0


# Trouble


def fail_to_write(patch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Have each write of a record fail; return a list that grows with each."""
    failed: list[int] = []

    def write(descriptor: int, data: bytes) -> int:
        failed.append(len(data))
        raise OSError(number, os.strerror(number))

    patch.setattr("segment_librato.spooling.lane.write", write)
    return failed


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EMFILE])
def test_what_cannot_be_written_stays_in_memory(
    make: Callable[..., Client],
    path: Path,
    server: LocalSegment,
    errors: Errors,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    client = make(upload_interval=LONG)
    with monkeypatch.context() as patch:
        failed = fail_to_write(patch, number)
        assert all(track(client, range(10)))
        assert len(failed) == 1
    reason = os.strerror(number)
    folder = folder_of(path)
    assert caplog.messages == [
        f"the spool in {folder} does not work: {reason}; messages stay in memory"
    ]
    assert all(track(client, range(10, 20)))
    assert client.stats.spool is not None
    assert client.stats.spool.errors == 1
    assert client.stats.spool.bytes == 0
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + 31)
    assert all(track(client, range(20, 30)))
    assert caplog.messages[1:] == [f"the spool in {folder} works again"]
    assert client.stats.spool.bytes > 0
    assert client.shutdown(10)
    assert sequence_numbers(server) == list(range(30))
    assert errors.calls == []
    assert files(path) == []


def test_what_is_only_in_memory_is_reported_at_the_end(
    make: Callable[..., Client], path: Path, errors: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(host=NOWHERE, upload_interval=LONG)
    track(client, range(5))
    with monkeypatch.context() as patch:
        fail_to_write(patch, errno.ENOSPC)
        track(client, range(5, 8))
    assert not client.shutdown(0.1)
    assert [len(messages) for _, messages in errors.calls] == [3]
    assert client.stats[:5] == (8, 0, 3, 0, 5)
    assert left_behind(path) == list(range(5))


def test_while_it_cannot_be_written_memory_is_bounded(
    make: Callable[..., Client],
    server: LocalSegment,
    errors: Errors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = make(max_queue_size=10, upload_interval=LONG, upload_size=100)
    with server.hold(), monkeypatch.context() as patch:
        fail_to_write(patch, errno.ENOSPC)
        accepted = track(client, range(100))
        assert 10 <= sum(accepted) <= 30
        assert set(errors.types) == {QueueFullError}
    assert client.flush(10)
    assert len(sequence_numbers(server)) == sum(accepted)


def test_an_alarm_in_the_middle_of_a_write_reaches_the_caller(
    make: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make()
    track(client, range(1))

    def handler(number: int, frame: object) -> None:
        raise TimeoutError("the time is up")

    def write(descriptor: int, data: bytes) -> int:
        signal.raise_signal(signal.SIGUSR1)
        return len(data)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr("segment_librato.spooling.lane.write", write)
            with pytest.raises(TimeoutError, match="the time is up"):
                track(client, range(1, 2))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert client.stats.spool is not None
    assert client.stats.spool.errors == 0
    assert track(client, range(2, 3)) == [True]


@pytest.mark.parametrize("window", [5, 10_000])
def test_calls_that_a_signal_handler_ends_anywhere_leave_the_sums_right_and_no_file(
    make: Callable[..., Client], path: Path, server: LocalSegment, window: int
) -> None:
    client = make(max_queue_size=window, upload_interval=LONG, upload_size=1000)
    client.track("user", "event", {"n": -1})
    with server.hold():
        returned = [
            n for n in range(1500) if not interrupted(partial(track, client, [n]), n % 250 + 1)
        ]
    assert len(returned) < 1400
    assert client.flush(20)
    stats = client.stats
    assert stats.accepted == stats.delivered == len(sequence_numbers(server))
    assert set(sequence_numbers(server)) >= {*returned}
    assert len({*sequence_numbers(server)}) == len(sequence_numbers(server))
    assert stats.pending == 0
    assert client.shutdown(10)
    assert files(path) == []


def test_a_folder_that_was_removed_is_made_again(
    make: Callable[..., Client], path: Path, server: LocalSegment
) -> None:
    client = make()
    track(client, range(10))
    assert client.flush(10)
    wait_until(lambda: not list(path.rglob("*.seg")))
    for run in path.glob("*/*.run"):
        for file in run.iterdir():
            file.unlink()
        run.rmdir()
    track(client, range(10, 20))
    assert client.stats.spool is not None
    assert client.stats.spool.errors == 0
    assert client.shutdown(10)
    assert sequence_numbers(server) == list(range(20))


@pytest.mark.parametrize("spool", ["{path}", "{path}/below"])
def test_a_path_that_cannot_be_made_is_rejected(tmp_path: Path, spool: str) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigError, match=r"^spool: cannot make or read the folder .*/file"):
        Client("test-key", spool=spool.format(path=file))


def test_nothing_is_opened_for_a_client_that_sends_nothing(path: Path) -> None:
    Client("test-key", send=False, spool=path).track("user", "event")
    Client("", spool=path).track("user", "event")
    assert not path.exists()


# Bounds


def fill(client: Client, size: int, count: int) -> list[bool]:
    return [client.track("user", "event", {"n": n, "filling": "x" * size})[0] for n in range(count)]


def spool_of(client: Client) -> SpoolStats:
    spool = client.stats.spool
    assert spool is not None
    return spool


def spool_bytes(client: Client) -> int:
    return spool_of(client).bytes


def test_beyond_its_bytes_messages_are_rejected_and_then_accepted_again(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    client = make(spool=SpoolConfig(path, max_bytes=1024 * 1024), max_queue_size=10)
    with server.hold():
        accepted = fill(client, 10_000, 200)
        assert 90 < sum(accepted) < 106
        assert set(errors.types) == {QueueFullError}
        assert str(errors.calls[0][0]).startswith("the spool has 10")
        assert client.stats.rejected == 200 - sum(accepted)
        assert client.stats.spool is not None
        assert client.stats.spool.bytes <= 1024 * 1024
    assert client.flush(10)
    wait_until(lambda: not list(path.rglob("*.seg")))
    wait_until(lambda: fill(client, 10_000, 1) == [True])


def test_a_full_spool_is_not_said_to_accept_again_because_a_batch_is_taken(path: Path) -> None:
    output = run_script(
        path,
        """
        client = make(spool=SpoolConfig(path, max_bytes=1024 * 1024), exit_timeout=0)
        for n in range(150):
            client.track("user", "event", {"n": n, "text": "x" * 10_000})
        """,
    )
    assert "messages are rejected: the spool has 10" in output
    assert "wait in" in output
    assert "messages are accepted again" not in output


@pytest.mark.parametrize("options", [{"fsync": 0}, {"fsync": None}, {"deliver": False}])
def test_the_bound_holds_for_all_processes_of_a_folder(
    make: Callable[..., Client], path: Path, server: LocalSegment, options: dict[str, Any]
) -> None:
    """A client each, which know nothing of one another, stand for the processes."""
    config = SpoolConfig(path, max_bytes=4 * 1024 * 1024, **options)
    clients = [make(spool=config, max_queue_size=10) for _ in range(4)]
    with server.hold():
        for _ in range(200):
            for client in clients:
                fill(client, 10_000, 1)
        in_each = lane_module.MAX_SEGMENT_BYTES + 2 * 10_500  # until it looks again
        assert 4_000_000 < spool_bytes(clients[0]) < 4 * 1024 * 1024 + 4 * in_each


@pytest.mark.parametrize("fsync", [0.01, LONG])
def test_the_oldest_make_room_at_once_if_that_is_wanted(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors, fsync: float
) -> None:
    config = SpoolConfig(path, max_bytes=2 * 1024 * 1024, when_full="drop_oldest", fsync=fsync)
    client = make(spool=config, max_queue_size=10, upload_size=1)
    with server.hold():
        accepted = []
        for n in range(600):
            accepted += fill(client, 10_000, 1)
            if n % 10 == 0:
                wait_until(lambda: spool_bytes(client) <= 2 * 1024 * 1024)
        assert all(accepted)
        wait_until(lambda: spool_bytes(client) <= 2 * 1024 * 1024)
        assert set(errors.types) == {SpoolFullError}
    assert client.flush(20)
    stats = client.stats
    assert stats.failed == len(errors.message_ids) > 300
    assert stats.delivered + stats.failed == 600
    arrived = {message["messageId"] for message in server.messages}
    assert not arrived & set(errors.message_ids)


def test_an_on_error_that_exits_does_not_keep_newer_messages_from_being_accepted(
    make: Callable[..., Client], path: Path, server: LocalSegment
) -> None:
    """It is called on the thread that makes room, which goes on."""
    told: list[str] = []

    def exit_(error: Exception, messages: list[dict[str, Any]]) -> None:
        assert type(error) is SpoolFullError
        told.extend(message["messageId"] for message in messages)
        raise SystemExit

    config = SpoolConfig(path, max_bytes=1024 * 1024, when_full="drop_oldest", fsync=0.01)
    client = make(spool=config, max_queue_size=10, upload_size=1, on_error=exit_)
    with server.hold():
        for _ in range(30):
            assert all(fill(client, 10_000, 10))
            wait_until(lambda: spool_bytes(client) <= 1024 * 1024)
    assert client.flush(20)
    stats = client.stats
    assert stats.failed == len(told) == len(set(told)) > 150
    assert stats.delivered + stats.failed == 300


def test_room_is_not_made_while_all_that_there_is_is_being_sent(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    """Another process may have filled the spool."""
    config = SpoolConfig(path, max_bytes=1024 * 1024, when_full="drop_oldest", fsync=LONG)
    client = make(spool=config, upload_size=1)
    other = Run(folder_of(path))
    with server.hold():
        track(client, range(1))
        assert server.wait_until(lambda: server.held == 1)
        lane = other.lane()
        for _ in range(120):
            lane.append(b"x" * 10_000)
        upkeep: Any = client._router._pipelines[0]._upkeep  # noqa: SLF001  its thread does this
        for _ in range(3):
            upkeep.make_room()
        assert spool_bytes(client) > 1024 * 1024
        assert client.stats.pending == 1
    assert client.flush(10)
    assert errors.calls == []
    assert client.stats.delivered == 1
    other.close()


def test_a_keeper_that_has_ended_is_replaced_though_consumers_live(
    make: Callable[..., Client], path: Path, synced: list[str]
) -> None:
    client = make(spool=SpoolConfig(path, fsync=0.01), upload_interval=LONG)
    track(client, range(1))
    wait_until(lambda: bool(synced))
    keeper = next(one for one in threading.enumerate() if one.name == "segment-keeper")
    client._router._segment._upkeep.stop()  # type: ignore[union-attr]  # noqa: SLF001  as `join`
    keeper.join()
    synced.clear()
    track(client, range(1, 3))
    wait_until(lambda: bool(synced))


def overflow(client: Client, server: LocalSegment) -> None:
    """Have ten messages sent, with no answer yet; ten in memory; and 30 on disk only."""
    track(client, range(10))
    assert server.wait_until(lambda: server.held == 1)
    track(client, range(10, 50))


@pytest.fixture
def overflowing(make: Callable[..., Client], path: Path, fast_polls: None) -> Client:
    config = SpoolConfig(path, fsync=None)
    return make(spool=config, max_queue_size=10, upload_size=10, upload_interval=LONG)


@pytest.fixture
def fast_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overflowing_queue, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(overflow_module, "MAX_FRUITLESS_SECONDS", 0.2)


def overflow_file(path: Path) -> Path:
    """Return the file that has what is on disk only: the younger one."""
    return max(path.rglob("*.seg"))


def test_of_files_that_somebody_deletes_memory_is_delivered_and_the_rest_fails(
    overflowing: Client,
    path: Path,
    server: LocalSegment,
    errors: Errors,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = overflowing
    with server.hold():
        overflow(client, server)
        gone = overflow_file(path)
        shutil.rmtree(path)
    assert client.flush(20)
    sent = client.stats.delivered
    assert sequence_numbers(server) == list(range(sent))
    assert sent >= 10
    assert client.stats[:5] == (50, sent, 50 - sent, 0, 0)
    ((error, messages),) = errors.calls
    assert isinstance(error, SpoolCorruptError)
    assert (error.path, error.bytes, error.lost, messages) == (str(gone), 0, 50 - sent, [])
    reason = f"somebody deleted or shortened what the spool has in use: {gone}"
    assert caplog.messages == [f"messages not delivered: {50 - sent}; {reason}"]
    track(client, range(50, 100))  # and nothing more is written to what is gone
    assert client.flush(20)
    assert sequence_numbers(server)[sent:] == list(range(50, 100))
    assert client.stats.pending == 0


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_somebody_puts_in_the_place_of_a_file_is_not_read(
    overflowing: Client, path: Path, server: LocalSegment, errors: Errors, kind: str
) -> None:
    client = overflowing
    with server.hold():
        overflow(client, server)
        file = overflow_file(path)
        if kind == "link":
            file.rename(path / "elsewhere")
            file.symlink_to(path / "elsewhere")
        else:
            file.unlink()
            file.mkdir()
    assert client.flush(20)
    ((error, _),) = errors.calls
    assert isinstance(error, SpoolCorruptError)
    assert (error.path, error.lost) == (str(file), client.stats.failed)
    assert client.stats.pending == 0


def test_several_files_that_somebody_deletes_are_told_of_once(
    overflowing: Client,
    path: Path,
    server: LocalSegment,
    errors: Errors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane_module, "MAX_SEGMENT_BYTES", 600)
    client = overflowing
    with server.hold():
        overflow(client, server)
        run = overflow_file(path).parent
        shutil.rmtree(path)
    assert client.flush(20)
    ((error, _),) = errors.calls
    assert isinstance(error, SpoolCorruptError)
    assert (error.path, error.lost) == (str(run), client.stats.failed)
    assert client.stats.pending == 0


def test_of_a_file_that_somebody_shortens_the_rest_fails(
    overflowing: Client, path: Path, server: LocalSegment, errors: Errors
) -> None:
    client = overflowing
    with server.hold():
        overflow(client, server)
        file = overflow_file(path)
        os.truncate(file, 16)
    assert client.flush(20)
    ((error, messages),) = errors.calls
    assert isinstance(error, SpoolCorruptError)
    assert (error.path, messages) == (str(file), [])
    assert error.lost == client.stats.failed == 50 - len(sequence_numbers(server)) > 20
    assert client.stats.pending == 0
    wait_until(lambda: not list(path.rglob("*.seg")))


@pytest.mark.parametrize("is_movable", [True, False])
def test_damage_to_a_file_of_a_live_process_costs_only_what_was_in_it(
    overflowing: Client, path: Path, server: LocalSegment, errors: Errors, is_movable: bool
) -> None:
    client = overflowing
    with server.hold():
        overflow(client, server)
        file = overflow_file(path)
        size = file.stat().st_size
        data = bytearray(file.read_bytes())
        data[-1] ^= 1  # of the last message
        file.write_bytes(data)
        if not is_movable:
            (folder_of(path) / "quarantine").touch()
    assert client.flush(20)
    assert sequence_numbers(server) == list(range(49))
    ((error, messages),) = errors.calls
    assert isinstance(error, SpoolCorruptError)
    assert (error.lost, messages) == (1, [])
    assert client.stats[:5] == (50, 49, 1, 0, 0)
    assert client.stats.spool is not None
    assert client.stats.spool.quarantined == is_movable
    assert client.shutdown(10)
    if is_movable:
        moved = Path(error.path)
        assert moved.parent.name == "quarantine"
        assert moved.stat().st_size == error.bytes < size / 20
        assert files(path) == [moved]
    else:
        assert error.path == str(file)
        assert file.stat().st_size == size


def test_a_file_that_cannot_be_read_for_now_is_read_later(
    overflowing: Client,
    path: Path,
    server: LocalSegment,
    errors: Errors,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = overflowing

    with monkeypatch.context() as patch:
        patch.setattr(merged, "_open", failing(errno.EMFILE))
        with server.hold():
            overflow(client, server)
            file = overflow_file(path)
        assert not client.flush(0.3)
    reason = "Too many open files"
    assert caplog.messages == [f"the spool's file {file} cannot be read, and stays: {reason}"]
    assert client.flush(20)
    assert sorted(sequence_numbers(server)) == list(range(50))
    assert errors.calls == []


def test_a_file_whose_middle_cannot_be_read_for_now_is_read_on_from_there(
    overflowing: Client,
    path: Path,
    server: LocalSegment,
    errors: Errors,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = overflowing
    failed: list[bytes] = []
    advance = merged._Open.advance  # noqa: SLF001  where the disk is read

    def fail_at_35(opened: Any) -> int | None:
        number = advance(opened)
        if not failed and b'"n":35' in opened.payload.replace(b" ", b""):
            failed.append(opened.payload)
            raise OSError(errno.EIO, "Input/output error")
        return number

    monkeypatch.setattr(merged._Open, "advance", fail_at_35)  # noqa: SLF001  the same
    with server.hold():
        overflow(client, server)
        file = overflow_file(path)
    assert client.flush(20)
    reason = "Input/output error"
    assert caplog.messages == [f"the spool's file {file} cannot be read, and stays: {reason}"]
    assert len(failed) == 1
    assert sequence_numbers(server) == list(range(50))
    assert spool_of(client).errors == 1
    assert errors.calls == []
    assert client.shutdown(10)
    assert files(path) == []


def test_what_a_shutdown_would_leave_in_files_that_somebody_deleted_is_reported(
    make: Callable[..., Client], path: Path, errors: Errors, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(
        host=NOWHERE, spool=SpoolConfig(path, fsync=None), max_queue_size=10, upload_interval=LONG
    )
    track(client, range(50))
    shutil.rmtree(path)
    with caplog.at_level(logging.INFO, "segment"):
        assert not client.shutdown(0)
    assert client.stats[:5] == (50, 0, 50, 0, 0)
    by_type = {type(error): len(messages) for error, messages in errors.calls}
    (lost,) = [error.lost for error, _ in errors.calls if isinstance(error, SpoolCorruptError)]
    assert by_type == {SpoolCorruptError: 0, ShutdownTimeoutError: 50 - lost}
    assert not [line for line in caplog.messages if " wait in " in line]


def test_a_client_that_only_writes_reports_at_the_end_what_somebody_deleted(
    make: Callable[..., Client], path: Path, errors: Errors
) -> None:
    client = make(spool=SpoolConfig(path, deliver=False))
    track(client, range(10))
    shutil.rmtree(path)
    client.shutdown()
    ((error, messages),) = errors.calls
    assert isinstance(error, SpoolCorruptError)
    assert (error.lost, messages) == (10, [])
    assert client.stats[:5] == (10, 0, 10, 0, 0)


def test_a_client_that_only_writes_does_not_grow_with_its_files(
    make: Callable[..., Client], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "MAX_SEGMENT_BYTES", 100)  # a message each
    monkeypatch.setattr(overflow_module, "MAX_WATCHED", 5)
    client = make(spool=SpoolConfig(path, deliver=False, fsync=None))
    track(client, range(50))
    assert len(files(path)) == 1 + 50  # with the lock
    kept = [one for one in gc.get_objects() if type(one) is WrittenSegment]  # proxies may raise
    assert len([one for one in kept if path in one.path.parents]) <= 5 + 1


def test_what_nobody_can_find_is_left(
    overflowing: Client, path: Path, server: LocalSegment
) -> None:
    """As by a thread that writes while the exit gives up, and tracks once more."""
    client = overflowing
    with server.hold():
        overflow(client, server)
        queue: Any = client.queue
        idle = queue._overflow.lane._idle  # noqa: SLF001  to stop a call in the middle of a write
        segment = idle.pop()
        queue.abandon([])
        idle.append(segment)
        track(client, range(50, 61))
    assert client.flush(10)
    assert client.stats.pending == 51
    assert client.shutdown(10)
    assert left_behind(path) == [*range(50), 60]


def test_a_file_that_somebody_deletes_while_it_is_written_is_not_written_on(
    make: Callable[..., Client], path: Path, server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(spool=SpoolConfig(path, fsync=0.01), upload_interval=LONG)
    track(client, range(1))
    run = overflow_file(path).parent
    shutil.rmtree(path)
    track(client, range(1, 2))
    wait_until(lambda: bool(caplog.messages))
    assert caplog.messages == [
        f"somebody deleted {run}, which was in use; what is in memory is delivered all the same"
    ]
    track(client, range(2, 3))
    assert len(list(path.rglob("*.seg"))) == 1
    assert client.flush(10)
    assert sequence_numbers(server) == [0, 1, 2]


@pytest.mark.usefixtures("short_pauses")
def test_what_is_too_old_is_reported(
    make: Callable[..., Client], path: Path, errors: Errors
) -> None:
    config = SpoolConfig(path, max_age=0.05)
    client = make(host=NOWHERE, spool=config, max_retries=0)
    track(client, range(10))
    assert client.flush(20)
    assert errors.types == [SpoolExpiredError]
    assert client.stats[:5] == (10, 0, 10, 0, 0)


def test_what_becomes_too_old_while_it_is_set_aside_is_reported_then(
    make: Callable[..., Client], path: Path, errors: Errors
) -> None:
    """And not when it is its turn, after a minute."""
    client = make(host=NOWHERE, spool=SpoolConfig(path, max_age=1), max_retries=0)
    track(client, range(10))
    wait_until(lambda: errors.calls != [])
    assert errors.types == [SpoolExpiredError]
    wait_until(lambda: client.stats[:5] == (10, 0, 10, 0, 0))


def test_what_becomes_too_old_between_retries_is_reported_then(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    server.respond(429, times=None, headers={"Retry-After": "60"})
    client = make(spool=SpoolConfig(path, max_age=1))
    track(client, range(10))
    wait_until(lambda: errors.calls != [])
    assert errors.types == [SpoolExpiredError]
    wait_until(lambda: client.stats[:5] == (10, 0, 10, 0, 0))
    assert len(server.requests) == 1


# Power loss


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the kind of each file that the disk is asked to hold."""
    paths: list[str] = []
    fsync = os.fsync

    def watch(descriptor: int) -> None:
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink().suffix)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    return paths


def test_each_call_waits_for_the_disk_if_that_is_wanted(
    make: Callable[..., Client], path: Path, synced: list[str]
) -> None:
    client = make(spool=SpoolConfig(path, fsync=0), upload_interval=LONG)
    track(client, range(10))
    assert synced.count(".seg") == 10
    assert synced.count(".run") == 1


@pytest.mark.parametrize("window", [1, 10_000])
def test_what_the_disk_does_not_confirm_is_sent_once(
    make: Callable[..., Client],
    path: Path,
    server: LocalSegment,
    monkeypatch: pytest.MonkeyPatch,
    window: int,
) -> None:
    client = make(
        spool=SpoolConfig(path, fsync=0), upload_interval=LONG, upload_size=5, max_queue_size=window
    )
    with server.hold(), monkeypatch.context() as patch:
        track(client, range(5))  # nothing is delivered yet, so that no file is deleted

        patch.setattr(os, "fsync", failing(errno.EIO))
        assert all(track(client, range(5, 6)))
    assert client.stats.spool is not None
    assert client.stats.spool.errors >= 1
    accepted = [*range(6), *(n for n in range(6, 10) if track(client, [n])[0])]
    assert client.flush(10)
    assert sorted(sequence_numbers(server)) == accepted
    assert client.stats.delivered == len(accepted)
    assert client.stats.pending == 0


def test_nobody_asks_for_the_disk_if_that_is_wanted(
    make: Callable[..., Client], path: Path, synced: list[str]
) -> None:
    client = make(spool=SpoolConfig(path, fsync=None))
    track(client, range(10))
    assert client.shutdown(10)
    assert synced == []


def test_the_disk_is_asked_in_the_background_and_only_after_a_message(
    make: Callable[..., Client], path: Path, server: LocalSegment, synced: list[str]
) -> None:
    client = make(spool=SpoolConfig(path, fsync=0.02), upload_interval=LONG)
    with server.hold():
        track(client, range(1))
        wait_until(lambda: len(synced) == 5)
        assert synced == [".seg", ".run", "", "", ""]  # and once the folders that it is in
        time.sleep(0.1)  # several times as long as it takes to ask again
        assert len(synced) == 5
        track(client, range(1, 2))
        wait_until(lambda: len(synced) == 7)


def test_the_disk_is_asked_again_after_it_has_failed(
    make: Callable[..., Client], path: Path, server: LocalSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(spool=SpoolConfig(path, fsync=0.02), upload_interval=LONG)
    synced: list[int] = []

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EIO))
        track(client, range(10))
        wait_until(lambda: spool_of(client).errors == 1)
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + 31)
    monkeypatch.setattr(os, "fsync", synced.append)
    track(client, range(10, 20))
    wait_until(lambda: len(synced) > 1)  # the file, and the folders


def test_a_client_that_only_writes_asks_for_the_disk_in_a_call(
    make: Callable[..., Client], path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(spool=SpoolConfig(path, fsync=0.5, deliver=False))
    track(client, range(10))
    assert synced == [".seg", ".run", "", "", ""]
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + 1)
    track(client, range(10, 20))
    assert synced[5:] == [".seg", ".run"]
    client.shutdown()
    assert len(synced) == 9


@pytest.mark.usefixtures("no_threads")
def test_without_a_thread_calls_ask_for_the_disk(
    make: Callable[..., Client], path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(host=NOWHERE, spool=SpoolConfig(path, fsync=0.5))
    track(client, range(10))
    assert synced == [".seg", ".run", "", "", ""]
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + 1)
    track(client, range(10, 20))
    assert synced[5:] == [".seg", ".run"]
    assert not client.flush(0)
    assert synced[7:] == [".seg", ".run"]


def fail_to_start(_: Keeper | Consumer) -> None:
    raise RuntimeError("can't start new thread")


def test_without_a_keeper_calls_ask_for_the_disk(
    make: Callable[..., Client],
    path: Path,
    server: LocalSegment,
    synced: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There may be a thread for the consumer, and none for the keeper."""
    monkeypatch.setattr(Keeper, "start", fail_to_start)
    client = make(spool=SpoolConfig(path, fsync=0.5), upload_interval=LONG)
    track(client, range(10))
    assert synced == [".seg", ".run", "", "", ""]
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + 1)
    track(client, range(10, 20))
    assert synced[5:] == [".seg", ".run"]
    assert client.flush(10)
    assert sequence_numbers(server) == list(range(20))


@pytest.mark.parametrize("starts", [True, False])
def test_a_call_leaves_the_disk_to_the_keeper_once_it_runs_whether_or_not_a_consumer_starts(
    make: Callable[..., Client],
    path: Path,
    synced: list[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    starts: bool,
) -> None:
    client = make(spool=SpoolConfig(path, fsync=LONG), upload_interval=LONG)
    (pipeline,) = client._router._pipelines  # noqa: SLF001  to start what is missing
    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "start", fail_to_start)
        track(client, [0])
    assert synced == [".seg", ".run", "", "", ""]
    pipeline._start_consumers()  # noqa: SLF001
    with monkeypatch.context() as patch:
        if not starts:
            patch.setattr(Consumer, "start", fail_to_start)
        pipeline._start_consumers()  # noqa: SLF001
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + LONG + 1)
    track(client, [1])
    assert len(synced) == 5


@pytest.mark.parametrize("fsync", [0, 0.5])
def test_a_disk_that_takes_messages_and_does_not_sync_them_is_told_of_once(
    make: Callable[..., Client],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fsync: float,
) -> None:
    later = 0
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + later)
    client = make(spool=SpoolConfig(path, fsync=fsync, deliver=False))
    track(client, [0])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EIO))
        for later in (1, 32, 63):
            track(client, range(later, later + 10))
            assert len(caplog.messages) == 1
            assert spool_of(client).errors == 1 + later // 31
    later = 94
    track(client, [100])
    assert caplog.messages[1:] == [f"the spool in {folder_of(path)} works again"]


# What others see


@pytest.mark.parametrize("window", [5, 1000])
def test_no_file_has_the_write_key_or_the_password_of_a_proxy(
    make: Callable[..., Client], path: Path, window: int
) -> None:
    key, password = "k3y-that-must-not-show", "p4ss-that-must-not-show"
    proxies = {"http": f"http://user:{password}@127.0.0.1:9"}
    client = make(key, host=NOWHERE, max_queue_size=window, proxies=proxies)
    track(client, range(100))
    assert not client.shutdown(0)
    contents = [file.read_bytes() for file in files(path)]
    assert sum(data.count(b"messageId") for data in contents) == 100
    for secret in (key, password):
        assert not [data for data in contents if secret.encode() in data]
        assert not [file for file in path.rglob("*") if secret in str(file)]


def test_the_stats_say_what_is_on_disk(
    make: Callable[..., Client], path: Path, server: LocalSegment
) -> None:
    client = make(upload_interval=LONG)
    assert client.stats.spool == (0, 0, 0, 0, 0, 0)
    track(client, range(10))
    stats = client.stats.spool
    assert stats is not None
    assert stats.segments == 1
    assert stats.bytes == sum(file.stat().st_size for file in path.rglob("*.seg"))
    assert make(spool=None).stats.spool is None
    other = make("another-key")
    assert other.stats.spool == (0, 0, 0, 0, 0, 0)


def test_a_segment_is_rotated_by_its_size(
    make: Callable[..., Client],
    path: Path,
    server: LocalSegment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane_module, "MAX_SEGMENT_BYTES", 2_000)
    client = make(upload_size=10)
    with server.hold():
        track(client, range(100))
        assert len(list(path.rglob("*.seg"))) > 10
    assert client.flush(10)
    wait_until(lambda: not list(path.rglob("*.seg")))


def test_without_a_spool_nothing_of_it_is_imported(server: LocalSegment, path: Path) -> None:
    script = """
        client = make(spool=None)
        track(client, range(10))
        client.shutdown()
        loaded = [one for one in sys.modules if "spool" in one]
        assert loaded == ["segment_librato.config.spool"], loaded
    """
    run_script(path, script, host=server.host)


def test_budgets_still_hold_without_a_spool(server: LocalSegment, errors: Errors) -> None:
    server.respond(503, times=None)
    client = Client("test-key", server.host, on_error=errors, max_retries=0)
    track(client, range(3))
    assert client.shutdown(10)
    assert errors.types == [APIError]
    assert retry.MAX_BACKOFF_SECONDS == 60


# An outage that lasts


def wait_until_set_aside(client: Client, count: int) -> None:
    queue: Any = client.queue
    wait_until(lambda: queue.ledger.count_set_aside() >= count)


def test_calls_that_a_full_spool_rejects_do_not_have_the_server_asked_before_it_is_time(
    make: Callable[..., Client], path: Path, server: LocalSegment
) -> None:
    server.respond(429, times=None, headers={"Retry-After": "300"})
    config = SpoolConfig(path, max_bytes=1024 * 1024)
    client = make(spool=config, upload_size=10, max_rate_limit_duration=0)
    fill(client, 10_000, 120)
    wait_until_set_aside(client, 4)
    requests = len(server.requests)
    assert requests == 4
    for _ in range(300):
        assert fill(client, 10_000, 1) == [False]
    assert not client.flush(0)  # which may ask
    assert server.wait_until(lambda: len(server.requests) > 4)
    wait_until_set_aside(client, 4)
    assert len(server.requests) == 8


def test_the_oldest_of_what_was_set_aside_makes_room_and_the_rest_is_not_sent(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    server.respond(429, times=None, headers={"Retry-After": "300"})
    config = SpoolConfig(path, max_bytes=1024 * 1024, when_full="drop_oldest", fsync=0.01)
    client = make(spool=config, upload_size=10, max_rate_limit_duration=0)
    calls = [client.track("u", "e", {"text": "x" * 10_000}) for _ in range(60)]
    wait_until_set_aside(client, 4)
    while not errors.calls:
        calls.append(client.track("u", "e", {"text": "x" * 10_000}))
        assert calls[-1][0]
        wait_until(lambda: spool_bytes(client) <= 1024 * 1024)
    assert set(errors.types) == {SpoolFullError}
    ids = [message["messageId"] for _, message in calls]
    dropped = [ids.index(one) for one in errors.message_ids]
    latest = [*accumulate(dropped, max)]
    in_turn = {number for number, most in zip(dropped, latest, strict=True) if number == most}
    assert latest[-1] + 1 - len(in_turn) <= 10  # which were being sent when it was their turn
    wait_until_set_aside(client, 4)  # the next ones, in their place
    asked = [one["messageId"] for request in server.requests for one in request.messages]
    assert len(asked) == len(set(asked)) > 40


def test_why_a_call_is_rejected_takes_no_look_at_the_folder(
    make: Callable[..., Client],
    path: Path,
    server: LocalSegment,
    errors: Errors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = make(spool=SpoolConfig(path, max_bytes=1024 * 1024), upload_interval=LONG)
    with server.hold():
        fill(client, 10_000, 120)
        size = spool_bytes(client)
        looks: list[Any] = []
        now = monotonic()
        monkeypatch.setattr(spool_module, "monotonic", lambda: now)
        client.queue.spool.measure()  # type: ignore[attr-defined]
        monkeypatch.setattr(spool_module, "_entries", looks.append)
        errors.calls.clear()
        assert fill(client, 10_000, 20) == [False] * 20
        assert looks == []
    assert {str(error) for error, _ in errors.calls} == {
        f"the spool has {size} bytes of at most {1024 * 1024}"
    }


@pytest.mark.parametrize("is_readable", [True, False])
def test_a_consumer_that_has_to_leave_rests_while_nothing_can_be_sent(
    make: Callable[..., Client], path: Path, monkeypatch: pytest.MonkeyPatch, *, is_readable: bool
) -> None:
    if not is_readable:
        monkeypatch.setattr(merged, "_open", failing(errno.EMFILE))
    client = make(
        host=NOWHERE,
        upload_size=10,
        upload_interval=0.01,
        max_queue_size=100 if is_readable else 10,
        max_retries=0,
        thread=2,
    )
    track(client, range(100))
    wait_until_set_aside(client, 4 if is_readable else 1)
    queue: Any = client.queue
    looks: list[Any] = []
    fall_asleep = queue._fall_asleep  # noqa: SLF001  each time that there is nothing to do

    def look(waiter: Any) -> Any:
        looks.append(waiter)
        return fall_asleep(waiter)

    monkeypatch.setattr(queue, "_fall_asleep", look)
    queue.close()
    time.sleep(0.3)
    assert len(looks) < 10
    assert not client.shutdown(0)
    wait_until(lambda: not queue.workers.count)
    monkeypatch.undo()
    assert left_behind(path) == list(range(100))
