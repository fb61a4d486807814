"""The options of an import that are not about rows, checked, and what follows from them.

Must not know rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.config.client import Config
from segment_librato.config.validators import check_count, check_seconds, check_sender
from segment_librato.errors import ConfigError, unexpected
from segment_librato.queue.schedule import BatchRules
from segment_librato.transport.envelope import MAX_BATCH_MESSAGES, max_message_bytes

if TYPE_CHECKING:
    from segment_librato.config.validators import Timeout

__all__ = ["batch_rules", "check_pace", "make_config"]

MAX_CONCURRENCY = 16


def make_config(
    write_key: str,
    host: str | None,
    timeout: Timeout,
    max_retries: int,
    retry_for: float | None,
    *,
    gzip: bool,
) -> Config:
    """Return the options of delivery.

    Raises:
        ConfigError: one of them is wrong; the text names it.
    """
    config = Config(write_key, host, gzip=gzip, max_retries=max_retries, timeout=timeout)
    check_sender(write_key, config.batch_url)
    if retry_for is None:
        return config
    check_seconds("retry_for", retry_for)
    return config.with_options(
        max_total_backoff_duration=retry_for, max_rate_limit_duration=retry_for
    )


def check_pace(rate: float | None, concurrency: int) -> None:
    """Check how fast an import may be.

    Raises:
        ConfigError: one of the two is wrong; the text names it.
    """
    check_count("concurrency", concurrency, 1, MAX_CONCURRENCY)
    if rate is None:
        return
    if not isinstance(rate, (int, float)) or isinstance(rate, bool):
        raise ConfigError(unexpected("rate", "a number of messages a second, or None", rate))
    if not 0 < rate < float("inf"):
        raise ConfigError(f"rate: expected more than 0 messages a second, got {rate}")


def batch_rules(config: Config, rate: float | None) -> BatchRules:
    """Let a request have as much as the API takes, and at most what may go in a second."""
    most = MAX_BATCH_MESSAGES if rate is None else max(1, min(int(rate), MAX_BATCH_MESSAGES))
    return BatchRules(1, most, max_message_bytes(config.write_key or ""), 0)
