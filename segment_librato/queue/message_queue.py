"""The queue: bounded, in memory, first in first out, with a ledger of every message.

The application's side takes no lock: a call appends to a deque, and wakes a consumer. While the
call runs, so may a `__del__` or a signal handler, which may want any lock of the application; and
another thread may hold that lock, and make a call. So no call may hold a lock that another one
waits for. The consumers' side, with flush and shutdown, shares one re-entrant lock. Under it, the
queue only decides: it does no I/O, and calls no code of the application.

Must not know what a message means, threads or the network. It is long because its two sides, the
application's and the consumers', share most fields.
"""

from __future__ import annotations

import threading
from collections import deque
from itertools import repeat, starmap
from typing import TYPE_CHECKING, Any, Final, Literal

from segment_librato.errors import ClientClosedError, QueueFullError
from segment_librato.foreign.interruption import is_interruption
from segment_librato.process.clock import Clock
from segment_librato.process.locks import SignalSafeCondition, Waiter, synchronized
from segment_librato.queue.in_flight import InFlightBatch
from segment_librato.queue.ledger import Ledger
from segment_librato.queue.schedule import UNBOUNDED, Schedule, count_fitting, lengths
from segment_librato.queue.workers import Watch, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from segment_librato.errors import RejectionError
    from segment_librato.queue.schedule import BatchRules, Item

__all__ = ["DUE", "REFUSED", "MessageQueue"]

DUE: Final = "due"
REFUSED: Final = "refused"


class MessageQueue:
    """A bounded first-in, first-out queue that accounts for its messages. Thread-safe.

    Its bounds may be exceeded by one message per thread that puts one in at the same time.

    Attributes:
        clock: the clock of waits.
        ledger: where each message is.
        workers: the consumers.
        is_unserved: whether a call must see to it that its message is sent: there may be no
            consumer, or the queue is closed.
    """

    _lengths = staticmethod(lengths)

    def __init__(
        self,
        max_size: int,
        rules: BatchRules,
        max_bytes: int = 0,
        clock: Clock | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        """Make an empty queue.

        Args:
            max_size: maximum number of waiting messages, without those in flight; 0 means
                unlimited.
            rules: when a batch leaves, and how large it may be.
            max_bytes: maximum number of waiting bytes, each message counted with a comma; 0
                means unlimited.
            clock: the clock of waits.
            schedule: when a batch is due, if the rules are not enough.
        """
        self._max_size = max_size or UNBOUNDED
        self._max_bytes = max_bytes or UNBOUNDED
        self._schedule = schedule or Schedule(rules, self._max_size, self._max_bytes)
        self.clock: Clock = clock or Clock()
        self._closed = False
        self.reset()

    def reset(self) -> None:
        """Forget everything, as a forked child must: its parent delivers what waits.

        The lock is a new one, because a thread that does not exist here may hold the old one.
        """
        self.lock: threading.RLock = threading.RLock()
        self._changed = SignalSafeCondition(self.lock)
        self._waiting: deque[Any] = deque()  # of bytes and of `Item`
        self._waiting_bytes: int = 0
        self._oldest_at = 0.0
        self.ledger: Ledger = self._make_ledger()
        self.workers: Workers = Workers(self._changed, self.clock, closed=self._closed)
        self.is_unserved: bool = True
        # Consumers are woken when this many messages, or bytes, wait.
        self._wake_at_messages = self._wake_at_bytes = UNBOUNDED
        self._flush_up_to = 0
        self._is_flush_wanted = False  # by a call, without the lock
        self._line: deque[Waiter] = deque()  # calls that wait for room, the oldest first
        self._last_rejection: type[RejectionError] | None = None  # since there was room
        self._rejected = 0  # messages rejected since there was room
        self._resumed = 0  # messages rejected before there was room again, not logged yet

    def _make_ledger(self) -> Ledger:
        return Ledger(self._changed, self._waiting)

    # The application's side: without a lock

    def offer(
        self, message: bytes | Item, *, has_room: bool = False
    ) -> Literal["due", "refused"] | None:
        """Take a message in if there is room, and no call waits for it.

        Args:
            message: what to take in.
            has_room: whether to take it in as it is.

        Returns:
            REFUSED if there is no room, or the queue is closed. DUE if a consumer should have
            taken what waits, but none waits for it: there may be none. Usually None.
        """
        waiting, size = self._waiting, len(message) + 1
        if not has_room and (
            len(waiting) >= self._max_size
            or self._waiting_bytes + size > self._max_bytes
            or self._closed
            or self._line
        ):
            return REFUSED
        if not waiting:
            self._oldest_at = self.clock.now()
        self._waiting_bytes += size
        waiting.append(message)  # from here on it is accepted
        if len(waiting) >= self._wake_at_messages or self._waiting_bytes >= self._wake_at_bytes:
            return self._wake()
        return None

    def put(
        self,
        message: bytes | Item,
        deadline: float | None = None,
        find_consumers: Callable[[], object] = lambda: None,
    ) -> RejectionError | None:
        """Take a message in; return the reason if it is rejected.

        Args:
            message: what to take in.
            deadline: until when to wait for room if there is none; None means not at all.
            find_consumers: called now and then during the wait; replaces those that were killed.
        """
        if self.offer(message) is not REFUSED:
            return None
        self._have_all_sent()  # nothing more can join what waits
        if deadline is not None and not self._waits_in_line_here():
            return self._put_in_turn(message, deadline, find_consumers)
        # A call that cannot wait overtakes those that do.
        if self._closed or not self._has_room(len(message) + 1):
            return self._reject()
        self.offer(message, has_room=True)
        return None

    def _put_in_turn(
        self, message: bytes | Item, deadline: float, find_consumers: Callable[[], object]
    ) -> RejectionError | None:
        """Wait for room; the call that has waited longest goes first."""
        line, me = self._line, Waiter()
        is_over = False
        try:
            line.append(me)
            while not self._closed:
                if self._line is not line:
                    return None  # this is a forked child: the parent goes on
                if line[0] is me and self._has_room(len(message) + 1):
                    self.offer(message, has_room=True)
                    return None
                if is_over:
                    break
                is_over = not self.clock.wait(Watch(me), deadline)
                find_consumers()
        finally:
            if me in line:  # unless Ctrl-C came before; then, no call in between
                line.remove(me)
            self._call_first_in_line()
        return self._reject()

    def _waits_in_line_here(self) -> bool:
        """Return whether a signal handler has interrupted a wait for room, which comes first."""
        caller = threading.get_ident()
        return any(waiter.thread_id == caller for waiter in self._line.copy())

    def _call_first_in_line(self) -> None:
        try:
            self._line[0].wake()
        except IndexError as error:
            if is_interruption(error):
                raise

    def send_at_once(self) -> None:
        """Let what waits leave at once. Takes no lock."""
        self._have_all_sent()

    def _have_all_sent(self) -> None:
        if self.qsize():
            self._is_flush_wanted = True
            self.workers.wake()

    @synchronized
    def admit(self, batch: InFlightBatch) -> RejectionError | None:
        """Take messages in that are in flight already; return the reason if they are rejected."""
        if self._closed:
            return self._reject()
        self.ledger.add(batch)
        return None

    def reject_if_closed(self) -> RejectionError | None:
        """Reject a message if the queue is closed; return the reason."""
        return self._reject() if self._closed else None

    def _reject(self) -> RejectionError:
        """Count a rejection; return the reason."""
        reason: RejectionError
        if self._closed:
            reason = ClientClosedError("the client was shut down")
        else:
            self._rejected += 1
            reason = QueueFullError(self._why_full())
        self.ledger.count_rejection()
        reason.is_first = type(reason) is not self._last_rejection
        self._last_rejection = type(reason)
        return reason

    def _why_full(self) -> str:
        return self._say_how_full(len(self._waiting), self._waiting_bytes)

    @staticmethod
    def _say_how_full(messages: int, size: int) -> str:
        return f"{messages} messages are waiting, {size} bytes in all"

    def _has_room(self, size: int) -> bool:
        """Return whether a message of this many bytes may wait. With a spool, it may do I/O."""
        if not self._waiting:
            self._waiting_bytes = 0  # repairs what signal handlers may have done
        return len(self._waiting) < self._max_size and self._waiting_bytes + size <= self._max_bytes

    def _wake(self) -> Literal["due"] | None:
        """Wake the consumers; return DUE if none waits.

        The next call does so when much more waits, unless a consumer has looked. If they have
        died, or if Ctrl-C kept them from being woken, it is noticed then.
        """
        self._wake_at_messages = max(2 * self.qsize(), self._schedule.trigger_messages)
        self._wake_at_bytes = UNBOUNDED
        try:
            return None if self.workers.wake() else DUE
        except BaseException:
            self._wake_at_messages = 0
            raise

    def qsize(self) -> int:
        """Return how many messages wait; those in flight do not count."""
        return len(self._waiting)

    def empty(self) -> bool:
        """Return whether no message waits."""
        return not self.qsize()

    def full(self) -> bool:
        """Return whether `maxsize` messages wait, so that the next one may be rejected.

        With a spool, whether that is full; then it may do I/O.
        """
        return len(self._waiting) >= self._max_size

    @property
    def rules(self) -> BatchRules:
        """When a batch leaves, and how large it may be."""
        return self._schedule.rules

    @property
    def maxsize(self) -> int:
        """How many messages may wait; 0 means any number."""
        return 0 if self._max_size == UNBOUNDED else int(self._max_size)

    def is_locked_by_caller(self) -> bool:
        """Return whether the calling thread holds the lock, as a signal handler may find it."""
        return self._changed.is_locked_by_caller()

    @property
    def closed(self) -> bool:
        """Whether messages are rejected from now on."""
        return self._closed

    def close(self) -> None:
        """Reject messages from now on; consumers send what waits, then leave.

        Takes no lock: a client may be garbage-collected anywhere.
        """
        self._closed = self.is_unserved = True
        self.workers.close()
        for waiter in self._line.copy():
            waiter.wake()

    @synchronized
    def begin_flush(self) -> int:
        """Let what waits leave at once; return the mark for `wait_until_settled`."""
        self._flush_up_to = self.ledger.taken + self.qsize()
        self.workers.wake()
        return self._flush_up_to

    def needs_consumer(self) -> bool:
        """Return whether there is something to send that nobody is sending."""
        return bool(self.qsize()) or self.ledger.has_orphans()

    def find_dead(self) -> None:
        """Count consumers as gone whose thread was killed, and let others adopt what they held."""
        self.workers.remove_dead()
        self.ledger.find_orphans()

    def wait_until_settled(self, mark: int, deadline: float | None) -> bool | None:
        """Wait until every message accepted before the mark has its outcome.

        Returns False at the deadline; None if there is no consumer to send what waits.
        """
        while True:
            self.find_dead()
            with self.lock:
                if self.ledger.first_unsettled() >= mark:
                    return True
                has_orphans = self.ledger.has_orphans()
                if not self.workers.count and (has_orphans or self.ledger.taken < mark):
                    return None
                if has_orphans:
                    self.workers.wake()
                if not self.workers.wait_for_change(deadline):
                    return False

    @synchronized
    def wait_for_reports(self, deadline: float) -> None:
        """Wait until the reports that have begun are over, or until the deadline."""
        begun = self.ledger.batches_being_reported()
        while any(batch.is_being_reported for batch in begun) and self.clock.wait(
            self._changed, deadline
        ):
            pass

    def is_settled(self) -> bool:
        """Return whether every message that was accepted has its outcome. Takes no lock."""
        return not self.qsize() and self.ledger.is_empty()

    @synchronized
    def abandon(self, left_over: list[tuple[InFlightBatch, tuple[bytes, ...]]]) -> None:
        """Claim every message that has no outcome; see `Ledger.abandon`."""
        self._fill(InFlightBatch(), UNBOUNDED, UNBOUNDED)
        self.ledger.abandon(left_over)

    # The consumers' side

    def register_worker(self, worker: object, thread: threading.Thread | None = None) -> bool:
        """Count a consumer as present; see `Workers.register`. Takes no lock."""
        return self.workers.register(worker, thread)

    def unregister_worker(self, worker: object, thread: threading.Thread) -> None:
        """Count a consumer as gone, if this thread runs it. Takes no lock."""
        if self.workers.is_run_by(worker, thread):
            self.workers.remove(worker)
        self.is_unserved = True

    @synchronized
    def lose_worker(self, worker: object, thread: threading.Thread) -> None:
        """Count a consumer as gone whose thread ends; another one adopts what it holds."""
        self.unregister_worker(worker, thread)
        self.ledger.release(thread)
        self.workers.wake()

    def take(self, worker: object, batch: InFlightBatch | None = None) -> InFlightBatch | None:
        """Wait until a batch is due and take it; return None when the consumer must leave.

        An empty batch means that the consumer is to see to what dead processes left, and then to
        call `adopt_at`.

        A caller that hands in an empty batch holds what is in it whatever interrupts this method.

        A consumer that must leave is counted as gone in the same instant, so that a message put in
        later finds that one must be started; except after a `reset`, which has forgotten it.
        """
        batch, ledger = batch or InFlightBatch(), self.ledger
        due_at: float | None = None
        is_over = False
        while self.ledger is ledger:
            ledger.find_orphans()
            self._read_ahead()
            waiter = Waiter()
            try:
                with self.lock:
                    self.is_unserved = self._closed
                    # One is due after a wait to the end of the interval, even if a test has
                    # stopped the clock.
                    is_due = is_over and due_at is not None and self._due_at() <= due_at
                    if self._take_due(batch, is_due=is_due):
                        return batch
                    if self.workers.must_leave and self._leave(worker):
                        return None
                    due_at = self._fall_asleep(waiter)
                is_over = not self.clock.wait(waiter, due_at)
            finally:
                self.workers.get_up(waiter)
        return None

    def take_now(self, batch: InFlightBatch | None = None) -> InFlightBatch | None:
        """Take what waits, as much as fits in a batch; return None if nothing does.

        A caller that hands in an empty batch holds what is in it even if Ctrl-C keeps this
        method from returning.
        """
        batch = batch or InFlightBatch()
        rules = self._schedule.rules
        self._read_ahead()
        with self.lock:
            if self.ledger.adopt(batch) or self._fill(batch, rules.max_messages, rules.max_bytes):
                return batch
        return None

    def take_oldest(self, batch: InFlightBatch) -> InFlightBatch | None:
        """Take what nobody is sending, the oldest first; return None if there is none."""
        return self.take_now(batch)

    @synchronized
    def pause(self, batch: InFlightBatch, deadline: float) -> bool:
        """Wait before a retry; return False as soon as the batch is abandoned."""
        while not batch.is_claimed:
            if not self.clock.wait(self._changed, deadline):
                return True
        return False

    def set_aside(self, batch: InFlightBatch, retry_after: float | None) -> bool:  # noqa: ARG002  for others
        """Keep what is left of a batch for another try, later; return False if that cannot be.

        Args:
            batch: of which a part has no outcome.
            retry_after: seconds the server asked to wait, if it did.
        """
        return False

    def tidy(self, batch: InFlightBatch) -> None:
        """Clean up behind the outcomes of a batch. Not to be called under the lock."""

    def count_expired(self, batch: InFlightBatch) -> int:  # noqa: ARG002  the same
        """Return how many of the next messages of a batch are too old to be sent."""
        return 0

    def expires_in(self, batch: InFlightBatch) -> float:  # noqa: ARG002  the same
        """Return the seconds until all that is left of a batch is too old to be sent."""
        return UNBOUNDED

    def close_files(self) -> None:
        """Let go of what is on disk, once the queue is closed and nothing is in flight."""

    def adopt_at(self, at: float) -> None:
        """Have a consumer look at this time for what dead processes left; see `take`."""

    def claim_adoption(self) -> bool:
        """Return whether the caller, and nobody else, sees to what dead processes left."""
        return False

    def drop_settled(self) -> None:
        """Have nothing on disk that has its outcome beside what was left. Not under the lock."""

    def take_left(self) -> tuple[int, str]:
        """Return how many messages were left on disk since the last call, and where."""
        return 0, ""

    @synchronized
    def take_resumed(self) -> int:
        """Return how many messages were rejected before there was room again, once."""
        resumed, self._resumed = self._resumed, 0
        return resumed

    def _read_ahead(self) -> None:
        """Bring into memory what waits elsewhere. Not to be called under the lock."""

    # Under the lock

    def _take_due(self, batch: InFlightBatch, *, is_due: bool) -> bool:
        """Fill an empty batch, if one is due; return whether it is filled."""
        if self.ledger.adopt(batch):
            return True
        if not (is_due or self._is_due()):
            return False
        return self._fill(batch, self._max_leaving(), self._schedule.rules.max_bytes)

    def _leave(self, worker: object) -> bool:
        """Count a consumer as gone; return False if it is needed after all.

        A call puts its message in before it looks for a consumer, and this looks for a message
        after it has left: so at least one of the two sees the other.
        """
        thread = self.workers.remove(worker)
        if not self.workers.count:
            self.is_unserved = True
        if self._has_work() and self.workers.register(worker, thread):
            return False
        self.workers.wake()  # those that have to leave as well
        self._changed.notify_all()
        return True

    def _has_work(self) -> bool:
        """Return whether there is something to send, now or later, that nobody is sending."""
        return self.qsize() > 0

    def _can_take(self) -> bool:
        """Return whether what waits can be taken now, if anything does."""
        return True

    def _is_due(self) -> bool:
        return bool(self._waiting) and (
            len(self._waiting) >= self._schedule.trigger_messages
            or self._waiting_bytes >= self._schedule.trigger_bytes
            or self._is_urgent()
            or self.clock.now() >= self._due_at()
        )

    def _is_urgent(self) -> bool:
        """Return whether what waits should leave, however little it is."""
        if self._is_flush_wanted:
            self._is_flush_wanted = False
            self._flush_up_to = self.ledger.taken + self.qsize()
        is_flushed = self.ledger.taken < self._flush_up_to
        return self.workers.must_leave or bool(self._line) or is_flushed

    def _due_at(self) -> float:
        return self._schedule.due_at(self._waiting, self._oldest_at)

    def _max_leaving(self) -> int:
        if self._is_urgent():
            return self._schedule.rules.max_messages
        return self._schedule.max_leaving(self._waiting, self.clock.now())

    def _fall_asleep(self, waiter: Waiter) -> float | None:
        """Have calls wake a consumer; return until when it may wait.

        It looks once more when it can be woken, because a call may have put a message in before,
        or closed the queue.
        """
        self.workers.fall_asleep(waiter)
        if self.workers.must_leave and self._can_take():
            waiter.wake()
        if not self._waiting:
            self._wake_at_messages, self._wake_at_bytes = 1, UNBOUNDED
            if self._waiting:
                waiter.wake()
            return None
        self._wake_at_messages = self._schedule.trigger_messages
        self._wake_at_bytes = self._schedule.trigger_bytes
        if self._is_due():
            waiter.wake()
        return self._due_at()

    def _count_fitting(self, waiting: Collection[Any], max_messages: int, max_bytes: int) -> int:
        """Return how many of these, the oldest, a batch gets; at least one."""
        return count_fitting(waiting, max_messages, max_bytes, self._lengths)

    def _fill(self, batch: InFlightBatch, max_messages: int, max_bytes: int) -> bool:
        """Move the oldest messages, as many as fit, into an empty batch; return whether any did.

        The rest keeps the time of the oldest known arrival, which may be before its own: it
        may leave early, never late.
        """
        if not self._waiting:
            return False
        fitting = self._count_fitting(self._waiting, max_messages, max_bytes)
        self.ledger.add(batch)
        # One call, and in C, so that Ctrl-C finds each message here or there. A signal handler
        # may have taken some since they were counted.
        try:
            batch.messages.extend(starmap(self._waiting.popleft, repeat((), fitting)))
        except IndexError as error:
            if is_interruption(error):
                raise
        size = sum(self._lengths(batch.messages)) + len(batch.messages)
        self._waiting_bytes -= size  # with no call in it: others add to the number meanwhile
        if not self._waiting:
            self._waiting_bytes = 0
        batch.messages[:] = self.ledger.freeze(batch.messages)
        # Until a consumer waits again; if this one dies, a call notices when much more waits.
        self._wake_at_messages = 2 * max(len(self._waiting), self._schedule.trigger_messages)
        self._wake_at_bytes = UNBOUNDED
        self.workers.wake()  # those that wait for something else now
        self._call_first_in_line()
        if not batch.messages:
            self.ledger.drop(batch)
            return False
        self._note_room()
        return True

    def _note_room(self) -> None:
        """Note that rejections, if there were any, are over."""
        if not self._closed:
            self._resumed, self._rejected = self._resumed + self._rejected, 0
            self._last_rejection = None
