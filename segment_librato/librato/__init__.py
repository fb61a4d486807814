"""The pure mapper: from a message to the gauge measurement that it makes.

Owns the rules of Segment's Librato destination. Must not know anything else of the library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segment_librato.librato.mapper import Measurement, explain, map_message

__all__ = ["Measurement", "explain", "map_message"]


def __dir__() -> list[str]:
    """List what is for users."""
    return __all__


if not TYPE_CHECKING:  # type checkers would accept any name

    def __getattr__(name: str) -> object:
        """Return an attribute of the mapper, which is imported on first use."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module("segment_librato.librato.mapper"), name)
