"""`import_rows`: deliver rows, each with an id of its own, and return what became of them.

Must not know how rows are delivered, or files that rows are read from.
"""

from __future__ import annotations

import os  # noqa: TC003  for `typing.get_type_hints`
from collections.abc import Callable, Iterable, Mapping, Sequence  # noqa: TC003  the same
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from segment_librato.bulk.allowance import Allowance
from segment_librato.bulk.importer import Importer
from segment_librato.bulk.outcomes import Outcome, reject_line
from segment_librato.bulk.report import ImportReport, Tally
from segment_librato.bulk.rules import RowRules
from segment_librato.config.client import Config
from segment_librato.config.validators import check_callback
from segment_librato.errors import (
    ConfigError,
    ImportStoppedError,
    SegmentError,
    ShutdownTimeoutError,
    raised_anew,
    unexpected,
)
from segment_librato.foreign.narrowing import is_mapping
from segment_librato.log import log

__all__ = ["import_rows"]


@raised_anew
def import_rows(
    rows: Iterable[Mapping[str, Any]],
    write_key: str,
    *,
    host: str | None = None,
    name: str = "import",
    message_type: str | None = None,
    event: str | None = None,
    mapping: Mapping[str, str] | None = None,
    key: Sequence[str] = (),
    now: bool = False,
    rate: float | None = None,
    concurrency: int = 4,
    gzip: bool = False,
    max_retries: int = Config.max_retries,
    max_rejects: int | str | None = None,
    on_reject: Callable[[Outcome], object] | None = None,
    rejects: str | os.PathLike[str] | None = None,
    progress: Callable[[ImportReport], object] | None = None,
) -> ImportReport:
    """Deliver rows to Segment, and return what became of them; docs/import-rows.md has examples.

    Args:
        rows: Messages as Segment's specification has them, or flat dicts if there is a `mapping`.
            One without a `messageId` gets the same id whenever and wherever it is imported.
        write_key: The write key of the source.
        host: As that of a client.
        name: The name of the import: in another one, rows get other ids.
        message_type: The type of all messages; None is the row's own, or track if it has an event.
        event: The event of all track messages; None is the row's own.
        mapping: The column of each target: `{"userId": "customer", "properties.value": "amount"}`.
        key: The columns that tell rows apart; none: the whole row, and how often it has come.
        now: Whether a row without a timestamp counts as of now, instead of being rejected.
        rate: Messages a second, on average, at most; None is no limit.
        concurrency: How many requests may be under way at once, 1 to 16.
        gzip: Compress requests.
        max_retries: As that of a client.
        max_rejects: How many rows may be rejected, such as 10 or "1%"; see docs/import-rows.md.
        on_reject: Called with the `Outcome` of each rejected row. What it raises ends the import.
        rejects: The path of a file to write: each rejected row as a line of JSON.
        progress: Called with the report so far after each request. What it raises ends the import.

    Raises:
        ConfigError: an argument is wrong; the text names it.
        ImportStoppedError: rows could be neither delivered nor rejected. Import all again.
        OSError: the file of rejects cannot be written.
    """
    allowance = _check(rows, on_reject, progress, max_rejects)
    with Importer(
        write_key,
        rules=RowRules(message_type, event, mapping, key, name, now),
        host=host,
        rate=rate,
        concurrency=concurrency,
        gzip=gzip,
        max_retries=max_retries,
        allowance=allowance,
    ) as importer:
        del write_key  # an error tracker would upload it
        return _deliver(importer, rows, allowance, rejects, on_reject, progress)


def _check(
    rows: object, on_reject: object, progress: object, max_rejects: object
) -> Allowance | None:
    """Check arguments; return how many rows may be rejected."""
    if is_mapping(rows) or isinstance(rows, (str, bytes)):  # one row, or the name of a file
        raise ConfigError(unexpected("rows", "an iterable of dicts", rows))
    check_callback("on_reject", on_reject)
    check_callback("progress", progress)
    return None if max_rejects is None else _read_allowance(max_rejects)


def _read_allowance(value: object) -> Allowance:
    """Return how many rows may be rejected. Raises ConfigError: the value does not say so."""
    expected = "a number such as 10, or a percentage such as '1%'"
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ConfigError(unexpected("max_rejects", expected, value))
    try:
        return Allowance.read(str(value))
    except ValueError:
        raise ConfigError(f"max_rejects: expected {expected}, got {value!r}") from None


def _deliver(
    importer: Importer,
    rows: Iterable[object],
    allowance: Allowance | None,
    rejects: str | os.PathLike[str] | None,
    on_reject: Callable[[Outcome], object] | None,
    progress: Callable[[ImportReport], object] | None,
) -> ImportReport:
    tally = Tally()
    with nullcontext() if rejects is None else Path(rejects).open("wb") as file:
        try:
            for settled in importer.settle(rows):
                for outcome in tally.add(settled.outcomes):
                    if file:
                        file.write(reject_line(outcome))
                    if on_reject:
                        on_reject(outcome)
                report = tally.report()
                if progress:
                    progress(report)
                if allowance is not None and not allowance.covers_so_far(report):
                    importer.stop()
        except ImportStoppedError as error:
            report, reason = tally.report(), error.error
            if isinstance(reason, ShutdownTimeoutError):  # it was stopped, see above
                rejected = f"rows rejected: {report.rejected:,}"
                reason = SegmentError(f"max_rejects={allowance} is exceeded, {rejected}")
            counts = error.unsettled, report.delivered, report.rejected
            raise ImportStoppedError(reason, *counts) from None
    if unseen := importer.unseen_columns:
        log.warning("no row has the column %s, which is mapped", ", ".join(unseen))
    return tally.report()
