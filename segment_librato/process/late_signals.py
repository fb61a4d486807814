"""Signals whose handler is late: they are sent to the main thread again until it has begun.

A handler written in Python runs when the main thread next looks for signals. If one arrives after
the last such look but before a wait in C, such as that of a `multiprocessing` worker for a task,
the wait goes on, where the default action would have ended the process. Only another signal ends
such a wait.

Owns the descriptor to which Python writes the number of each signal (`signal.set_wakeup_fd`), and
the thread that reads it. Must not know what a handler does.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import threading
import time
from typing import TYPE_CHECKING

from segment_librato.foreign.interruption import is_interruption
from segment_librato.process.fork import notice_fork, register_after_fork

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

__all__ = ["Repeater"]

PAUSE = 0.05  # seconds until a signal is sent again; each further pause is twice as long
MAX_PAUSE = 1.0  # seconds
CREDENTIALS = struct.Struct("3i")  # of the sender: the ids of its process, user and group
NO_DESCRIPTOR = -1


class Repeater:
    """Sends a signal again for as long as its handler has not begun.

    It does nothing where the kernel does not say who wrote to a socket, as outside Linux: until
    Python's hooks have run in a forked child, its signals are written to the parent's descriptor,
    and must not be taken for the parent's.
    """

    def __init__(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        """Watch nothing yet.

        Args:
            number: of the signal.
            handler: calls `begin` first. As long as another one is set, nothing is repeated.
        """
        self._number = number
        self._handler = handler
        self._thread: threading.Thread | None = None
        self._reader: socket.socket | None = None
        self._writer = NO_DESCRIPTOR
        self._start_afresh()
        register_after_fork(self)

    def _start_afresh(self) -> None:
        self._lock = threading.RLock()  # one handler may interrupt another that holds it
        self._is_late = False
        self._beginning: dict[None, object] = {}  # the call that begins, if there is one

    def reset_after_fork(self) -> None:
        """Let go of what the parent watches."""
        self._start_afresh()
        self._thread, reader, self._reader = None, self._reader, None
        if reader is None:
            return
        reader.close()
        try:
            signal.set_wakeup_fd(NO_DESCRIPTOR)
        except ValueError as error:  # the fork was not seen, and this is not the main thread
            if is_interruption(error):
                raise
        else:
            os.close(self._writer)

    def start(self) -> None:
        """Watch the signal, unless something else has the descriptor, as a running asyncio has.

        To be called on the main thread. If the call is interrupted, another one does the rest.
        """
        import socket  # takes 2 ms, and few processes come here

        if self._thread or not hasattr(socket, "SO_PASSCRED") or sys.is_finalizing():
            return
        if self._reader is None:
            reader, writer = socket.socketpair()
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            writer.settimeout(0)
            # Never closed, as Python writes to it until the end. One statement: a handler that
            # raises before it leaves neither, and the next call makes another pair.
            self._reader, self._writer = reader, writer.detach()
        before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        if before not in (NO_DESCRIPTOR, self._writer):
            signal.set_wakeup_fd(before, warn_on_full_buffer=False)
            return
        thread = threading.Thread(
            target=self._watch, args=(self._reader,), name="segment-signals", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # there are too many, or the interpreter exits
            if is_interruption(error):
                raise
            signal.set_wakeup_fd(NO_DESCRIPTOR)
        else:
            self._thread = thread

    def begin(self) -> bool:
        """Return whether the handler has work to do: not if it was called by a repetition.

        To be called by the handler, first: from then on, this signal is not repeated.
        """
        notice_fork()
        if self._thread is None or self._reader is None:
            return True
        call = object()
        if self._beginning.setdefault(None, call) is not call:
            return False
        try:
            with self._lock:
                self._take_in(self._reader)
                self._is_late = False
            # A repetition that was sent before is handled here, within the call.
            signal.pthread_sigmask(signal.SIG_BLOCK, ())
        finally:
            self._beginning.clear()
        return True

    def _watch(self, reader: socket.socket) -> None:
        """Wait for signals, for as long as the process lives."""
        while True:
            _poll(reader, None)
            pause = PAUSE
            while self._is_unanswered(reader):
                time.sleep(pause)
                if not self._repeat():
                    break
                pause = min(2 * pause, MAX_PAUSE)

    def _is_unanswered(self, reader: socket.socket) -> bool:
        with self._lock:
            self._take_in(reader)
            return self._is_late

    def _repeat(self) -> bool:
        """Send the signal again; return False if its handler has begun meanwhile."""
        with self._lock:
            self._is_late &= signal.getsignal(self._number) is self._handler
            main = threading.main_thread().ident
            if self._is_late and main is not None:
                signal.pthread_kill(main, self._number)
            return self._is_late

    def _take_in(self, reader: socket.socket) -> None:
        """Read which signals have arrived; to be called under the lock."""
        while _poll(reader, 0):
            numbers, ancillary, _, _ = reader.recvmsg(64, CREDENTIALS.size * 4)
            sender = [CREDENTIALS.unpack(data)[0] for _, _, data in ancillary]
            self._is_late |= self._number in numbers and sender == [os.getpid()]


def _poll(reader: socket.socket, timeout: int | None) -> bool:
    """Wait until there is something to read, for so many milliseconds; return whether there is."""
    import select

    poll = select.poll()
    poll.register(reader, select.POLLIN)
    return bool(poll.poll(timeout))
