"""How the import system finds the modules of this package under another name.

Owns the finders. They stay in `sys.meta_path`, so that a name leads here again after it was deleted
from `sys.modules`, and no module is ever loaded a second time. Must not know which names these
are, or why.
"""

from __future__ import annotations

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

__all__ = ["find_as", "is_found_as"]


def is_found_as(name: str) -> bool:
    """Return whether a package is found under this other name already."""
    return any(isinstance(one, _Finder) and one.name == name for one in sys.meta_path)


def find_as(name: str, package: str, aliases: Mapping[str, str]) -> None:
    """Have a package found under another name as well.

    Args:
        name: the other name, of two parts at most.
        package: the package, which is loaded.
        aliases: submodules under the other name, and what they are called in the package.
    """
    if not is_found_as(name):
        sys.meta_path.insert(0, _Finder(name, package, aliases))
        parent, _, child = name.rpartition(".")
        if parent:
            sys.meta_path.append(_ParentFinder(parent, child, package))
    importlib.import_module(name)


class _Finder(MetaPathFinder):
    """Finds the modules of a package under another name."""

    def __init__(self, name: str, package: str, aliases: Mapping[str, str]) -> None:
        self.name = name
        self._package = package
        self._aliases = aliases

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  as the import system calls it
        target: ModuleType | None = None,  # noqa: ARG002  the same
    ) -> ModuleSpec | None:
        """Return how to find a module; None if it is none of the package."""
        if fullname != self.name and not fullname.startswith(f"{self.name}."):
            return None
        submodule = fullname[len(self.name) + 1 :]
        submodule = self._aliases.get(submodule, submodule)
        ours = f"{self._package}.{submodule}" if submodule else self._package
        is_known = ours in sys.modules or find_spec(ours)
        return ModuleSpec(fullname, _Loader(ours)) if is_known else None


class _Loader(Loader):
    """Loads a module as the one that exists already, instead of a second copy."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002  as in `Loader`
        """Return the module."""
        module = importlib.import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give it back its own spec, which says where it comes from."""
        module.__spec__ = self._spec


class _ParentFinder(MetaPathFinder, Loader):
    """Finds an empty package that holds the other name, if there is no real one."""

    def __init__(self, name: str, child: str, package: str) -> None:
        self._name = name
        self._child = child
        self._package = package

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  as the import system calls it
        target: ModuleType | None = None,  # noqa: ARG002  the same
    ) -> ModuleSpec | None:
        """Return how to find it; None for any other name."""
        return ModuleSpec(fullname, self, is_package=True) if fullname == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        """Have it hold what is known under its name."""
        setattr(module, self._child, sys.modules[self._package])
