"""Import from Spark: `deliver` for DataFrames, `SegmentDataSource` for `df.write` of Spark 4.

    from segment_librato.spark import deliver

    outcomes = deliver(events, write_key, name="orders-2025", key=["order_id"])
    outcomes.write.saveAsTable("orders_outcomes")

Needs the extra `segment-librato[spark]`, or what a cluster has anyway: pyspark 3.5 or later, with
pyarrow and pandas. Must not know how rows are delivered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

try:
    from segment_librato.spark.frame import deliver
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        f'{_error}; Spark needs an extra: pip install "segment-librato[spark]"', name=_error.name
    ) from None

if TYPE_CHECKING:
    from segment_librato.spark.source import SegmentDataSource as SegmentDataSource

__all__ = ["deliver"]  # what all versions of Spark can have


def __getattr__(name: str) -> object:
    """Import the data source on first use.

    Raises:
        ImportError: it is Spark 3.5, which cannot have it.
    """
    if name != "SegmentDataSource":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        import pyspark.sql.datasource  # noqa: F401  Spark 4
    except ModuleNotFoundError:
        raise ImportError("SegmentDataSource needs Spark 4; with 3.5, use `deliver`") from None
    from segment_librato.spark.source import SegmentDataSource

    return SegmentDataSource
