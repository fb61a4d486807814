"""Whether a failure is worth another try, and how long to wait before it.

The table is that of Segment's own libraries (analytics-python 2.4.0, analytics-node): network
errors, 408, 410, 429, 460 and all 5xx but 501 and 505 are; 511 only where a new bearer token
may help. The first retry comes at once, the next ones after 0.5 s doubling to 60 s, jittered.
Waits that the server asks for are taken as they are, up to 300 s each, and do not count as tries.
Both kinds of waits have a budget of time; a budget of 0 s allows none of its kind.

It neither sleeps nor reads a clock.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from segment_librato.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from segment_librato.config.client import Config
    from segment_librato.errors import SegmentError

__all__ = ["RetrySchedule", "is_worth_retrying", "load_backoff"]

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 60
LONGEST_RETRY_AFTER_SECONDS = 300

RETRIED_CLIENT_ERRORS = frozenset({408, 410, 429, 460})
SERVER_ERRORS = range(500, 600)
FINAL_SERVER_ERRORS = frozenset({501, 505})
NETWORK_AUTHENTICATION_REQUIRED = 511


def is_worth_retrying(error: SegmentError, *, uses_oauth: bool) -> bool:
    """Return whether the same request may succeed later."""
    if error.retryable is not None:
        return error.retryable
    status = error.status
    if status is None:
        return isinstance(error, NetworkError)
    if status == NETWORK_AUTHENTICATION_REQUIRED:
        return uses_oauth
    if status in RETRIED_CLIENT_ERRORS:
        return True
    return status in SERVER_ERRORS and status not in FINAL_SERVER_ERRORS


@cache  # so that it is at hand even when the interpreter has forgotten its modules
def load_backoff() -> ModuleType:
    """Import what works out the waits."""
    import backoff  # noqa: PLC0415  it imports asyncio, which takes 30 ms

    return backoff


def _backoffs() -> Iterator[float]:
    yield 0.0
    waits: Iterator[float] = load_backoff().expo(
        factor=FIRST_BACKOFF_SECONDS, max_value=LONGEST_BACKOFF_SECONDS
    )
    next(waits)  # backoff's generators yield nothing at first
    yield from waits


def _full_jitter(longest: float) -> float:
    wait: float = load_backoff().full_jitter(longest)
    return wait


class RetrySchedule:
    """The tries of one request: asked after each failure, it says how long to wait."""

    def __init__(self, config: Config, jitter: Callable[[float], float] = _full_jitter) -> None:
        """Begin with no tries.

        Args:
            config: the budgets.
            jitter: takes the longest wait in seconds, returns the one to make.
        """
        self._config = config
        self._jitter = jitter
        self._tries = 0
        self._first_failure: float | None = None
        self._rate_limited_since: float | None = None
        self._backoffs = _backoffs()

    def next_wait(self, error: SegmentError, now: float) -> float | None:
        """Return the seconds to wait before the next try; None if there is to be none.

        Args:
            error: how the last try failed.
            now: the time on a monotonic clock, in seconds.
        """
        if not is_worth_retrying(error, uses_oauth=self._config.uses_oauth):
            return None
        if error.retry_after:
            return self._wait_as_asked(error.retry_after, now)
        return self._wait_as_planned(now)

    def _wait_as_asked(self, retry_after: float, now: float) -> float | None:
        if self._rate_limited_since is None:
            self._rate_limited_since = now
        wait = min(retry_after, LONGEST_RETRY_AFTER_SECONDS)
        spent = now + wait - self._rate_limited_since
        return wait if spent <= self._config.max_rate_limit_duration else None

    def _wait_as_planned(self, now: float) -> float | None:
        self._rate_limited_since = None
        if self._first_failure is None:
            self._first_failure = now
        self._tries += 1
        if self._tries > self._config.max_retries:
            return None
        wait = self._jitter(next(self._backoffs))
        spent = now + wait - self._first_failure
        return wait if spent < self._config.max_total_backoff_duration else None
