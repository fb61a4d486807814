"""A transport that is made when the first message is about to be sent.

Making it imports HTTP, so a process that sends nothing pays nothing, neither at its start nor at
its exit. Must not know HTTP, or what is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.errors import DeliveryError
from segment_librato.foreign.interruption import being_handled, let_through
from segment_librato.process.imports import import_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.queue.batch import Batch
    from segment_librato.transport.base import Receipt, Transport

__all__ = ["LazyTransport"]


class LazyTransport:
    """Sends with a transport that it makes on first use. Thread-safe.

    Attributes:
        destination: where it sends to, in words for a log.
    """

    def __init__(
        self,
        make: Callable[[], Transport],
        load: Callable[[], object],
        destination: str = "the server",
    ) -> None:
        """Make nothing yet.

        Args:
            make: makes the transport.
            load: imports what that needs.
            destination: where it sends to, in words for a log.
        """
        self.destination: str = destination
        self._make = make
        self._load = load
        self._made: list[Transport] = []  # the latest counts; two calls may make one each
        self._made_from = 0  # the number of the imports

    def prepare(self) -> None:
        """Make the transport if there is none, or if a test has taken its modules back.

        To be called on a thread of the application: imports of a consumer could delay a fork at
        any time.

        Raises:
            DeliveryError: a module that sending needs cannot be imported.
        """
        handled = being_handled()
        try:
            made_from = import_once(self._load)
            if made_from != self._made_from:
                self._made.append(self._make())
                self._made_from = made_from
        except DeliveryError:
            raise
        except Exception as error:  # noqa: BLE001  a broken module may raise anything
            let_through(error, handled)
            text = f"sending needs a module that cannot be imported: {type(error).__name__}"
            detail = getattr(error, "name", None) or getattr(error, "strerror", None)
            raise DeliveryError(f"{text}, {detail}" if isinstance(detail, str) else text) from None

    def send(self, batch: Batch, timeout: float | None) -> Receipt:
        """Send a batch; see `Transport.send`.

        Raises:
            DeliveryError: in `sync_mode`, the caller left too little of the stack to send on.
        """
        try:
            self.prepare()
            return self._made[-1].send(batch, timeout)
        except RecursionError:  # another try would end in the same way
            raise DeliveryError("the call came too close to the recursion limit") from None

    def close(self) -> None:
        """Close connections, if there are any."""
        for transport in self._made:
            transport.close()

    def reset_after_fork(self) -> None:
        """Leave the connections to the parent, if there are any."""
        for transport in self._made:
            transport.reset_after_fork()
