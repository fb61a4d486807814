"""The imports that sending needs, made once per process by the first message.

`requests` and what it brings take about 100 ms, which a process that sends nothing should not
pay. Owns on which thread they happen, what a signal handler may do in the middle of them, and
that a fork waits for them. Is handed the function that imports, and must not know what it loads.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from segment_librato.errors import DeliveryError
from segment_librato.process.clock import monotonic
from segment_librato.process.fork import call_before_fork, register_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["call_when_imported", "import_once", "is_importing_here"]

MAX_FORK_DELAY = 5.0  # seconds that a fork waits for the imports of another thread
POLL_INTERVAL = 0.001


class _Imports:
    """Whether the imports are done, and who is in the middle of them. Thread-safe."""

    def __init__(self) -> None:
        self._are_done = False
        # Each thread that is in the middle of them, and the calls it has to make afterwards.
        self._postponed: dict[int, list[Callable[[], object]]] = {}
        register_after_fork(self)
        call_before_fork(self._wait_for_other_threads)

    def reset_after_fork(self) -> None:
        """Forget the threads of the parent, except the one that continues here."""
        caller = threading.get_ident()
        self._postponed = {caller: self._postponed[caller]} if caller in self._postponed else {}

    def are_under_way_here(self) -> bool:
        """Return whether the calling thread is in the middle of them."""
        return threading.get_ident() in self._postponed

    def postpone(self, call: Callable[[], object]) -> None:
        """Make a call after the imports that the calling thread is in the middle of."""
        self._postponed[threading.get_ident()].append(call)

    def make(self, load: Callable[[], object]) -> None:
        """Import what is not imported yet; see `import_once`."""
        if self._are_done:
            return
        if self.are_under_way_here():
            raise DeliveryError("nothing can be sent in the middle of the imports it needs")
        caller = threading.get_ident()
        postponed: list[Callable[[], object]] = []
        try:
            self._postponed[caller] = postponed
            _import_again("asyncio")
            load()
            self._are_done = True
        finally:
            self._postponed.pop(caller, None)
        for call in postponed:
            call()

    def _wait_for_other_threads(self) -> None:
        """Delay a fork: a module that is half imported would stay so in the child."""
        deadline = monotonic() + MAX_FORK_DELAY
        while self._postponed.keys() - {threading.get_ident()} and monotonic() < deadline:
            time.sleep(POLL_INTERVAL)


def _import_again(name: str) -> None:
    """Import a package if Ctrl-C struck in the middle of its first import.

    Its submodules are loaded since then, but become attributes of their package only while they
    are imported. asyncio relies on that: `from .events import *` precedes `events.__all__`.
    """
    submodules = [one for one in tuple(sys.modules) if one.startswith(f"{name}.")]
    if name in sys.modules or not submodules:
        return
    from importlib.util import find_spec, module_from_spec  # hardly ever needed

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


def import_once(load: Callable[[], object]) -> None:
    """Call the function that imports, unless that has been done. Thread-safe.

    Raises:
        DeliveryError: called in the middle of the imports, by a signal handler.
        Exception: anything, if a module cannot be imported or is half imported.
    """
    _imports.make(load)


def is_importing_here() -> bool:
    """Return whether the calling thread is in the middle of the imports, and must not wait."""
    return _imports.are_under_way_here()


def call_when_imported(call: Callable[[], object]) -> None:
    """Make a call after the imports that the calling thread is in the middle of."""
    _imports.postpone(call)
