"""What a spool keeps when a process ends: by a kill, a fork or the exit, or after a shutdown."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest
from support.marks import needs_fork
from support.script import sequence_numbers
from support.spooled_client import (
    NOWHERE,
    files,
    folder_of,
    has,
    leave,
    left_behind,
    run_script,
    track,
)
from support.waiting import wait_until

from segment_librato import Client
from segment_librato.process.clock import monotonic
from segment_librato.spooling import lane as lane_module
from segment_librato.spooling.segment import WrittenSegment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment


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
        leave(client, 0.1)
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
    leave(client, 0.1)
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
    leave(client, 0.1)
    assert errors.calls == []
    assert left_behind(path) == list(range(10))


@pytest.mark.usefixtures("no_threads")
def test_without_a_thread_a_shutdown_after_a_flush_lets_go_of_what_was_set_aside(
    make: Callable[..., Client], path: Path, errors: Errors
) -> None:
    client = make(host=NOWHERE, max_retries=0)
    track(client, range(10))
    assert not client.flush(0.1)
    leave(client)
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
