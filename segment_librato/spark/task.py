"""What each task does: it delivers all rows of its partition, or raises.

Owns the options of a delivery, as they travel to the executors, and the pairing of batches with
the outcomes of their rows. Must not know DataFrames or data sources.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeAlias

from segment_librato.bulk.importer import Importer
from segment_librato.bulk.options import check_pace
from segment_librato.bulk.report import Tally
from segment_librato.config.client import Config
from segment_librato.config.validators import check_count
from segment_librato.errors import ConfigError, unexpected
from segment_librato.spark.columns import read_messages, read_rows
from segment_librato.spark.pairing import Pairing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from segment_librato.bulk.allowance import Allowance
    from segment_librato.bulk.outcomes import Outcome, Settled
    from segment_librato.bulk.report import ImportReport
    from segment_librato.bulk.rules import RowRules

__all__ = ["KEY_VARIABLE", "Secret", "Task", "WriteKey"]

WriteKey: TypeAlias = str | Callable[[], str] | None

KEY_VARIABLE = "SEGMENT_WRITE_KEY"
ANY_KEY = "any-key"  # where options are checked


class Secret:
    """A write key, or where a task gets it. Its repr and its text do not show it."""

    def __init__(self, source: WriteKey) -> None:
        """Take it.

        Args:
            source: the key; or a function that each task calls for it; or None, for the
                environment variable `SEGMENT_WRITE_KEY` of the executors.

        Raises:
            ConfigError: it is something else.
        """
        if not (source is None or (isinstance(source, str) and source) or callable(source)):
            expected = "the write key of a source, a function that returns it, or None"
            raise ConfigError(unexpected("write_key", expected, source))
        self._source = source

    def read(self) -> str:
        """Return the key.

        Raises:
            ConfigError: there is none here.
        """
        source = self._source
        key = source() if callable(source) else source or os.environ.get(KEY_VARIABLE)
        if not (isinstance(key, str) and key):
            function, variable = "the function that you passed returned none", "is not set on"
            problem = function if callable(source) else f"{KEY_VARIABLE} {variable} this executor"
            raise ConfigError(f"write_key: {problem}")
        return key


@dataclass(frozen=True)
class Task:
    """How the rows of a partition are delivered. It can be pickled.

    Attributes:
        secret: the write key.
        rules: how a row becomes a message.
        host: as that of a client.
        rate: messages a second, of all tasks together; None is no limit.
        partitions: how many tasks share the rate.
        concurrency: how many requests of a task may be under way at once.
        gzip: compress requests.
        max_retries: as that of a client.
        retry_for: longest time, in seconds, that a request is retried or postponed.
        allowance: as that of `Importer`.

    Raises:
        ConfigError: one of them is wrong; the text names it.
    """

    secret: Secret
    rules: RowRules
    host: str | None = None
    rate: float | None = None
    partitions: int | None = None
    concurrency: int = 2
    gzip: bool = False
    max_retries: int = Config.max_retries
    retry_for: float = 600
    allowance: Allowance | None = None

    def __post_init__(self) -> None:
        """Check the values here, and not only on the executors."""
        check_pace(self.rate, self.concurrency)
        if self.partitions is not None:
            check_count("partitions", self.partitions, 1)
        elif self.rate is not None:
            raise ConfigError("partitions: expected how many tasks share the rate, got None")
        self._make_importer(ANY_KEY).close()

    def deliver(
        self, batches: Iterable[pa.RecordBatch]
    ) -> Iterator[tuple[pa.RecordBatch, list[Outcome]]]:
        """Deliver rows; yield each batch as soon as all of its rows have an outcome, with these.

        Raises:
            ImportStoppedError: some rows could be neither delivered nor rejected.
        """
        pairing: Pairing[pa.RecordBatch] = Pairing()

        def rows() -> Iterator[object]:
            for batch in batches:
                if batch.num_rows:
                    pairing.add(batch, batch.num_rows)
                yield from self._read(batch)

        for settled in self._settle(rows()):
            yield from pairing.settle(settled.outcomes)

    def count(self, batches: Iterable[pa.RecordBatch]) -> ImportReport:
        """Deliver rows, and return what became of them; a reason has no words of the server's.

        Raises:
            ImportStoppedError: some rows could be neither delivered nor rejected.
        """
        tally = Tally()
        for settled in self._settle(chain.from_iterable(map(self._read, batches))):
            tally.add([*map(_without_foreign_words, settled.outcomes)])
        return tally.report()

    def _read(self, batch: pa.RecordBatch) -> Iterator[object]:
        return (read_messages if self.rules.mapping is None else read_rows)(batch)

    def _settle(self, rows: Iterator[object]) -> Iterator[Settled]:
        """Deliver rows; a partition without any costs nothing."""
        first = [*islice(rows, 1)]
        if first:
            with self._make_importer(self.secret.read()) as importer:
                yield from importer.settle(chain(first, rows))

    def _make_importer(self, write_key: str) -> Importer:
        return Importer(
            write_key,
            rules=self.rules,
            host=self.host,
            rate=None if self.rate is None else self.rate / (self.partitions or 1),
            concurrency=self.concurrency,
            gzip=self.gzip,
            max_retries=self.max_retries,
            retry_for=self.retry_for,
            allowance=self.allowance,
        )


def _without_foreign_words(outcome: Outcome) -> Outcome:
    """Return an outcome whose reason has no words of the server's, which may repeat the row."""
    if outcome.status is None:
        return outcome
    return outcome._replace(reason=f"the server answered {outcome.status}")
