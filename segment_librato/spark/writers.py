"""What Spark calls to write a DataFrame: on the executors first, then on the driver.

Must not know options, or how a task delivers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql.datasource import DataSourceArrowWriter, WriterCommitMessage

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from segment_librato.bulk.report import ImportReport
    from segment_librato.spark.job import Job

__all__ = ["TaskReport", "Writer", "reports"]


@dataclass
class TaskReport(WriterCommitMessage):
    """What a task tells the driver.

    Attributes:
        report: what became of its rows.
    """

    report: ImportReport


def reports(messages: list[WriterCommitMessage | None]) -> list[ImportReport | None]:
    """Return the reports of tasks; None of those that failed."""
    return [one.report if isinstance(one, TaskReport) else None for one in messages]


class Writer(DataSourceArrowWriter):
    """Writes a DataFrame."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def write(self, iterator: Iterator[pa.RecordBatch]) -> TaskReport:
        """Deliver the rows of a partition."""
        return TaskReport(self._job.task.count(iterator))

    def commit(self, messages: list[WriterCommitMessage | None]) -> None:
        """Add up the tasks' reports."""
        self._job.commit(reports(messages))

    def abort(self, messages: list[WriterCommitMessage | None]) -> None:
        """Say what may have arrived."""
        self._job.abort(reports(messages))
