"""`install_as_segment_analytics()`: this package under the name of the incumbent.

Owns the aliases in `sys.modules`. Must not know clients or settings.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from segment_librato.errors import ConfigError

__all__ = ["install_as_segment_analytics"]

PACKAGE = "segment_librato"
ALIAS = "segment.analytics"

# Modules of the incumbent that have other names here.
ALIASES = {"consumer": "delivery.consumer", "request": "errors", "version": "_version"}


def install_as_segment_analytics() -> None:
    """Let `import segment.analytics` and `from segment.analytics.client import Client` find us.

    For code that cannot be edited. Call it before that code is imported; calling it again does
    no harm.

    Raises:
        ConfigError: the real `segment.analytics` was imported before.
    """
    package = sys.modules[PACKAGE]
    if sys.modules.get(ALIAS, package) is not package:
        raise ConfigError(f"{ALIAS} was imported before; call install_as_segment_analytics() first")
    try:
        segment: Any = importlib.import_module("segment")  # there may be a package of this name
    except ImportError:
        segment = sys.modules["segment"] = ModuleType("segment")
    segment.analytics = sys.modules[ALIAS] = package
    for alias, name in ALIASES.items():
        module = sys.modules[f"{PACKAGE}.{name}"]
        setattr(package, alias, module)
        sys.modules[f"{ALIAS}.{alias}"] = module
    for name in tuple(sys.modules):  # so that none of them is loaded twice
        if name.startswith(f"{PACKAGE}."):
            sys.modules[name.replace(PACKAGE, ALIAS, 1)] = sys.modules[name]
