"""What Spark calls, from 4.1 on, to write each micro-batch of a stream.

A micro-batch that failed is written again when the query goes on: with the same ids. Must not
know options, or how a task delivers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.datasource import DataSourceStreamArrowWriter

from segment_librato.spark.writers import TaskReport, reports

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from pyspark.sql.datasource import WriterCommitMessage

    from segment_librato.spark.job import Job

__all__ = ["StreamWriter"]


class StreamWriter(DataSourceStreamArrowWriter):
    """Writes the micro-batches of a stream."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def write(self, iterator: Iterator[pa.RecordBatch]) -> TaskReport:
        """Deliver the rows of a partition."""
        return TaskReport(self._job.task.count(iterator))

    def commit(self, messages: list[WriterCommitMessage | None], batchId: int) -> None:  # noqa: N803  Spark's
        """Add up the tasks' reports."""
        self._job.commit(reports(messages), f", batch {batchId}")

    def abort(self, messages: list[WriterCommitMessage | None], batchId: int) -> None:  # noqa: N803  the same
        """Say what may have arrived."""
        self._job.abort(reports(messages), f", batch {batchId}")
