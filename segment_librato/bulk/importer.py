"""The importer: rows go in, their outcomes come out, and no more rows are read than fit in between.

Owns the threads, one for each request at a time. They are daemons without a lock of their own: an
importer belongs to the process and the thread that made it. Must not know files or engines.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from segment_librato.bulk.chunk import Chunk
from segment_librato.bulk.delivery import ChunkSender
from segment_librato.bulk.options import batch_rules, check_pace, make_config
from segment_librato.bulk.pacing import PacedTransport, Pacing
from segment_librato.bulk.rows import RowEncoder
from segment_librato.config.client import Config
from segment_librato.errors import (
    DeliveryError,
    ImportStoppedError,
    SegmentError,
    ShutdownTimeoutError,
    without_frames,
)
from segment_librato.foreign.interruption import is_interruption
from segment_librato.preload import preload
from segment_librato.process.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from typing_extensions import Self

    from segment_librato.bulk.allowance import Allowance
    from segment_librato.bulk.outcomes import Settled
    from segment_librato.bulk.rules import RowRules
    from segment_librato.config.validators import Timeout

__all__ = ["Importer"]

MAX_KEPT_BYTES = 4_000_000  # of a request's rows, of which a message may be a small part


class Importer:
    """Delivers rows with several requests at a time. For one caller at a time.

    with Importer("YOUR_WRITE_KEY", rules=RowRules(key=["order_id"])) as importer:
        for settled in importer.settle(rows):
            ...
    """

    def __init__(
        self,
        write_key: str,
        *,
        rules: RowRules,
        host: str | None = None,
        rate: float | None = None,
        concurrency: int = 4,
        gzip: bool = False,
        max_retries: int = Config.max_retries,
        timeout: Timeout = Config.timeout,
        retry_for: float | None = None,
        allowance: Allowance | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Make an importer; its threads start with the first rows.

        Args:
            write_key: The write key of the source.
            rules: How a row becomes a message.
            host: As that of a client.
            rate: Messages a second, on average, at most; None is no limit.
            concurrency: How many requests may be under way at once, 1 to 16.
            gzip: Compress requests.
            max_retries: As that of a client.
            timeout: As that of a client.
            retry_for: Longest time, in seconds, that a request is tried again, or postponed by
                the server; None is that of a client.
            allowance: How many rows may be rejected, which the caller sees to. None: more than 64
                that the server rejects one after another end the import, as its own fault.
            clock: The clock of waits.

        Raises:
            ConfigError: an argument is wrong; the text names it.
        """
        config = make_config(write_key, host, timeout, max_retries, retry_for, gzip=gzip)
        del write_key  # an error tracker would upload it
        check_pace(rate, concurrency)
        preload()  # not on the threads: a rule of the library
        from segment_librato.transport.segment import SegmentTransport  # it imports HTTP

        self._pacing = Pacing(rate, clock := clock or Clock())
        self._transport = PacedTransport(SegmentTransport(config, is_strict=True), self._pacing)
        self._limits = batch_rules(config, rate)
        parts = config, self._limits, self._transport, self._pacing, clock
        self._sender = ChunkSender(*parts, allowance)
        self._encoder = RowEncoder(config.write_key or "", rules)
        self._concurrency = concurrency
        self._threads: list[threading.Thread] = []
        self._todo: SimpleQueue[Chunk | None] = SimpleQueue()
        self._done: SimpleQueue[Chunk] = SimpleQueue()
        self._under_way = 0
        self._next, self._settled = 1, 0  # the number of the next row; rows that have an outcome
        self._failure: SegmentError | None = None
        self._reading: Exception | None = None

    def __enter__(self) -> Self:
        """Return the importer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the importer."""
        self.close()

    def count(self, row: object) -> None:
        """Count a row that an earlier run has settled: it is not sent, and has no number.

        An equal row without an id gets another id then, as in a run that sends both. May be
        called while `settle` reads the next row.
        """
        self._encoder.count(row)

    @property
    def tells_equal_rows_apart(self) -> bool:
        """Whether a row has got an id that depends on how often such a row has come."""
        return self._encoder.tells_equal_rows_apart

    @property
    def unseen_columns(self) -> list[str]:
        """The columns that are mapped, but were in no row so far, if there were any."""
        return self._encoder.unseen_columns

    def settle(self, rows: Iterable[object]) -> Generator[Settled, None, None]:
        """Deliver rows, and yield their outcomes as they come, not in order.

        No more rows are read than fit in the requests under way and in one that is being filled.
        May be called again when it has ended; the numbers go on. To leave it early, close the
        generator: it waits for the requests under way, whose rows have no outcome then.

        Args:
            rows: dicts; what is none is rejected. If reading one raises something, it is raised
                again when all that were read before have their outcomes.

        Raises:
            ImportStoppedError: some rows can be neither delivered nor rejected. All outcomes that
                there are have been yielded.
        """
        self._reading = None
        is_over = False
        try:
            for chunk in () if self._pacing.is_stopped else self._chunks(rows):
                yield from self._submit(chunk)
                if self._pacing.is_stopped:
                    break
            while self._under_way:
                yield from self._take(self._done.get())
            is_over = True
        finally:
            if not is_over:
                self.close()
        unsettled = self._next - 1 - self._settled
        if self._pacing.is_stopped:
            error = self._failure or ShutdownTimeoutError("on request")
            raise ImportStoppedError(error, unsettled)
        if self._reading:
            raise self._reading
        if unsettled:
            error = DeliveryError("some rows have no outcome: this is a bug, please report it")
            raise ImportStoppedError(error, unsettled)

    def stop(self) -> None:
        """Have `settle` read no more rows, and end when the requests under way have ended.

        It then raises `ImportStoppedError` unless it was over. May be called from any thread and
        from a signal handler.
        """
        self._pacing.stop()

    def close(self) -> None:
        """Wait for the requests under way, and end the threads."""
        self._pacing.stop()
        for _ in self._threads:
            self._todo.put(None)
        while self._threads:
            self._threads[-1].join()
            self._threads.pop()
        self._transport.close()
        self._encoder.close()

    def _chunks(self, rows: Iterable[object]) -> Iterator[Chunk]:
        """Fill chunks, each with as many rows as fit in a request."""
        limits, take = self._limits, self._encoder.take
        chunk = Chunk(self._next)
        try:
            for row in rows:
                self._next += 1
                try:
                    message_id, message, kept, size = take(row)
                except SegmentError as error:
                    chunk.add_rejected(row, without_frames(error))
                else:
                    if chunk.size + len(message) >= limits.max_bytes:
                        yield chunk
                        chunk = Chunk(self._next - 1)
                    chunk.add(message_id, message, kept, size)
                is_full = chunk.size >= limits.max_bytes or chunk.kept >= MAX_KEPT_BYTES
                if is_full or len(chunk) >= limits.max_messages:
                    yield chunk
                    chunk = Chunk(self._next)
        except Exception as error:  # the caller's code may raise anything
            if is_interruption(error):
                raise
            self._reading = error
        if len(chunk):
            yield chunk

    def _submit(self, chunk: Chunk) -> Iterator[Settled]:
        """Have a thread deliver a chunk; yield what has settled meanwhile."""
        while self._under_way >= self._concurrency:
            yield from self._take(self._done.get())
        if self._pacing.is_stopped:
            return
        if len(self._threads) == self._under_way:
            self._start_thread()
        self._todo.put(chunk)
        self._under_way += 1
        while True:
            try:
                done = self._done.get_nowait()
            except Empty:
                return
            yield from self._take(done)

    def _take(self, chunk: Chunk) -> Iterator[Settled]:
        """Yield the outcomes of a chunk that a thread has done."""
        self._under_way -= 1
        settled = chunk.outcome()
        self._settled += len(settled.outcomes)
        if chunk.failure and not self._pacing.is_stopped:  # else it is a consequence
            self._failure = chunk.failure
            self._pacing.stop()
        if settled.outcomes:
            yield settled

    def _start_thread(self) -> None:
        name = f"segment-import-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self) -> None:
        while (chunk := self._todo.get()) is not None:
            try:
                self._sender.deliver(chunk)
            except BaseException as error:  # noqa: BLE001  a log handler may raise anything
                chunk.failure = DeliveryError(f"interrupted by {type(error).__name__}")
            self._done.put(chunk)
