"""The way of a message with a spool, from the call to its outcome; and what others see of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.script import sequence_numbers
from support.spooled_client import LONG, NOWHERE, files, has, leave, left_behind, run_script, track
from support.waiting import wait_until

from segment_librato import APIError, Client
from segment_librato.delivery import retry
from segment_librato.spooling import lane as lane_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment


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


# What others see


@pytest.mark.parametrize("window", [5, 1000])
def test_no_file_has_the_write_key_or_the_password_of_a_proxy(
    make: Callable[..., Client], path: Path, window: int
) -> None:
    key, password = "k3y-that-must-not-show", "p4ss-that-must-not-show"
    proxies = {"http": f"http://user:{password}@127.0.0.1:9"}
    client = make(key, host=NOWHERE, max_queue_size=window, proxies=proxies)
    track(client, range(100))
    leave(client)
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
