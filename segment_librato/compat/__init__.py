"""`install_as_segment_analytics()`: this package under the name of the incumbent.

Owns what it is called there, and when that is refused; `finders` has the import system find it, and
`incumbent` has the few names that are only there. Must not know clients or settings.
"""

from __future__ import annotations

import importlib
import os
import sys

from segment_librato.errors import ConfigError

__all__ = ["install_as_segment_analytics"]

PACKAGE = "segment_librato"
NAMES = ("segment.analytics", "analytics")

# Modules of the incumbent that have other names here.
ALIASES = {
    "consumer": "compat.incumbent",
    "request": "compat.incumbent",
    "utils": "compat.incumbent",
    "version": "_version",
}


def install_as_segment_analytics(name: str = "segment.analytics") -> None:
    """Let `import segment.analytics` and `from segment.analytics.client import Client` find us.

    For code that cannot be edited. Call it before that code is imported; calling it again does
    no harm. A process that multiprocessing starts by spawn or forkserver needs the call, too: at
    the top of the main module, outside `if __name__ == "__main__"`, which such a process imports.

    Args:
        name: "segment.analytics"; or "analytics", for code written for analytics-python.

    Raises:
        ConfigError: another module of this name was imported before; or, as "analytics" is a
            common name, can be imported, and is not that of analytics-python.
    """
    if name not in NAMES:
        raise ConfigError(f"name: expected {' or '.join(map(repr, NAMES))}")
    package = sys.modules[PACKAGE]
    if sys.modules.get(name, package) is not package:
        raise ConfigError(f"{name} was imported before; call install_as_segment_analytics() first")
    from segment_librato.compat.finders import find_as, is_found_as  # few need it

    if name == "analytics" and not is_found_as(name):
        _check_that_nobody_has(name)
    for alias, module in ALIASES.items():
        setattr(package, alias, importlib.import_module(f"{PACKAGE}.{module}"))
    find_as(name, PACKAGE, ALIASES)


def _check_that_nobody_has(name: str) -> None:
    """Raise a ConfigError if there is a package of this name other than analytics-python's."""
    from importlib.metadata import PackageNotFoundError, distribution  # hardly ever needed
    from importlib.util import find_spec

    spec = find_spec(name)
    if spec is None:
        return
    try:
        incumbent = str(distribution("analytics-python").locate_file(f"{name}/__init__.py"))
    except PackageNotFoundError:
        incumbent = ""
    if not spec.origin or os.path.realpath(spec.origin) != os.path.realpath(incumbent):
        raise ConfigError(f"there is another package named {name}")
