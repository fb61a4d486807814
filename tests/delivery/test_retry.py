"""Whether to try again, and when: the table, the schedule and the budgets."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment_librato.config.client import Config
from segment_librato.delivery.retry import LIBRATO, OTLP, SEGMENT, Decision, RetrySchedule
from segment_librato.errors import (
    APIError,
    ClientClosedError,
    ConfigError,
    DeliveryError,
    NetworkError,
    QueueFullError,
    SegmentError,
    ShutdownTimeoutError,
)

if TYPE_CHECKING:
    from segment_librato.delivery.retry import RetryTable

OAUTH: dict[str, Any] = {"oauth_client_id": "id", "oauth_client_key": "key", "oauth_key_id": "kid"}


def longest(seconds: float) -> float:
    return seconds


def schedule(**options: Any) -> RetrySchedule:
    return RetrySchedule(Config(write_key="k", **options), jitter=longest)


def waits_of(planned: RetrySchedule, error: SegmentError, limit: int = 10_000) -> list[float]:
    """Return all the waits, made one after another on a clock that starts anywhere."""
    now = 1_000_000.0
    waits: list[float] = []
    while len(waits) < limit and (wait := planned.next_wait(error, now)) is not None:
        waits.append(wait)
        now += wait
    return waits


@pytest.mark.parametrize("uses_oauth", [False, True])
def test_the_statuses_that_are_retried_are_those_of_segments_own_libraries(
    uses_oauth: bool,
) -> None:
    retried = {
        status
        for status in range(100, 1_000)
        if SEGMENT.decide(APIError(status), uses_oauth=uses_oauth) is Decision.RETRY
    }
    new_token_may_help = {511} if uses_oauth else set()
    server_errors = set(range(500, 600)) - {501, 505, 511}
    assert retried == {408, 410, 429, 460} | server_errors | new_token_may_help


@pytest.mark.parametrize(
    "error, expected",
    [
        (NetworkError("n"), True),
        (DeliveryError("d"), False),
        (ShutdownTimeoutError("s"), False),
        (QueueFullError("q"), False),
        (ClientClosedError("c"), False),
        (ConfigError("c"), False),
        (SegmentError("s"), False),
    ],
)
def test_without_a_status_only_network_errors_are_retried(
    error: SegmentError, expected: bool
) -> None:
    for table in (SEGMENT, LIBRATO, OTLP):
        assert table.decide(error) is (Decision.RETRY if expected else Decision.FAIL)


@pytest.mark.parametrize("table", [SEGMENT, LIBRATO, OTLP])
def test_a_rejection_for_which_one_message_may_be_to_blame_is_split(table: RetryTable) -> None:
    split = {
        status for status in range(100, 1_000) if table.decide(APIError(status)) is Decision.SPLIT
    }
    assert split == {400, 413}
    error = APIError(400)
    error.is_splittable = False
    assert table.decide(error) is Decision.FAIL


def test_librato_says_by_its_code_that_a_403_is_a_rate_limit() -> None:
    assert LIBRATO.decide(APIError(403, "rate_limited")) is Decision.RETRY
    assert LIBRATO.decide(APIError(403, "unknown")) is Decision.FAIL


def test_of_otlp_only_the_statuses_of_its_specification_are_retried() -> None:
    retried = {
        status for status in range(100, 1_000) if OTLP.decide(APIError(status)) is Decision.RETRY
    }
    assert retried == {429, 502, 503, 504}


def test_the_first_retry_comes_at_once_and_then_the_waits_double_up_to_a_minute() -> None:
    waits = waits_of(schedule(max_retries=11), APIError(500))
    assert waits == [0, 0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_every_wait_goes_through_the_jitter() -> None:
    asked: list[float] = []

    def half(seconds: float) -> float:
        asked.append(seconds)
        return seconds / 2

    jittered = RetrySchedule(Config(write_key="k", max_retries=4), jitter=half)
    assert waits_of(jittered, NetworkError("n")) == [0, 0.25, 0.5, 1]
    assert asked == [0, 0.5, 1, 2]


def test_the_jitter_of_the_library_takes_anything_up_to_the_full_wait() -> None:
    waits = waits_of(RetrySchedule(Config(write_key="k", max_retries=5)), NetworkError("n"))
    assert all(0 <= wait <= most for wait, most in zip(waits, [0, 0.5, 1, 2, 4], strict=True))


@pytest.mark.parametrize("max_retries", [0, 1, 2, 10, 100])
def test_there_are_exactly_as_many_retries_as_allowed(max_retries: int) -> None:
    assert len(waits_of(schedule(max_retries=max_retries), APIError(503))) == max_retries


def test_once_it_has_given_up_it_stays_given_up() -> None:
    planned = schedule(max_retries=1)
    assert [planned.next_wait(NetworkError("n"), 0) for _ in range(4)] == [0, None, None, None]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_wait_that_the_server_asks_for_is_taken_as_it_is(status: int) -> None:
    assert schedule().next_wait(APIError(status, retry_after=7.5), 0) == 7.5


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 413, 501, 505, 511])
def test_asking_for_a_wait_makes_no_error_retryable(status: int) -> None:
    assert SEGMENT.decide(APIError(status, retry_after=1)) is not Decision.RETRY


def test_waits_that_the_server_asks_for_do_not_count_as_tries() -> None:
    planned = schedule(max_retries=2)
    for now in range(100):
        assert planned.next_wait(APIError(429, retry_after=1), now) == 1
    assert waits_of(planned, APIError(500)) == [0, 0.5]


def test_without_retries_the_server_can_still_ask_for_waits() -> None:
    assert schedule(max_retries=0).next_wait(APIError(429, retry_after=3), 0) == 3


@pytest.mark.parametrize("retry_after", [300.5, 301, 86_400, 1e300, float("inf")])
def test_a_wait_is_never_longer_than_five_minutes(retry_after: float) -> None:
    assert schedule().next_wait(APIError(429, retry_after=retry_after), 0) == 300


@pytest.mark.parametrize("retry_after", [None, 0, 0.0])
def test_being_asked_for_no_wait_counts_as_a_try(retry_after: float | None) -> None:
    assert waits_of(schedule(max_retries=3), APIError(429, retry_after=retry_after)) == [0, 0.5, 1]


def test_rate_limiting_has_a_budget_of_time() -> None:
    waits = waits_of(schedule(max_rate_limit_duration=1_000), APIError(429, retry_after=300))
    assert waits == [300, 300, 300]
    waits = waits_of(schedule(max_rate_limit_duration=900), APIError(429, retry_after=300))
    assert waits == [300, 300, 300]


def test_the_budget_of_rate_limiting_starts_anew_after_another_failure() -> None:
    planned = schedule(max_rate_limit_duration=10)
    limited = APIError(429, retry_after=8)
    assert planned.next_wait(limited, 0) == 8
    assert planned.next_wait(APIError(500), 8) == 0
    assert planned.next_wait(limited, 8) == 8
    assert planned.next_wait(limited, 16) is None


def test_a_server_cannot_alternate_between_its_responses_forever() -> None:
    planned, tries = schedule(max_retries=5), 0
    for now in range(100):
        if planned.next_wait(APIError(500), now) is None:
            break
        assert planned.next_wait(APIError(429, retry_after=1), now) == 1
        tries += 1
    assert tries == 5


def test_backing_off_has_a_budget_of_time() -> None:
    error = APIError(500)
    assert waits_of(schedule(max_total_backoff_duration=3), error) == [0, 0.5, 1]
    assert waits_of(schedule(max_total_backoff_duration=3.6), error) == [0, 0.5, 1, 2]


def test_the_time_that_requests_take_counts_towards_the_budget() -> None:
    planned = schedule(max_total_backoff_duration=30)
    assert planned.next_wait(NetworkError("n"), 100) == 0
    assert planned.next_wait(NetworkError("n"), 115) == 0.5
    assert planned.next_wait(NetworkError("n"), 130.5) is None


def test_a_budget_of_zero_seconds_allows_no_retry() -> None:
    assert waits_of(schedule(max_total_backoff_duration=0), APIError(500)) == []
    limited = APIError(429, retry_after=1)
    assert waits_of(schedule(max_rate_limit_duration=0), limited) == []


def test_one_budget_of_zero_does_not_touch_the_other() -> None:
    limited = APIError(429, retry_after=1)
    assert schedule(max_total_backoff_duration=0).next_wait(limited, 0) == 1
    assert schedule(max_rate_limit_duration=0).next_wait(APIError(500), 0) == 0


@given(
    st.lists(
        st.sampled_from(
            [APIError(500), NetworkError("n"), APIError(429), APIError(429, retry_after=20)]
        ),
        max_size=200,
    )
)
def test_whatever_fails_no_wait_is_negative_or_too_long_and_tries_are_counted(
    failures: list[SegmentError],
) -> None:
    planned = schedule(max_retries=10)
    now, planned_waits = 0.0, []
    for error in failures:
        wait = planned.next_wait(error, now)
        if wait is None:
            break
        assert 0 <= wait <= 60
        if not error.retry_after:
            planned_waits.append(wait)
        now += wait
    assert len(planned_waits) <= 10
    assert all(earlier <= later for earlier, later in pairwise(planned_waits))


def test_a_schedule_shows_no_secrets() -> None:
    planned = RetrySchedule(Config(write_key="very-secret", **OAUTH))
    assert "very-secret" not in repr(planned)
