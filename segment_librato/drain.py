"""`drain_spool`: deliver what processes that have ended left in a spool, and return.

For deployments, tests and the command line; a client with a spool does the same in the background.
Owns when to go on and when to leave the rest where it is. Must not know files or HTTP.
"""

from __future__ import annotations

import os  # noqa: TC003  for `typing.get_type_hints`
from collections.abc import Callable  # noqa: TC003  the same
from typing import TYPE_CHECKING, NamedTuple

from segment_librato.config.client import Config, OnError
from segment_librato.config.spool import SpoolConfig
from segment_librato.config.validators import check_callback, check_seconds, check_sender
from segment_librato.delivery.report import Reporter
from segment_librato.delivery.retry import SEGMENT
from segment_librato.errors import raised_anew
from segment_librato.log import log
from segment_librato.preload import preload
from segment_librato.queue.schedule import BatchRules
from segment_librato.transport.envelope import MAX_BATCH_MESSAGES, max_message_bytes
from segment_librato.transport.lazy import LazyTransport

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.delivery.adoption import Adopter
    from segment_librato.spooling.backlog import Backlog
    from segment_librato.transport.base import Transport

__all__ = ["DrainReport", "drain_spool"]


class DrainReport(NamedTuple):
    """What became of the messages in a spool.

    Attributes:
        delivered: Messages for which the server reported success.
        failed: Messages that will not be delivered; `on_error`, if there is one, was called with
            them.
        left: Messages that are still there: the server could not be reached, or time ran out.
            Those of processes that are alive do not count.
        quarantined: Parts of files that could not be read, and are in `quarantine/` now.
    """

    delivered: int = 0
    failed: int = 0
    left: int = 0
    quarantined: int = 0


@raised_anew
def drain_spool(
    path: str | os.PathLike[str],
    write_key: str,
    *,
    host: str | None = None,
    timeout: float | None = None,
    on_error: OnError | None = None,
    gzip: bool = False,
    progress: Callable[[DrainReport], object] | None = None,
) -> DrainReport:
    """Deliver what processes that have ended left in a spool, and return what became of it.

    It starts no thread, and may run beside live clients and other drains: each message is
    delivered by one of them. Without `on_error`, only a message that the server rejects by itself
    is given up; any other refusal, such as 401, ends the drain, and the rest stays.

    Args:
        path: The folder, as in the option `spool`; if there is none, nothing is left in it.
        write_key: The write key of the clients that wrote there.
        host: Their host.
        timeout: Longest time to take, in seconds; None is no limit. Then, and when a request and
            its ten retries have failed, the rest stays.
        on_error: Called as `on_error(error, messages)`, as that of a client.
        gzip: Compress requests.
        progress: Called with the report so far after each batch. What it raises ends the drain.

    Raises:
        ConfigError: an argument is wrong, or the folder is not safe; the text names it.
        OSError: the folder cannot be read.
    """
    check_callback("progress", progress)
    if timeout is not None:
        check_seconds("timeout", timeout)
    config = Config(write_key, host, on_error=on_error, gzip=gzip)
    check_sender(write_key, config.batch_url)
    del write_key  # an error tracker would upload it
    return _drain(config, SpoolConfig(path), timeout, progress)


def _drain(
    config: Config,
    spool: SpoolConfig,
    timeout: float | None,
    progress: Callable[[DrainReport], object] | None,
) -> DrainReport:
    # Most processes never drain.
    from pathlib import Path

    from segment_librato.spooling.folder import find_spool
    from segment_librato.spooling.orphan import count_files_of_others

    path = Path(spool.path)
    folder = find_spool(path, config.write_key or "", config.batch_url)
    report = _drain_folder(folder, config, timeout, progress) if folder else DrainReport()
    if not any(report) and (others := count_files_of_others(path, folder)):
        text = "%s has nothing for this write key and host; files for others: %d"
        log.warning(text, path, others)
    return report


def _drain_folder(
    folder: Path,
    config: Config,
    timeout: float | None,
    progress: Callable[[DrainReport], object] | None,
) -> DrainReport:
    from segment_librato.delivery.adoption import Adopter
    from segment_librato.spooling.backlog import Backlog
    from segment_librato.spooling.orphan import count_left

    max_bytes = max_message_bytes(config.write_key or "")
    rules = BatchRules(1, MAX_BATCH_MESSAGES, max_bytes, 0)
    transport = LazyTransport(lambda: _make_transport(config), preload)
    adopter = Adopter(config, rules, transport, Reporter(config.on_error), SEGMENT)
    found = count_left(folder) if progress else 0

    def report_progress() -> None:
        if progress:
            stats = adopter.stats()
            done = stats.delivered + stats.failed
            progress(_report(adopter, max(0, found - done)))

    backlog = Backlog(folder, rules.max_messages, rules.max_bytes, adopter.count_corrupt)
    try:
        _deliver_all(backlog, adopter, timeout, report_progress)
    finally:
        backlog.close()
        transport.close()
    return _report(adopter, count_left(folder))


def _deliver_all(
    backlog: Backlog, adopter: Adopter, timeout: float | None, on_batch: Callable[[], object]
) -> None:
    """Deliver batches until none is left, time runs out, or one has to stay."""
    clock = adopter.clock
    deadline = None if timeout is None else clock.deadline(timeout)
    has_found = True
    while deadline is None or clock.now() < deadline:
        batch = backlog.take()
        if batch is None:
            if not has_found:  # nor has anybody left something since
                return
            has_found = False
            continue
        has_found = True
        error = adopter.deliver(batch, deadline)
        on_batch()
        if error:
            log.warning("the rest stays in the spool: %s", error)
            return


def _report(adopter: Adopter, left: int) -> DrainReport:
    stats = adopter.stats()
    return DrainReport(stats.delivered, stats.failed, left, adopter.quarantined)


def _make_transport(config: Config) -> Transport:
    from segment_librato.transport.segment import SegmentTransport  # it imports HTTP

    return SegmentTransport(config)
