"""The imports that sending needs, made once per process by the first message.

`requests` and what it brings take about 100 ms, which a process that sends nothing should not
pay. Owns on which thread they happen, what a signal handler may do in the middle of them, that a
fork waits for them, and that they are made again if a test has taken them back. Is handed the
function that imports, and must not know what it loads.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING

from segment_librato.errors import DeliveryError
from segment_librato.process.clock import monotonic
from segment_librato.process.fork import call_before_fork, register_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["call_when_imported", "import_once", "is_importing_here"]

PACKAGE = __name__.split(".", maxsplit=1)[0] + "."
MAX_FORK_DELAY = 5.0  # seconds that a fork waits for the imports of another thread
POLL_INTERVAL = 0.001


class _Imports:
    """Whether the imports are done, and who is in the middle of them. Thread-safe."""

    def __init__(self) -> None:
        self._times_made = 0
        # What they, or other threads meanwhile, imported. Not kept alive: at the exit, modules go
        # in an order that some rely on.
        self._added: dict[str, weakref.ref[ModuleType]] = {}
        self._added_of_ours: list[str] = []
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

    def make(self, load: Callable[[], object]) -> int:
        """Import what is not imported yet; see `import_once`."""
        if self._times_made and not self._were_taken_back():
            return self._times_made
        if self.are_under_way_here():
            raise DeliveryError("nothing can be sent in the middle of the imports it needs")
        caller = threading.get_ident()
        postponed: list[Callable[[], object]] = []
        try:
            self._postponed[caller] = postponed
            self._import(load)
        finally:
            self._postponed.pop(caller, None)
        for call in postponed:
            call()
        return self._times_made

    def _import(self, load: Callable[[], object]) -> None:
        _import_again("asyncio")
        _forget_dropped(self._added)
        before = set(sys.modules)
        load()
        modules = list(sys.modules.items())
        added = {name: weakref.ref(one) for name, one in modules if name not in before}
        kept = {name: one for name, one in self._added.items() if name in sys.modules}
        self._added = {**kept, **added}
        self._added_of_ours = [name for name in self._added if name.startswith(PACKAGE)]
        self._times_made += 1

    def _were_taken_back(self) -> bool:
        """Return whether `sys.modules` has lost modules of the library that the imports added.

        So it has at the end of a `mock.patch.dict(sys.modules)`, and of a fake file system, which
        must not live on in modules that were imported meanwhile. If all of the library is gone,
        this copy of it stays as it is.
        """
        is_all_gone = getattr(sys.modules.get(__name__), "_imports", None) is not self
        return not is_all_gone and any(name not in sys.modules for name in self._added_of_ours)

    def _wait_for_other_threads(self) -> None:
        """Delay a fork: a module that is half imported would stay so in the child."""
        deadline = monotonic() + MAX_FORK_DELAY
        while self._postponed.keys() - {threading.get_ident()} and monotonic() < deadline:
            time.sleep(POLL_INTERVAL)


def _forget_dropped(modules: dict[str, weakref.ref[ModuleType]]) -> None:
    """Remove from packages the submodules that `sys.modules` has lost.

    `from package import submodule` would find the former one there, other imports make a new one,
    and the classes of the two are different.
    """
    for name, module in modules.items():
        package_name, _, submodule = name.rpartition(".")
        package = sys.modules.get(package_name)
        left = getattr(package, submodule, None)
        if name not in sys.modules and left is not None and left is module():
            delattr(package, submodule)


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


def import_once(load: Callable[[], object]) -> int:
    """Call the function that imports, unless that has been done. Thread-safe.

    Returns:
        A number that changes if they had to be made again: what was made from the former modules
        must not be used any more.

    Raises:
        DeliveryError: called in the middle of the imports, by a signal handler.
        Exception: anything, if a module cannot be imported or is half imported.
    """
    return _imports.make(load)


def is_importing_here() -> bool:
    """Return whether the calling thread is in the middle of the imports, and must not wait."""
    return _imports.are_under_way_here()


def call_when_imported(call: Callable[[], object]) -> None:
    """Make a call after the imports that the calling thread is in the middle of."""
    _imports.postpone(call)
