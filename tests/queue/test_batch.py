"""How messages are packed: exact about the limits, and about every message."""

from __future__ import annotations

import json
import string
from collections import deque
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from segment_librato.config.client import Config
from segment_librato.errors import DeliveryError
from segment_librato.message.fields import MAX_MESSAGE_BYTES
from segment_librato.queue.batch import Batch
from segment_librato.queue.message_queue import MessageQueue
from segment_librato.queue.schedule import count_fitting
from segment_librato.router import _batch_rules
from segment_librato.transport.envelope import build_body, max_message_bytes

MAX_BODY_BYTES = 500_000
MAX_MESSAGES = 2_500
SENT_AT = "2026-11-20T21:17:00.123+00:00"

PRINTABLE = string.ascii_letters + string.digits + string.punctuation
write_keys = st.text(PRINTABLE, min_size=1, max_size=1_000)
message_sizes = st.lists(
    st.one_of(st.integers(9, MAX_MESSAGE_BYTES), st.sampled_from([9, 15_000, MAX_MESSAGE_BYTES])),
    max_size=60,
)


def message_of(number: int, size: int) -> bytes:
    """Return JSON of a size in bytes that no other number has."""
    return b'"%s"' % str(number).encode().rjust(size - 2, b"x")


def pack(write_key: str, messages: list[bytes], **options: Any) -> list[Batch]:
    """Let a queue with the client's rules pack messages."""
    queue = MessageQueue(0, _batch_rules(Config(write_key=write_key, **options)))
    for message in messages:
        assert queue.put(message) is None
    batches = []
    while in_flight := queue.take_now():
        batches.append(Batch(tuple(in_flight.messages)))
        queue.ledger.mark_delivered(in_flight, len(in_flight.messages))
    return batches


@settings(deadline=None)
@given(write_keys, message_sizes)
@example("\\" * 1_000, [MAX_MESSAGE_BYTES] * 40)
@example('"' * 999, [9] * 2_501)
def test_no_body_exceeds_the_limits_and_no_message_is_lost_doubled_or_moved(
    write_key: str, sizes: list[int]
) -> None:
    messages = [message_of(number, size) for number, size in enumerate(sizes)]

    batches = pack(write_key, messages)

    assert [message for batch in batches for message in batch.messages] == messages
    for batch in batches:
        assert 0 < len(batch) <= MAX_MESSAGES
        body = build_body(batch.messages, write_key, SENT_AT)
        assert len(body) <= MAX_BODY_BYTES
        assert json.loads(body)["batch"] == [json.loads(message) for message in batch.messages]


@settings(deadline=None)
@given(write_keys, message_sizes)
def test_under_backlog_a_batch_takes_every_message_that_still_fits(
    write_key: str, sizes: list[int]
) -> None:
    batches = pack(write_key, [message_of(number, size) for number, size in enumerate(sizes)])

    for batch, following in pairwise(batches):
        one_more = Batch((*batch.messages, following.messages[0]))
        assert (
            len(build_body(one_more.messages, write_key, SENT_AT)) > MAX_BODY_BYTES
            or len(batch) == MAX_MESSAGES
        )


@pytest.mark.parametrize("write_key", ["k", '"' * 1_000, "\\" * 1_000])
def test_messages_can_fill_a_body_to_the_last_byte(write_key: str) -> None:
    rest, sizes = max_message_bytes(write_key), []
    while rest:
        size = min(MAX_MESSAGE_BYTES, rest - 1 if rest < 40_000 else rest - 20)
        sizes.append(size)
        rest -= size + 1
    messages = [message_of(number, size) for number, size in enumerate(sizes)]

    (batch,) = pack(write_key, messages)
    assert len(build_body(batch.messages, write_key, SENT_AT)) == MAX_BODY_BYTES

    longer = [*messages[:-1], message_of(len(messages) - 1, sizes[-1] + 1)]
    assert [len(batch) for batch in pack(write_key, longer)] == [len(messages) - 1, 1]


def test_the_largest_message_fits_beside_the_longest_write_key() -> None:
    message = message_of(0, MAX_MESSAGE_BYTES)
    (batch,) = pack("\\" * 1_000, [message])
    assert batch.messages == (message,)


@pytest.mark.parametrize(
    "options, sizes",
    [
        ({}, [2_500, 2_500, 1]),
        ({"upload_size": 100}, [2_500, 2_500, 1]),
        ({"upload_size": 2_000}, [2_000, 2_000, 1_001]),
        ({"upload_size": 10**6}, [2_500, 2_500, 1]),
        ({"upload_size": 1}, [1] * 5_001),
    ],
)
def test_a_backlog_is_sent_in_few_requests_unless_the_upload_size_was_chosen(
    options: dict[str, int], sizes: list[int]
) -> None:
    messages = [message_of(number, 9) for number in range(5_001)]
    assert [len(batch) for batch in pack("k", messages, **options)] == sizes


def test_the_body_is_the_envelope_around_the_bytes_of_the_messages() -> None:
    messages = (b'{"event":"\xc3\xa9"}', b"{}")
    assert build_body(messages, "key", SENT_AT) == (
        b'{"batch":[{"event":"\xc3\xa9"},{}],'
        b'"sentAt":"2026-11-20T21:17:00.123+00:00","writeKey":"key"}'
    )


@given(write_keys)
@example('"\\')
@example("\\u0041")
def test_any_write_key_arrives_as_it_is(write_key: str) -> None:
    content = json.loads(build_body((b"1",), write_key, SENT_AT))
    assert content == {"batch": [1], "sentAt": SENT_AT, "writeKey": write_key}


def test_an_empty_batch_has_a_body_too() -> None:
    assert json.loads(build_body((), "key", SENT_AT))["batch"] == []


@given(st.lists(st.binary(), min_size=2).map(tuple))
def test_halves_have_the_messages_in_order_and_are_never_empty(messages: tuple[bytes, ...]) -> None:
    batch = Batch(messages, retries=3)
    first, second = batch.halves()
    assert first.messages + second.messages == messages
    assert first.messages
    assert second.messages
    assert abs(len(first) - len(second)) <= 1
    assert first.retries == second.retries == 0


def test_outcomes_come_in_order_as_runs() -> None:
    old, bad = DeliveryError("too old"), DeliveryError("bad")
    batch = Batch((b"0", b"1", b"2", b"3", b"4"))
    assert list(batch.outcomes({0: old, 1: old, 3: bad})) == [
        (old, (b"0", b"1")),
        (None, (b"2",)),
        (bad, (b"3",)),
        (None, (b"4",)),
    ]


def test_a_batch_without_failures_is_one_run() -> None:
    assert list(Batch((b"0", b"1")).outcomes({})) == [(None, (b"0", b"1"))]


@given(st.lists(st.integers(0, 9), max_size=9), st.integers(1, 9), st.integers(1, 60))
def test_as_many_of_the_oldest_fit_as_the_limits_let(
    sizes: list[int], max_messages: int, max_bytes: int
) -> None:
    waiting = deque(bytes(size) for size in sizes)
    fits = [
        number
        for number in range(1, min(len(sizes), max_messages) + 1)
        if sum(sizes[:number]) + number <= max_bytes
    ]
    assert count_fitting(waiting, max_messages, max_bytes) == max(fits, default=1)


def test_what_comes_while_they_are_counted_is_not_among_them() -> None:
    waiting: deque[Any] = deque()

    class Gauge:
        def __len__(self) -> int:
            if len(waiting) < 20:
                waiting.append(b"put in meanwhile")
            return 10

    waiting.extend(Gauge() for _ in range(3))
    assert count_fitting(waiting, 10, 33) == 3
    assert len(waiting) > 3
