"""A transport that is made, and HTTP imported for it, when the first message is about to be sent.

So a process that sends nothing pays nothing, neither at its start nor at its exit. Owns on which
thread that happens, and what a call does that comes in the middle of it, as that of a signal
handler may. Knows nothing of HTTP or of queues.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
from typing import TYPE_CHECKING

from segment_librato.errors import DeliveryError
from segment_librato.process import exit as lifecycle

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.delivery.consumer import Transport
    from segment_librato.queue.batch import Batch

__all__ = ["DeferredTransport", "is_importing_here", "when_imported"]

LONGEST_WAIT = 5.0  # of a fork for the imports of another thread
PAUSE = 0.001


class _Imports:
    """The imports that sending takes, once in a process. Thread-safe."""

    def __init__(self) -> None:
        self._are_done = False
        # who is in the middle of them, and what each has to do after them
        self._later: dict[int, list[Callable[[], object]]] = {}
        lifecycle.renew_in_child(self)
        lifecycle.call_before_fork(self._wait_for_other_threads)

    def reset_after_fork(self) -> None:
        """Forget the threads of the parent, but for the one that goes on here."""
        caller = threading.get_ident()
        self._later = {caller: self._later[caller]} if caller in self._later else {}

    def are_under_way_here(self) -> bool:
        """Return whether the calling thread is in the middle of them."""
        return threading.get_ident() in self._later

    def postpone(self, call: Callable[[], object]) -> None:
        """Make a call after those that the calling thread is in the middle of."""
        self._later[threading.get_ident()].append(call)

    def finish(self) -> None:
        """Import what is not imported yet, unless the call came in the middle of that.

        Raises:
            DeliveryError: it did.
            Exception: anything, if a module cannot be imported, or is half imported.
        """
        if self._are_done:
            return
        if self.are_under_way_here():
            raise DeliveryError("nothing can be sent in the middle of the imports that it takes")
        caller = threading.get_ident()
        later: list[Callable[[], object]] = []
        try:
            self._later[caller] = later
            _import_again("asyncio")
            importlib.import_module("segment_librato.preload")
            self._are_done = True
        finally:
            self._later.pop(caller, None)
        for call in later:
            call()

    def _wait_for_other_threads(self) -> None:
        """Have a fork wait: a module that is half imported then stays so in the child."""
        latest = time.monotonic() + LONGEST_WAIT
        while self._later.keys() - {threading.get_ident()} and time.monotonic() < latest:
            time.sleep(PAUSE)


def _import_again(name: str) -> None:
    """Import a package, if it is one in the middle of whose import Ctrl-C came.

    Its submodules are there since then. But only while they are imported do they become
    attributes of their package, and asyncio needs that: `from .events import *` comes before
    `events.__all__` in it.
    """
    submodules = [one for one in tuple(sys.modules) if one.startswith(f"{name}.")]
    if name in sys.modules or not submodules:
        return
    from importlib.util import find_spec, module_from_spec  # noqa: PLC0415  hardly ever needed

    spec = find_spec(name)
    if spec and spec.loader:
        package = sys.modules[name] = module_from_spec(spec)
        try:
            for submodule in submodules:
                setattr(package, submodule.removeprefix(f"{name}."), sys.modules[submodule])
            spec.loader.exec_module(package)
        except BaseException:
            del sys.modules[name]
            raise


_imports = _Imports()


def is_importing_here() -> bool:
    """Return whether the call came in the middle of the imports, and must not wait for them."""
    return _imports.are_under_way_here()


def when_imported(call: Callable[[], object]) -> None:
    """Make a call after the imports that the calling thread is in the middle of."""
    _imports.postpone(call)


class DeferredTransport:
    """Sends as the transport does that it makes. Thread-safe."""

    def __init__(self, make: Callable[[], Transport]) -> None:
        """Make nothing yet.

        Args:
            make: makes the transport.
        """
        self._make = make
        self._made: list[Transport] = []  # the first one counts, if two calls make one each

    def prepare(self) -> None:
        """Make the transport, if there is none.

        To be called on a thread of the application, as imports of a consumer could hold up a fork
        at any time.

        Raises:
            DeliveryError: what it takes cannot be imported.
        """
        if self._made:
            return
        try:
            _imports.finish()
            self._made.append(self._make())
        except DeliveryError:
            raise
        except Exception as error:  # noqa: BLE001  see `finish`
            text = f"what sends cannot be imported: {type(error).__name__}"
            name = getattr(error, "name", None)  # of the module
            raise DeliveryError(f"{text}, {name}" if isinstance(name, str) else text) from None

    def send(self, batch: Batch) -> None:
        """Send a batch; see `Transport.send`."""
        self.prepare()
        self._made[0].send(batch)

    def close(self) -> None:
        """Close connections, if there are any."""
        for transport in self._made:
            transport.close()

    def reset_after_fork(self) -> None:
        """Leave the connections to the parent, if there are any."""
        for transport in self._made:
            transport.reset_after_fork()
