"""The whole pipeline, against a real server on 127.0.0.1."""

from __future__ import annotations

import gc
import json
import logging
import threading
import time
import weakref
from collections import defaultdict
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from support.background import Background
from support.hasty_clock import hasty_client
from support.real_time import in_real_time
from support.script import sequence_numbers

from segment_librato import (
    APIError,
    Client,
    ClientClosedError,
    DeliveryError,
    MessageTooLargeError,
    NetworkError,
    QueueFullError,
    ShutdownTimeoutError,
    ValidationError,
)
from segment_librato.devserver import LocalSegment

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.errors import Errors

    from segment_librato.counters import Stats

    MakeClient = Callable[..., Client]

LONG = 60.0  # seconds that no test waits out


def track(client: Client, numbers: range) -> None:
    for n in numbers:
        assert client.track("user", "event", {"n": n})[0]


def assert_balanced(stats: Stats) -> None:
    assert stats.accepted == stats.delivered + stats.failed + stats.pending


# What arrives


def test_what_is_tracked_arrives_as_it_was_returned(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client()
    accepted, message = client.track("user", "event", {"value": 3}, {"ip": "203.0.113.7"})
    assert client.flush()
    assert accepted
    assert server.messages == [message]


@pytest.mark.parametrize("options", [{}, {"gzip": True}, {"thread": 3}, {"sync_mode": True}])
def test_100_messages_arrive_once_each(
    server: LocalSegment, make_client: MakeClient, options: dict[str, Any]
) -> None:
    client = make_client(**options)
    track(client, range(100))
    assert client.flush()
    assert sorted(sequence_numbers(server)) == list(range(100))
    assert server.duplicates == 0
    stats = client.stats
    assert (stats.accepted, stats.delivered, stats.failed, stats.pending) == (100, 100, 0, 0)
    assert stats.requests == len(server.requests)
    assert stats.bytes_sent == sum(request.raw_size for request in server.requests)


@pytest.mark.slow
def test_100_000_messages_from_8_threads_arrive_once_each_and_in_order_per_thread(
    server: LocalSegment, make_client: MakeClient
) -> None:
    # an answer that is late on a loaded machine is no reason to send a batch again
    client = make_client(max_queue_size=100_000, upload_interval=LONG, timeout=10 * LONG)
    threads = 8
    per_thread = 12_500

    def produce(name: str) -> None:
        for n in range(per_thread):
            assert client.track(name, "event", {"n": n})[0]

    producers = [
        threading.Thread(target=produce, args=(f"thread-{number}",)) for number in range(threads)
    ]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join()
    assert client.flush()

    received = defaultdict(list)
    for message in server.messages:
        received[message["userId"]].append(message["properties"]["n"])
    assert len(received) == threads
    assert all(numbers == list(range(per_thread)) for numbers in received.values())
    assert server.duplicates == 0
    assert server.dropped == []
    assert client.stats.delivered == threads * per_thread
    assert max(request.size for request in server.requests) <= 500_000


# When a batch leaves


def test_a_batch_leaves_when_upload_size_messages_wait(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(upload_size=5, upload_interval=LONG)
    track(client, range(5))
    assert server.wait_for(5)


def test_fewer_messages_leave_after_upload_interval(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(upload_interval=0.05)
    with client.queue.lock:  # so that they wait together, however long they take
        track(client, range(3))
    assert server.wait_for(3)
    assert len(server.requests) == 1


def test_large_messages_leave_when_the_size_limit_is_reached(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(upload_interval=LONG)
    for _ in range(17):
        client.track("user", "event", {"text": "x" * 32_000})
    assert server.wait_for(15)
    assert len(server.requests) == 1


def test_a_flush_does_not_wait_for_upload_interval(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(upload_interval=LONG)
    track(client, range(3))
    assert client.flush(timeout=30)
    assert len(server.messages) == 3


def test_a_backlog_travels_in_few_requests(server: LocalSegment, make_client: MakeClient) -> None:
    client = make_client(upload_interval=LONG)
    with server.hold():
        track(client, range(100))
        assert server.wait_until(lambda: server.held == 1)
        track(client, range(100, 5_100))
    assert client.flush()
    assert sequence_numbers(server) == list(range(5_100))
    assert len(server.requests) <= 1 + 4


def test_a_batch_never_outgrows_an_upload_size_that_was_chosen(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(upload_size=10, upload_interval=LONG)
    with server.hold():
        track(client, range(10))
        assert server.wait_until(lambda: server.held == 1)
        track(client, range(10, 55))
    assert client.flush()
    assert [request.batch_size for request in server.requests] == [10, 10, 10, 10, 10, 5]


# Flush, join, shutdown


def test_flush_covers_what_is_in_flight(server: LocalSegment, make_client: MakeClient) -> None:
    client = make_client(upload_size=1)
    with server.hold():
        track(client, range(1))
        assert server.wait_until(lambda: server.held == 1)
        assert not client.flush(timeout=0.05)
        assert client.stats.pending == 1
    assert client.flush()
    assert client.stats.pending == 0


def test_flush_of_nothing_is_true_at_once(make_client: MakeClient) -> None:
    client = make_client()
    assert client.flush(timeout=0)
    assert client.stats.requests == 0


def test_flush_waits_for_each_consumer(make_client: MakeClient) -> None:
    """With two consumers, later messages may be settled before earlier ones."""
    answer_the_first = threading.Event()

    def hold_the_first(_: object, accepted: tuple[Any, ...]) -> None:
        if accepted[0]["properties"]["n"] == 0:
            answer_the_first.wait(10)

    with LocalSegment(on_request=hold_the_first) as server:
        client = make_client(host=server.host, upload_size=1, thread=2)
        track(client, range(1))
        assert server.wait_for(1)
        flushing = Background(client.flush)
        track(client, range(1, 4))
        assert server.wait_for(4)
        assert flushing.is_running()
        answer_the_first.set()
        assert flushing.wait() is True
        assert client.stats.delivered >= 1


def test_flush_from_many_threads(server: LocalSegment, make_client: MakeClient) -> None:
    client = make_client(upload_interval=LONG)
    results = []

    def work(n: int) -> None:
        track(client, range(n, n + 10))
        results.append(client.flush(timeout=10))

    workers = [threading.Thread(target=work, args=(n * 10,)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == [True] * 8
    assert len(server.messages) == 80


def test_join_ends_the_threads_and_the_next_message_starts_them_again(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(thread=2, upload_interval=LONG)
    assert not any(consumer.is_alive() for consumer in client.consumers)
    track(client, range(3))
    assert all(consumer.is_alive() for consumer in client.consumers)
    assert client.join(timeout=10)
    assert not any(consumer.is_alive() for consumer in client.consumers)
    track(client, range(3, 6))
    assert client.flush()
    assert len(server.messages) == 6


def test_shutdown_delivers_then_stops_all_threads(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(thread=3, upload_interval=LONG)
    track(client, range(50))
    assert client.shutdown()
    assert len(server.messages) == 50
    assert not any(consumer.is_alive() for consumer in client.consumers)
    assert client.queue.empty()


def test_after_shutdown_nothing_is_said_to_be_accepted_again(
    server: LocalSegment, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(upload_size=1)
    with server.hold():
        track(client, range(1))
        assert server.wait_until(lambda: server.held == 1)
        track(client, range(1, 2))
        client.queue.close()
        for _ in range(2):
            assert not client.track("user", "event")[0]
    assert client.shutdown(timeout=10)
    assert [record.getMessage() for record in caplog.records] == [
        "messages are rejected: the client was shut down"
    ]


@pytest.mark.parametrize("options", [{}, {"send": False}, {"sync_mode": True}])
def test_after_shutdown_a_call_is_rejected_and_reported(
    make_client: MakeClient, errors: Errors, options: dict[str, Any]
) -> None:
    client = make_client(**options)
    client.shutdown()
    accepted, message = client.track("user", "event")
    assert not accepted
    assert errors.types == [ClientClosedError]
    assert errors.calls[0][1] == [message]
    assert client.stats.rejected == 1
    assert client.flush()
    assert client.join()
    assert client.shutdown()


def test_shutdown_hands_over_what_it_has_no_time_for(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    client = make_client(upload_size=2, upload_interval=LONG)
    with server.hold():
        track(client, range(2))
        assert server.wait_until(lambda: server.held == 1)
        track(client, range(2, 5))
        assert not client.shutdown(timeout=0.05)
        assert errors.types == [ShutdownTimeoutError]
        assert len(errors.message_ids) == len(set(errors.message_ids)) == 5
    stats = client.stats
    assert (stats.accepted, stats.delivered, stats.failed, stats.pending) == (5, 0, 5, 0)
    # the request under way may still arrive; it counts no more and is not reported again
    assert server.wait_for(2)
    client.consumers[0].thread.join(30)  # type: ignore[union-attr]
    assert (client.stats.delivered, client.stats.failed) == (0, 5)
    assert len(errors.message_ids) == 5


def test_a_client_is_a_context_manager(server: LocalSegment) -> None:
    with Client("key", host=server.host, upload_interval=LONG) as client:
        track(client, range(3))
    assert len(server.messages) == 3
    assert client.track("user", "event")[0] is False


# Failures


def test_a_batch_waits_for_its_retry_at_the_head_with_the_same_ids(
    server: LocalSegment, make_client: MakeClient
) -> None:
    server.respond(500)
    server.respond(503)
    client = make_client(upload_size=2, upload_interval=LONG)
    track(client, range(2))
    track(client, range(2, 6))
    assert client.flush()
    assert sequence_numbers(server) == list(range(6))
    first, second, third, *_ = server.requests
    assert first.message_ids == second.message_ids == third.message_ids
    assert [request.headers.get("X-Retry-Count") for request in (first, second, third)] == [
        None,
        "1",
        "2",
    ]
    assert client.stats.retries == 2
    assert server.duplicates == 0


@pytest.mark.parametrize("sync_mode", [False, True])
@in_real_time
def test_a_wait_that_the_server_asks_for_is_kept(
    server: LocalSegment, make_client: MakeClient, sync_mode: bool
) -> None:
    server.clear()
    server.respond(429, headers={"Retry-After": "1"})
    client = make_client(max_retries=0, sync_mode=sync_mode)
    track(client, range(1))
    assert client.flush()
    first, second = server.requests
    assert 1.0 <= second.received_at - first.received_at < 2.0
    assert second.headers["X-Retry-Count"] == "1"


@pytest.mark.parametrize("sync_mode", [False, True])
@pytest.mark.parametrize("status", [401, 403, 404, 418, 501, 505, 511])
def test_a_final_rejection_is_reported_once_with_all_its_messages(
    server: LocalSegment,
    make_client: MakeClient,
    errors: Errors,
    status: int,
    sync_mode: bool,
) -> None:
    server.respond(status, times=None, body=b'{"code": "no", "message": "not you"}')
    client = make_client(sync_mode=sync_mode, upload_interval=LONG)
    results = [client.track("user", "event", {"n": n}) for n in range(3)]
    assert client.flush()
    expected_calls = 3 if sync_mode else 1
    assert errors.types == [APIError] * expected_calls
    error = errors.calls[0][0]
    assert isinstance(error, APIError)
    assert (error.status, error.code, error.message) == (status, "no", "not you")
    assert [accepted for accepted, _ in results] == [not sync_mode] * 3
    assert errors.message_ids == [message["messageId"] for _, message in results]
    assert client.stats.failed == 3
    assert len(server.requests) == expected_calls


def test_out_of_tries_is_reported_once(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    server.respond(500, times=None)
    client = make_client(max_retries=1, upload_interval=LONG)
    track(client, range(2))
    assert client.flush()
    assert errors.types == [APIError]
    assert len(server.requests) == 2
    assert_balanced(client.stats)


def test_no_server_at_all_is_a_network_error(make_client: MakeClient, errors: Errors) -> None:
    client = make_client(host="http://127.0.0.1:9", max_retries=0, upload_interval=LONG)
    track(client, range(2))
    assert client.flush()
    assert errors.types == [NetworkError]
    assert "Connection refused" in str(errors.calls[0][0])


@pytest.mark.parametrize("status", [400, 413])
def test_one_poisoned_message_costs_only_itself(
    server: LocalSegment, make_client: MakeClient, errors: Errors, status: int
) -> None:
    server.respond(
        status,
        times=None,
        when=lambda request: any(m["properties"]["n"] == 13 for m in request.messages),
    )
    client = make_client(upload_interval=LONG)
    track(client, range(50))
    assert client.flush()
    assert sequence_numbers(server) == [n for n in range(50) if n != 13]
    assert [m["properties"]["n"] for _, messages in errors.calls for m in messages] == [13]
    assert len(server.requests) <= 2 * 6 + 1
    assert_balanced(client.stats)


def test_a_server_that_rejects_everything_is_not_asked_forever(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    server.respond(400, times=None)
    client = make_client(upload_interval=LONG)
    with server.hold():
        track(client, range(2_000))
    assert client.flush()
    assert len(errors.message_ids) == len(set(errors.message_ids)) == 2_000
    assert len(server.requests) <= 3 * (2 * 64 + 1)


def test_a_full_queue_rejects_and_reports(
    server: LocalSegment,
    make_client: MakeClient,
    errors: Errors,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = make_client(max_queue_size=3, upload_size=1)
    with server.hold():
        track(client, range(1))
        assert server.wait_until(lambda: server.held == 1)
        track(client, range(1, 4))
        assert client.queue.qsize() == 3
        results = [client.track("user", "event", {"n": n}) for n in range(4, 7)]
    assert [accepted for accepted, _ in results] == [False] * 3
    assert errors.types == [QueueFullError] * 3
    assert errors.message_ids == [message["messageId"] for _, message in results]
    assert client.flush()
    assert sequence_numbers(server) == [0, 1, 2, 3]
    assert client.stats.rejected == 3
    size = len(json.dumps(results[0][1], separators=(",", ":"))) + 1
    assert [record.getMessage() for record in caplog.records] == [
        f"messages are rejected: 3 messages are waiting, {3 * size} bytes in all",
        "messages are accepted again; rejected before: 3",
    ]


def test_a_closed_client_says_once_that_it_rejects_and_never_that_it_accepts_again(
    server: LocalSegment, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(max_queue_size=1, upload_interval=LONG)
    with server.hold():
        track(client, range(1))
        assert not client.flush(timeout=0)
        assert server.wait_until(lambda: server.held == 1)
        track(client, range(1, 2))
        assert not client.track("user", "event", {"n": 2})[0]  # there is no room for it
        client.shutdown(timeout=0)
        assert not any(client.track("user", "event", {"n": n})[0] for n in (3, 4))
    rejections = [one for one in caplog.messages if "rejected" in one or "accepted again" in one]
    assert len(rejections) == 2
    assert rejections[0].endswith(" bytes in all")
    assert rejections[1] == "messages are rejected: the client was shut down"


# The application's on_error


def test_a_message_that_is_too_large_harms_no_other(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    client = make_client(upload_interval=LONG)
    track(client, range(1))
    with pytest.raises(MessageTooLargeError):
        client.track("user", "event", {"text": "x" * 33_000})
    track(client, range(1, 2))
    assert client.flush(timeout=10)
    assert sequence_numbers(server) == [0, 1]
    assert errors.calls == []
    assert client.stats.accepted == 2


def test_a_queue_that_is_full_of_bytes_rejects_too(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    client = make_client(max_queue_bytes=65_536, upload_interval=LONG)
    large = {"text": "x" * 32_000}
    with server.hold():
        client.track("user", "event", large)
        client.flush(timeout=0)
        assert server.wait_until(lambda: server.held == 1)
        results = [client.track("user", "event", large)[0] for _ in range(3)]
        assert client.track("user", "event")[0]  # a small one still fits
    assert results == [True, True, False]
    assert errors.types == [QueueFullError]
    assert client.flush(timeout=10)
    assert_balanced(client.stats)


@pytest.mark.parametrize("bounds", [{"max_queue_size": 50}, {"max_queue_bytes": 65_536}])
def test_a_small_queue_leaves_before_it_is_full(
    server: LocalSegment, make_client: MakeClient, errors: Errors, bounds: dict[str, int]
) -> None:
    client = make_client(upload_interval=LONG, **bounds)
    for n in range(1, 201):
        client.track("user", "event", {"n": n, "text": "x" * 1_000})
        if n % 20 == 0:  # the next ones would still fit, however late the consumer is
            assert server.wait_until(lambda: client.queue.qsize() < 30)
    assert client.flush(timeout=10)
    assert errors.calls == []


def test_block_on_full_makes_a_producer_wait_for_the_server(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    client = make_client(max_queue_size=10, block_on_full=LONG)
    track(client, range(1_000))
    assert client.flush(timeout=10)
    assert sequence_numbers(server) == list(range(1_000))
    assert errors.calls == []


def test_block_on_full_keeps_no_producer_waiting_while_others_go(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    """None of 100 threads is rejected, or gets in twice before each has got in once."""
    client = make_client(max_queue_size=1, upload_size=1, block_on_full=LONG)
    threads, calls = 100, 3

    def produce(thread: int) -> None:
        for call in range(calls):
            client.track("user", "event", {"thread": thread, "call": call})

    with server.hold():
        track(client, range(1))
        assert server.wait_until(lambda: server.held == 1)
        track(client, range(1))
        producers = [Background(partial(produce, thread)) for thread in range(threads)]
        assert server.wait_until(lambda: len(client.queue._line) == threads)  # noqa: SLF001
    for producer in producers:
        producer.wait()
    assert client.flush(timeout=20)
    assert errors.calls == []
    calls_in_order = [message["properties"]["call"] for message in server.messages[2:]]
    assert len(calls_in_order) == threads * calls
    assert calls_in_order[:threads] == [0] * threads


def test_block_on_full_ends_with_its_time(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    client = make_client(max_queue_size=1, upload_size=1, block_on_full=0.05)
    with server.hold():
        track(client, range(1))
        assert server.wait_until(lambda: server.held == 1)
        track(client, range(1, 2))
        assert not client.track("user", "event")[0]
    assert errors.types == [QueueFullError]


def test_a_call_that_waits_for_room_ends_with_the_shutdown(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    client = make_client(max_queue_size=1, upload_size=1, block_on_full=LONG)
    with server.hold():
        track(client, range(1))
        assert server.wait_until(lambda: server.held == 1)
        track(client, range(1, 2))
        blocked = Background(lambda: client.track("user", "event")[0])
        assert blocked.is_running()
        client.shutdown(timeout=0)
        assert blocked.wait() is False
    assert sorted(error.__name__ for error in errors.types) == [
        "ClientClosedError",
        "ShutdownTimeoutError",
    ]


def test_who_delivers_does_not_wait_for_room(server: LocalSegment, make_client: MakeClient) -> None:
    results: list[bool] = []

    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        results.append(client.track("user", "event")[0])

    client = make_client(
        max_queue_size=1, upload_size=1, block_on_full=LONG, max_retries=0, on_error=on_error
    )
    server.respond(500, times=1)
    with server.hold():
        track(client, range(1))
        assert server.wait_until(lambda: server.held == 1)
        track(client, range(1, 2))
    assert client.flush(timeout=10)
    assert results == [False]


@pytest.mark.parametrize("exception", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_an_on_error_that_raises_does_not_stop_the_consumer(
    server: LocalSegment, make_client: MakeClient, exception: type[BaseException]
) -> None:
    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        raise exception

    server.respond(404)
    client = make_client(on_error=on_error, upload_size=1)
    track(client, range(1))
    assert client.flush(timeout=10)
    track(client, range(1, 3))
    assert client.flush(timeout=10)
    stats = client.stats
    assert (stats.delivered, stats.failed, stats.pending) == (2, 1, 0)


def test_on_error_has_returned_when_flush_does(
    server: LocalSegment, make_client: MakeClient
) -> None:
    entered = threading.Event()
    leave = threading.Event()
    done = []

    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        entered.set()
        leave.wait(10)
        done.append(len(messages))

    server.respond(404)
    client = make_client(on_error=on_error, upload_size=1)
    track(client, range(1))
    assert entered.wait(10)
    assert not client.flush(timeout=0.05)
    assert client.stats.pending == 1
    leave.set()
    assert client.flush(timeout=10)
    assert done == [1]


def test_flush_join_and_shutdown_on_the_consumers_thread_return_false_at_once(
    server: LocalSegment, make_client: MakeClient
) -> None:
    results = []

    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        results.extend([client.flush(), client.join(), client.shutdown()])

    server.respond(404)
    client = make_client(on_error=on_error, upload_size=1)
    track(client, range(1))
    client.consumers[0].thread.join(10)  # type: ignore[union-attr]  # shutdown lets it leave
    assert results == [False, False, False]
    assert client.stats.failed == 1


def test_on_error_may_track(server: LocalSegment, make_client: MakeClient) -> None:
    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        track(client, range(100, 101))

    server.respond(404)
    client = make_client(on_error=on_error, upload_size=1)
    track(client, range(1))
    assert server.wait_for(1)
    assert sequence_numbers(server) == [100]


def test_an_on_error_that_tracks_on_a_closed_client_ends(make_client: MakeClient) -> None:
    calls = []

    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        calls.append(error)
        assert client.track("user", "event")[0] is False

    client = make_client(on_error=on_error)
    client.shutdown()
    client.track("user", "event")
    assert len(calls) == 1
    assert client.stats.rejected == 2


def test_a_falsy_on_error_is_none(server: LocalSegment, make_client: MakeClient) -> None:
    server.respond(404)
    client = make_client(on_error=False)
    track(client, range(1))
    assert client.flush()
    assert client.stats.failed == 1


# Modes


def test_send_false_validates_and_sends_nothing(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(send=False)
    accepted, message = client.track("user", "event", {"value": 1})
    assert accepted
    assert message["properties"] == {"value": 1}
    with pytest.raises(RuntimeError, match="32768"):
        client.track("user", "event", {"text": "x" * 40_000})
    assert client.flush()
    assert client.shutdown()
    assert server.requests == []
    assert client.stats.accepted == 0


def test_sync_mode_sends_in_the_calling_thread(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    threads_before = threading.active_count()
    server.respond(500, when=lambda request: request.messages[0]["event"] == "event")
    client = make_client(sync_mode=True)
    assert client.track("user", "event", {"n": 0})[0]
    assert len(server.messages) == 1
    server.respond(403)
    assert not client.track("user", "rejected", {"n": 1})[0]
    assert errors.threads == [threading.current_thread()]
    assert threading.active_count() <= threads_before + 1  # the server's own connection
    assert client.stats.retries == 1


def test_stats_balance_at_every_instant(server: LocalSegment, make_client: MakeClient) -> None:
    client = make_client(upload_size=7, thread=2, max_queue_size=50, max_retries=0)
    server.respond(500, times=20, when=lambda request: len(request.messages) % 2 == 0)
    done = threading.Event()
    snapshots = []

    def watch() -> None:
        while not done.is_set():
            snapshots.append(client.stats)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for n in range(2_000):
        client.track("user", "event", {"n": n})
    assert client.flush()
    done.set()
    watcher.join()
    for stats in snapshots:
        assert_balanced(stats)
        assert stats.pending >= 0
    assert all(a.accepted <= b.accepted for a, b in pairwise(snapshots))
    assert client.stats.accepted + client.stats.rejected == 2_000


# Resources


def test_a_client_that_is_dropped_still_delivers_then_leaves_nothing_behind(
    server: LocalSegment,
) -> None:
    client = Client("key", host=server.host, upload_interval=LONG)
    track(client, range(10))
    thread = client.consumers[0].thread
    assert thread is not None
    pipelines = weakref.ref(client._router)  # noqa: SLF001  nothing public refers to them
    del client
    assert server.wait_for(10)
    thread.join(10)
    assert not thread.is_alive()
    gc.collect()
    assert pipelines() is None


def test_many_clients_leave_no_threads(server: LocalSegment) -> None:
    gc.collect()
    before = set(threading.enumerate())
    for n in range(50):
        client = Client("key", host=server.host, upload_interval=LONG)
        track(client, range(n, n + 1))
        if n % 2:
            client.shutdown()
        del client
    assert server.wait_for(50)
    gc.collect()
    ours = [t for t in set(threading.enumerate()) - before if t.name == "segment-consumer"]
    for thread in ours:
        thread.join(10)
    assert not any(thread.is_alive() for thread in ours)


def test_making_a_client_starts_no_thread(make_client: MakeClient) -> None:
    before = set(threading.enumerate())
    make_client(thread=4)
    assert set(threading.enumerate()) <= before


def test_debug_shows_requests_but_no_payload(
    server: LocalSegment, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()
    with caplog.at_level(logging.DEBUG, "segment"):
        client.track("secret-user", "secret event", {"n": "secret value"})
        assert client.flush()
    assert "answered 200" in caplog.text
    assert "secret" not in caplog.text
    assert "test-key" not in caplog.text


def test_a_transport_error_of_an_unknown_kind_is_reported(
    make_client: MakeClient, errors: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(max_retries=0)
    (pipeline,) = client._router._pipelines  # noqa: SLF001
    transport = pipeline._transport  # noqa: SLF001

    def send(batch: object, timeout: float | None) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(transport, "send", send)
    track(client, range(1))
    assert client.flush()
    assert errors.types == [NetworkError]
    assert isinstance(errors.calls[0][0], DeliveryError)


@in_real_time
def test_a_flush_that_nobody_serves_returns_at_its_deadline(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(upload_size=1)
    with server.hold():
        track(client, range(1))
        began = time.monotonic()
        assert not client.flush(timeout=0.1)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("method", ["flush", "join", "shutdown"])
@pytest.mark.parametrize("timeout", [10**400, float("inf"), 0, -1])
def test_any_number_of_seconds_will_do(
    server: LocalSegment, make_client: MakeClient, method: str, timeout: float
) -> None:
    client = make_client(upload_interval=LONG)
    if timeout > 0:
        track(client, range(1))
    assert getattr(client, method)(timeout)
    assert client.stats.pending == 0


@pytest.mark.parametrize("timeout", ["1", True, float("nan"), [1]])
@pytest.mark.parametrize("options", [{}, {"send": False}])
def test_a_timeout_that_is_no_number_is_rejected(
    make_client: MakeClient, timeout: object, options: dict[str, Any]
) -> None:
    client = make_client(**options)
    for method in (client.flush, client.join, client.shutdown):
        with pytest.raises(ValidationError, match="timeout: expected a number of seconds or None"):
            method(timeout)  # type: ignore[arg-type]


def test_there_are_no_consumers_in_sync_mode(make_client: MakeClient) -> None:
    assert make_client(sync_mode=True).consumers is None
    assert len(make_client(thread=2).consumers) == 2


def test_the_options_of_a_client_can_be_read_and_not_set(make_client: MakeClient) -> None:
    client = make_client(timeout=3, max_retries=2, gzip=True, debug=False)
    assert (client.timeout, client.max_retries, client.gzip, client.send) == (3, 2, True, True)
    with pytest.raises(AttributeError, match="send is fixed once the client is made"):
        client.send = False


def test_the_repr_of_a_client_names_its_host_and_not_its_key(make_client: MakeClient) -> None:
    text = repr(make_client())
    assert "127.0.0.1" in text
    assert "test-key" not in text


def test_what_a_shutdown_leaves_over_says_what_kept_it(
    server: LocalSegment, errors: Errors
) -> None:
    """Its time passes while the consumer waits for another try, and not before."""
    server.respond(503, headers={"Retry-After": "30"}, times=None)
    client, _ = hasty_client(
        "test-key", host=server.host, on_error=errors, upload_interval=10 * LONG
    )
    track(client, range(1))
    assert not client.shutdown(timeout=LONG)
    assert [str(error) for error, _ in errors.calls] == [
        f"time ran out before delivery; 127.0.0.1:{server.port} answered 503"
    ]


def test_a_success_that_is_a_web_page_is_warned_of_once(
    server: LocalSegment, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.respond(200, body=b"<html>", headers={"Content-Type": "text/html"}, times=2)
    client = make_client(upload_size=1)
    for n in range(2):
        track(client, range(n, n + 1))
        assert client.flush()
    assert client.stats.delivered == 2
    place = f"127.0.0.1:{server.port}"
    assert caplog.messages == [f"{place} answered with a web page; is `host` where the API is?"]


def test_retries_are_logged_once_and_in_full_for_debug(
    server: LocalSegment, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.respond(500, times=2)
    client = make_client()
    with caplog.at_level(logging.DEBUG, "segment"):
        track(client, range(1))
        assert client.flush()
    retries = [record for record in caplog.records if "; retrying " in record.message]
    assert [record.levelname for record in retries] == ["WARNING", "DEBUG"]
    assert retries[0].message == f"127.0.0.1:{server.port} answered 500; retrying now, messages: 1"


def test_debug_prints_if_logging_is_not_configured_and_adds_nothing_if_it_is(
    server: LocalSegment,
) -> None:
    logger = logging.getLogger("segment")
    before = logger.handlers[:], logger.level
    try:
        Client("key", host=server.host, debug=True)
        assert logger.level == logging.DEBUG
        assert logger.handlers == before[0]  # pytest has configured the root logger
    finally:
        logger.handlers[:], level = before
        logger.setLevel(level)


def test_an_on_error_that_flushes_during_a_shutdown_returns(
    server: LocalSegment, make_client: MakeClient
) -> None:
    results = []

    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        results.append(client.flush())

    client = make_client(on_error=on_error, upload_size=1)
    with server.hold():
        track(client, range(1))
        assert server.wait_until(lambda: server.held == 1)
        assert not client.shutdown(timeout=0.05)
    assert results == [False]


def test_what_is_left_over_by_a_shutdown_within_on_error_is_reported(
    server: LocalSegment, make_client: MakeClient
) -> None:
    calls = []

    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        calls.append((type(error), len(messages)))
        client.shutdown(timeout=0.05)

    client = make_client(on_error=on_error, max_queue_size=2, upload_size=1)
    with server.hold():
        track(client, range(1))
        assert server.wait_until(lambda: server.held == 1)
        track(client, range(1, 3))
        client.track("user", "event")
    assert calls == [(QueueFullError, 1), (ShutdownTimeoutError, 3)]


def test_many_poisoned_messages_cost_only_themselves(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    server.respond(
        400,
        times=None,
        when=lambda request: any(m["properties"]["n"] % 40 == 7 for m in request.messages),
    )
    client = make_client(upload_interval=LONG)
    track(client, range(1_200))
    assert client.flush()
    poisoned = [n for n in range(1_200) if n % 40 == 7]
    assert [m["properties"]["n"] for _, messages in errors.calls for m in messages] == poisoned
    assert client.stats.delivered == 1_200 - len(poisoned)


def test_nothing_more_is_sent_of_a_batch_that_a_shutdown_has_reported(
    make_client: MakeClient, errors: Errors
) -> None:
    def hold_the_next(*_: object) -> None:
        server.hold()

    with LocalSegment(on_request=hold_the_next) as server:
        server.respond(400, times=2)
        client = make_client(host=server.host, upload_size=8, upload_interval=LONG)
        track(client, range(8))
        assert server.wait_until(lambda: server.held == 1)
        assert len(server.requests) == 1
        assert not client.shutdown(timeout=0.05)
        assert len(errors.message_ids) == 8
        server.release()
        client.consumers[0].thread.join(10)  # type: ignore[union-attr]
        assert not client.consumers[0].is_alive()
        assert [request.status for request in server.requests] == [400, 400]


def test_a_client_whose_on_error_leads_back_to_it_is_freed_after_shutdown(
    server: LocalSegment,
) -> None:
    class Service:
        def __init__(self) -> None:
            self.client = Client("key", host=server.host, on_error=self.on_error)

        def on_error(self, error: Exception, messages: list[dict[str, Any]]) -> None:
            raise AssertionError

    service = Service()
    track(service.client, range(1))
    assert service.client.shutdown()
    gone = weakref.ref(service)
    del service
    gc.collect()
    assert gone() is None


def test_clocks_that_a_test_has_stopped_hold_nothing_up(
    server: LocalSegment, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now)
    client = make_client(upload_interval=0.05)
    track(client, range(1))
    assert server.wait_for(1)
    with server.hold():
        track(client, range(1, 2))
        assert not client.flush(timeout=0.05)
    assert client.flush(timeout=10)
