"""What a write to the data source is on the driver: its tasks' reports add up to its outcome.

Must not know Spark's classes.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from segment_librato.bulk.report import ImportReport
from segment_librato.errors import ConfigError, SegmentError
from segment_librato.log import log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segment_librato.bulk.allowance import Allowance
    from segment_librato.spark.task import Task

__all__ = ["Job"]

NEEDS_KEY = (
    "key: expected the columns that identify a row, as there is no column messageId: "
    "a data source cannot tell equal rows apart"
)
MAX_SHOWN = 3  # reasons


@dataclass(frozen=True)
class Job:
    """A write, or one micro-batch of a stream.

    Attributes:
        task: what each task does.
        max_rejects: how many rows may be rejected before the job fails.
    """

    task: Task
    max_rejects: Allowance

    def with_key(self, columns: Sequence[str]) -> Job:
        """Return a job that needs no count of equal rows, which no task has of all of them.

        Without a key, the ids that rows have are one: a row without is rejected.

        Args:
            columns: of the rows.

        Raises:
            ConfigError: nothing tells rows apart.
        """
        rules = self.task.rules
        if rules.key:
            return self
        if rules.id_column not in columns:
            raise ConfigError(NEEDS_KEY)
        rules = replace(rules, key=[rules.id_column])
        return replace(self, task=replace(self.task, rules=rules))

    def commit(self, reports: Sequence[ImportReport | None], batch: str = "") -> None:
        """Log what became of all rows.

        Args:
            reports: of all tasks.
            batch: which micro-batch of a stream it was.

        Raises:
            SegmentError: too many were rejected.
        """
        report = _total(reports)
        name = self.task.rules.name
        _show_log()
        log.log(
            logging.WARNING if report.rejected else logging.INFO,
            "import %s%s: rows delivered: %d, rejected: %d%s",
            name,
            batch,
            report.delivered,
            report.rejected,
            _reasons(report),
        )
        if not self.max_rejects.covers(report):
            counts = f"{report.rejected} of {report.read}, more than maxRejects={self.max_rejects}"
            problem = f"rows rejected: {counts}{_reasons(report)}"
            raise SegmentError(f"{problem}; the other rows of import {name}{batch} were delivered")

    def abort(self, reports: Sequence[ImportReport | None], batch: str = "") -> None:
        """Log what may have arrived.

        Args:
            reports: of all tasks; None of one that failed.
            batch: which micro-batch of a stream it was.
        """
        ended = sum(report is not None for report in reports)
        total = _total(reports)
        _show_log()
        if ended and ended == len(reports):
            log.error(
                "import %s%s failed when all tasks had ended: rows delivered: %d, rejected: %d; "
                "only the rejected ones need to be written again, once they are corrected",
                self.task.rules.name,
                batch,
                total.delivered,
                total.rejected,
            )
            return
        log.error(
            "import %s%s failed: tasks that ended: %d of %d, rows delivered by them: %d; rows of "
            "the others may have arrived as well. Write all rows again, under the same name and "
            "within 24 hours: their ids are the same",
            self.task.rules.name,
            batch,
            ended,
            len(reports),
            total.delivered,
        )


def _total(reports: Sequence[ImportReport | None]) -> ImportReport:
    delivered = rejected = 0
    reasons: Counter[str] = Counter()
    for report in filter(None, reports):
        delivered += report.delivered
        rejected += report.rejected
        reasons.update(report.reasons)
    return ImportReport(delivered + rejected, delivered, rejected, 0, reasons)


def _reasons(report: ImportReport) -> str:
    most = Counter(report.reasons).most_common(MAX_SHOWN)
    return "".join(f"; {count} for {reason}" for reason, count in most)


def _show_log() -> None:
    """Have the log appear on stderr: in Spark's process for this, nobody sets up logging."""
    logger = log.logger
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())
        logger.setLevel(logging.INFO)
