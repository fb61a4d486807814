"""`deliver`: the rows of a DataFrame go to Segment, and a DataFrame of their outcomes comes back.

Must not know how a task delivers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from segment_librato.bulk.mapping import OBJECTS
from segment_librato.bulk.rules import RowRules
from segment_librato.config.client import Config
from segment_librato.errors import ConfigError, raised_anew
from segment_librato.spark.columns import check_names
from segment_librato.spark.task import Secret, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import StructType

    from segment_librato.bulk.outcomes import Outcome
    from segment_librato.spark.task import WriteKey

__all__ = ["deliver"]

OUTCOME = {
    "messageId": ("string", pa.string()),
    "outcome": ("string", pa.string()),
    "status": ("integer", pa.int32()),
    "reason": ("string", pa.string()),
}
"""The columns that tell of outcomes: their types, as Spark and Arrow name them."""

WITHOUT_HASH = ("decimal", "double", "float", "map<", "variant")


@raised_anew
def deliver(
    df: DataFrame,
    write_key: WriteKey = None,
    *,
    host: str | None = None,
    name: str = "import",
    message_type: str | None = None,
    event: str | None = None,
    mapping: Mapping[str, str] | None = None,
    key: Sequence[str] = (),
    now: bool = False,
    keep: Sequence[str] = (),
    rate: float | None = None,
    partitions: int | None = None,
    concurrency: int = Task.concurrency,
    gzip: bool = False,
    max_retries: int = Config.max_retries,
    retry_for: float = Task.retry_for,
) -> DataFrame:
    """Deliver the rows of a DataFrame to Segment; return a DataFrame of what became of them.

    It is lazy, and each action on it delivers: write it to a table once, and query that. It has,
    for each row, `messageId` (null if it was rejected before it had one), `outcome` (delivered or
    rejected), `status` (of the response that rejected it) and `reason`. A row that is neither
    fails its task, which Spark then runs again; rows have the same ids each time.

    Args:
        df: The rows; objects such as properties may be structs, maps, variants or JSON text.
        write_key: As a str; or a function that each task calls for it; or None, for the variable
            `SEGMENT_WRITE_KEY` in the executors' environment. No plan or log of Spark has it.
        host: As that of a client.
        name: As that of `import_rows`.
        message_type: As that of `import_rows`.
        event: As that of `import_rows`.
        mapping: As that of `import_rows`.
        key: As that of `import_rows`; without it there is a shuffle, unless all rows have ids.
        now: As that of `import_rows`.
        keep: Columns of `df` that the result has as well.
        rate: Messages a second, of all tasks together.
        partitions: How many to make of `df`; with a rate, by default one for each core.
        concurrency: How many requests each task may have under way at once, 1 to 16.
        gzip: Compress requests.
        max_retries: As that of a client.
        retry_for: Longest time, in seconds, that a request is retried, or postponed.

    Raises:
        ConfigError: an argument is wrong; the text names it.
    """
    secret = Secret(write_key)
    del write_key  # an error tracker would upload it
    rules = RowRules(message_type, event, mapping, key, name, now)
    partitions = _count_cores(df) if rate is not None and partitions is None else partitions
    check_names(df.columns, mapping)
    schema = _result_schema(df, keep)
    pace = rate, partitions, concurrency
    call = DeliverToSegment(
        Task(secret, rules, host, *pace, gzip, max_retries, retry_for), df, keep
    )
    return _spread(df, partitions, rules).mapInArrow(call, schema)


def _spread(df: DataFrame, partitions: int | None, rules: RowRules) -> DataFrame:
    """Return a DataFrame in so many partitions, with equal rows in the same one if need be."""
    columns = [] if rules.key or _have_ids(df, rules.id_column) else _hashable(df)
    number = [] if partitions is None else [partitions]
    spread = df.repartition(*number, *columns) if number or columns else df
    if any("." in name or "`" in name for name in df.columns):  # which `mapInArrow` cannot have
        return spread.toDF(*(f"column_{position}" for position in range(len(df.columns))))
    return spread


def _have_ids(df: DataFrame, column: str) -> bool:
    """Return whether each row has an id in a column."""
    return column in df.columns and not df.schema[column].nullable


def _hashable(df: DataFrame) -> list[Column]:
    """Return columns in which equal rows have the same hash.

    Those of maps and JSON text depend on an order that does not matter, those of fractions on
    more than JSON has of them, and variants have none.

    Raises:
        ConfigError: there is no such column.
    """
    from pyspark.sql import functions

    texts = {(name, "string") for name in OBJECTS}
    kinds = [one for one in df.dtypes if one not in texts]
    names = [name for name, kind in kinds if not any(one in kind for one in WITHOUT_HASH)]
    if not names:
        problem = "no column is of a type by which Spark could bring equal rows together"
        raise ConfigError(f"key: expected the columns that identify a row, as {problem}")
    return [functions.col("`{}`".format(name.replace("`", "``"))) for name in names]


def _count_cores(df: DataFrame) -> int:
    """Return how many tasks run at once on the cluster as it is."""
    if ".connect." in type(df).__module__:
        expected = "how many tasks share the rate; Spark Connect does not tell the cores"
        raise ConfigError(f"partitions: expected {expected}")
    return int(df.sparkSession.sparkContext.defaultParallelism)


def _result_schema(df: DataFrame, keep: Sequence[str]) -> StructType:
    from pyspark.sql.types import StructType

    columns = {column.name: column for column in df.schema}
    is_list = isinstance(keep, Sequence) and not isinstance(keep, str)
    if not (is_list and all(column in columns for column in keep)):
        raise ConfigError(f"keep: expected a list of columns of the DataFrame, got {keep!r}")
    taken = {name.lower() for name in OUTCOME}
    if clash := next((column for column in keep if column.lower() in taken), None):
        raise ConfigError(f"keep: the result has a column {clash} of its own")
    schema = StructType([columns[column] for column in keep])
    for name, (kind, _) in OUTCOME.items():
        schema.add(name, kind)
    return schema


class DeliverToSegment:
    """What Spark calls in each task; plans show its name."""

    def __init__(self, task: Task, df: DataFrame, keep: Sequence[str]) -> None:
        """Take how to deliver, what the columns are called, and which go along with outcomes."""
        self._task = task
        self._columns = list(df.columns)
        self._keep = list(keep)

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Deliver the rows of a partition; yield their outcomes, batch by batch."""
        names = [*self._keep, *OUTCOME]
        named = (pa.RecordBatch.from_arrays(one.columns, self._columns) for one in batches)
        for batch, outcomes in self._task.deliver(named):
            kept = [batch.column(column) for column in self._keep]
            yield pa.RecordBatch.from_arrays([*kept, *_columns(outcomes)], names)


def _columns(outcomes: Sequence[Outcome]) -> list[pa.Array]:
    rows = [(one.message_id, one.outcome, one.status, one.reason) for one in outcomes]
    kinds = [kind for _, kind in OUTCOME.values()]
    return [*map(pa.array, zip(*rows, strict=True), kinds)]
