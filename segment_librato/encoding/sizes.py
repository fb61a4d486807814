"""The size of a message and its largest part, for the error that rejects it.

Both are estimates within a budget, so that a message of a gigabyte takes no longer than any other:
no code of the application runs, and nothing is copied or encoded. Must not know what a message
means.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from segment_librato.foreign.narrowing import DICT, type_of
from segment_librato.message.fields import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["MAX_LOOKS", "estimated_size", "largest_part", "text_size"]

MAX_LOOKS = 10_000
MAX_NAME_LENGTH = 100


def estimated_size(message: Mapping[str, Any]) -> int:
    """Return about how many bytes of JSON a message that is too large has."""
    return max(text_size([message]), MAX_MESSAGE_BYTES + 1)


def largest_part(message: Mapping[str, Any]) -> str:
    """Return the name of the largest field, and of the largest entry in it: "properties.report".

    The name of an entry is left out if it is long, or could break a line of a log.
    """
    name: str
    name, value = _largest(message)
    if issubclass(type(value), dict) and value:
        entry, _ = _largest(value)
        if type(entry) is str and entry.isprintable() and 0 < len(entry) <= MAX_NAME_LENGTH:
            return f"{name}.{entry}"
    return name


def _largest(container: Any) -> tuple[Any, Any]:
    entries: Iterable[tuple[Any, Any]] = islice(DICT.items(container), MAX_LOOKS)
    return max(entries, key=lambda entry: text_size([entry]))


def text_size(values: Iterable[Any]) -> int:
    """Return about how many bytes of text are in some values and in all that they contain."""
    size, left = 0, list(values)
    for _ in range(MAX_LOOKS):
        if not left:
            break
        value = left.pop()
        kind = type_of(value)
        size += 1
        if issubclass(kind, str):
            size += str.__len__(value)
        elif issubclass(kind, (bytes, bytearray)):
            size += kind.__len__(value)
        elif issubclass(kind, dict):
            left += islice(DICT.items(value), MAX_LOOKS)
        elif kind in {list, tuple, set, frozenset}:
            left += islice(value, MAX_LOOKS)
    return size
