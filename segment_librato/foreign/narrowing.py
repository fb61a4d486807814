"""What kind of value it is, asked in a way that tells type checkers what is in it.

After `isinstance(value, dict)`, Pyright holds the keys and values of a dict for unknown, which it
reports in strict mode. These are the same checks at the same cost: the methods that `isinstance`
calls. Must not know anything else of the library.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

__all__ = ["DICT", "is_dict", "is_list", "is_mapping", "is_tuple", "type_of"]

DICT: type[dict[str, Any]] = dict
"""For `type(value) is DICT`."""

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import TypeIs

    is_dict: Callable[[object], TypeIs[dict[Any, Any]]]
    is_list: Callable[[object], TypeIs[list[Any]]]
    is_mapping: Callable[[object], TypeIs[Mapping[Any, Any]]]
    is_tuple: Callable[[object], TypeIs[tuple[Any, ...]]]
    type_of: Callable[[object], type[Any]]
else:
    is_dict, is_list = dict.__instancecheck__, list.__instancecheck__
    is_mapping, is_tuple = Mapping.__instancecheck__, tuple.__instancecheck__
    type_of = type
