"""`SegmentDataSource`: `df.write.format("segment")` of Spark 4, for tables and streams.

Owns what Spark asks of a data source. Must not know how a task delivers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import datasource

from segment_librato.errors import ConfigError
from segment_librato.spark.columns import check_names
from segment_librato.spark.options import WRITE_KEY, read_options
from segment_librato.spark.task import Secret
from segment_librato.spark.writers import Writer

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

    from segment_librato.spark.job import Job
    from segment_librato.spark.stream import StreamWriter
    from segment_librato.spark.task import WriteKey

__all__ = ["SegmentDataSource"]


class SegmentDataSource(datasource.DataSource):
    """Segment, as something that Spark 4 can write to.

        spark.dataSource.register(SegmentDataSource)
        df.write.format("segment").option("name", "orders-2025").mode("append").save()

    The options are those of `deliver`, as texts: `host`, `name`, `type`, `event`,
    `mapping` (JSON), `key` (with commas), `now`, `rate` with `partitions`, `concurrency`, `gzip`,
    `maxRetries`, `retryFor`; and `maxRejects`, a number or a percentage such as "5%",
    by default 0: if more rows are rejected, the job fails once the others are delivered.
    Without a `key`, the rows must have a column `messageId`, with a value in each.

    Better not pass the write key as an option: Spark Connect shows options in its event log and UI.
    Give it to `with_write_key`, or set `SEGMENT_WRITE_KEY` in the environment of the executors.
    """

    _secret: Secret | None = None

    @staticmethod
    def with_write_key(write_key: WriteKey) -> type[SegmentDataSource]:
        """Return a data source to register that has a write key, which nothing shows.

        Args:
            write_key: as that of `deliver`.

        Raises:
            ConfigError: it is wrong.
        """
        secret = Secret(write_key)

        class WithWriteKey(SegmentDataSource):
            _secret = secret

        return WithWriteKey

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "segment"

    def writer(self, schema: StructType, overwrite: bool) -> Writer:
        """Return what writes a DataFrame."""
        return Writer(self._job(schema, overwrite=overwrite))

    def streamWriter(self, schema: StructType, overwrite: bool) -> StreamWriter:  # noqa: N802  Spark's
        """Return what writes a stream."""
        if not hasattr(datasource, "DataSourceStreamArrowWriter"):
            raise ConfigError("streams need Spark 4.1 for this format; with 4.0, use foreachBatch")
        from segment_librato.spark.stream import StreamWriter

        return StreamWriter(self._job(schema, overwrite=overwrite))

    def _job(self, schema: StructType, *, overwrite: bool) -> Job:
        if overwrite:
            raise ConfigError(
                'mode: expected append, as in .mode("append"); Segment cannot overwrite'
            )
        secret = self._secret or Secret(self.options.get(WRITE_KEY))
        job = read_options(self.options, secret)
        check_names(schema.names, job.task.rules.mapping)
        return job.with_key(schema.names)
