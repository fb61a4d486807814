"""The process the library lives in: signals, forks, the exit, the first imports, locks and time.

The ground floor: everything else may use it, and it must not know messages. Subtle code in the
library is as it is because of the rules on this page; `docs/internals/` explains them at length.

Theory of operation
    The library runs inside somebody else's process. Its calls may be interrupted by a signal
    handler, Ctrl-C or a `__del__` at almost any point, may happen while the process forks or
    exits, and may come from code that the library itself is calling. Whatever happens, a message
    that was accepted has exactly one outcome, no call waits longer than its deadline, and the
    client stays usable.

Rule 1: no call and no branch between two statements that belong together
    CPython runs signal handlers, raises KeyboardInterrupt and lets other threads run only at
    calls, when they return, and at backward jumps (3.10: at any jump). `size += n` followed by
    `waiting.append(m)` is safe, as nothing can run before the call is made; the other way round,
    it is not. Nor is `size += f()`, which reads `size` before it calls. A change that takes several
    steps is one C call (`list.extend(starmap(popleft, ...))`) or one tuple assignment.

    What a handler raises need not be a KeyboardInterrupt: time limits raise an ordinary Exception.
    An `except` for what other code may raise lets it pass (`segment_librato.foreign.interruption`):
    also one for ValueError or IndexError, which a handler may raise as well, unless there is no
    call in its `try`.

Rule 2: a producing call takes no lock; all else takes one re-entrant C lock per queue
    A `__del__` may run anywhere, and may want any lock of the application; another thread may
    hold that lock around a call. So a call (`track`, `gauge`) neither holds a lock while code
    runs nor waits for one: what it changes are atomic operations in C. Consumers, flush and
    shutdown share a `threading.RLock`, taken by `with self.lock`, so that a handler that flushes
    while its own thread holds it does not deadlock. It is the C one: `Condition.__enter__` is
    Python code, and Ctrl-C inside it would leave the lock held forever. After an interrupted
    wait the lock is taken again, or the `with` around the wait would release a lock that it does
    not hold.

Rule 3: decide under the lock, act outside it
    No I/O, no logging, no code of the application and no thread start under a queue's lock.
    (The lock of `TokenProvider` is another matter: it lets one thread fetch for all.)

Rule 4: a thread never waits for itself
    A thread that delivers may call `on_error`, and that may flush or shut down. A signal handler
    may flush while its own thread starts a consumer or imports HTTP. Both are recognized
    (`called_from_delivery`, `is_importing_here`), and get False at once.

Rule 5: the fork hook replaces objects, and does nothing else
    Another thread of the parent may hold any lock, so a child takes none, closes no connection
    and does not log. Each forkable object gets a new lock, an empty queue and no connections;
    what waited belongs to the parent. A fork waits for the imports of another thread, because a
    half-imported module would stay so in the child. A fork in C runs no hook: a call that
    takes a lock, waits or allocates ids looks for a mark that a fork wipes (`notice_fork`).

Rule 6: one budget at the exit
    The drain at exit starts a clock that all later deliveries share, and it tells all pipelines
    to send before it waits for any. The hook is registered on import, so that it runs after those
    of the application and delivers what they track. Whoever claims messages finishes telling them
    before the process may end: only the thread that exits gives up what is left, and it waits,
    for a bounded grace, for reports that other threads have begun.
"""
