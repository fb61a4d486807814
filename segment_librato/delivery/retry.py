"""Retries: whether a batch that was not delivered is sent again, split or failed, and when.

One table for each API says which, by status or by the API's own code. The waits are those of
Segment's own libraries (analytics-python 2.4.0, analytics-node): the first retry comes at once,
the next ones after 0.5 s doubling to 60 s, jittered. Waits that the server asks for are taken as
they are, up to 300 s each, and do not count as tries. Both kinds of waits have a budget of time;
a budget of 0 s allows none of its kind.

Must not know queues or connections. It is told the time, and never sleeps.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from segment_librato.errors import APIError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from segment_librato.config.client import Config
    from segment_librato.errors import SegmentError

__all__ = ["LIBRATO", "OTLP", "SEGMENT", "Decision", "RetrySchedule", "RetryTable", "load_backoff"]

FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 60
MAX_RETRY_AFTER_SECONDS = 300


class Decision:
    """What to do with a batch that was not delivered; no Enum, which is slow to import."""

    RETRY = "send it again"
    SPLIT = "halve it, to find the message that is to blame"
    FAIL = "report it"


class RetryTable(NamedTuple):
    """How an API's responses are read.

    No response at all always means RETRY, and a wrong setting (a `ConfigError`) always FAIL.

    Attributes:
        retried: the statuses that mean RETRY.
        retried_codes: the codes that mean RETRY, whatever the status.
        split: the statuses that mean SPLIT, if the error may be about a single message.
        retried_with_oauth: the statuses that mean RETRY with bearer tokens only: a new one may
            help.
    """

    retried: frozenset[int]
    split: frozenset[int]
    retried_codes: frozenset[str] = frozenset()
    retried_with_oauth: frozenset[int] = frozenset()

    def decide(self, error: SegmentError, *, uses_oauth: bool = False) -> str:
        """Return what to do with a batch that failed with this error: one of `Decision`."""
        if isinstance(error, NetworkError):
            return Decision.RETRY
        if not isinstance(error, APIError):
            return Decision.FAIL
        if error.status in self.retried or error.code in self.retried_codes:
            return Decision.RETRY
        if uses_oauth and error.status in self.retried_with_oauth:
            return Decision.RETRY
        if error.is_splittable and error.status in self.split:
            return Decision.SPLIT
        return Decision.FAIL


_SERVER_ERRORS = frozenset(range(500, 600)) - {501, 505, 511}
_USUAL = frozenset({408, 410, 429, 460}) | _SERVER_ERRORS

# Segment docs, "HTTP API source", and the table of analytics-python 2.4.0 and analytics-node.
SEGMENT = RetryTable(
    retried=_USUAL, split=frozenset({400, 413}), retried_with_oauth=frozenset({511})
)
# librato/api-docs, "Response Codes & Errors": a rate limit may be a 403 that says so.
LIBRATO = RetryTable(
    retried=_USUAL, split=frozenset({400, 413}), retried_codes=frozenset({"rate_limited"})
)
# OpenTelemetry Protocol Specification, "OTLP/HTTP Response": only these are retryable.
OTLP = RetryTable(retried=frozenset({429, 502, 503, 504}), split=frozenset({400, 413}))


@cache  # so that it is still there when the interpreter has torn down its modules
def load_backoff() -> ModuleType:
    """Import what computes the waits."""
    import backoff  # it imports asyncio, which takes 30 ms

    return backoff


def _backoffs() -> Iterator[float]:
    yield 0.0
    waits: Iterator[float] = load_backoff().expo(
        factor=FIRST_BACKOFF_SECONDS, max_value=MAX_BACKOFF_SECONDS
    )
    next(waits)  # backoff's generators yield nothing at first
    yield from waits


def _full_jitter(max_wait: float) -> float:
    wait: float = load_backoff().full_jitter(max_wait)
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
        """Return the seconds to wait before the next try; None if the budget is used up.

        Args:
            error: how the last try failed.
            now: the time on a monotonic clock, in seconds.
        """
        if error.retry_after:
            return self._wait_as_asked(error.retry_after, now)
        return self._wait_as_planned(now)

    def _wait_as_asked(self, retry_after: float, now: float) -> float | None:
        if self._rate_limited_since is None:
            self._rate_limited_since = now
        wait = min(retry_after, MAX_RETRY_AFTER_SECONDS)
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
