"""The tests of a kind say what `isinstance` says, also of what hides its own type."""

from __future__ import annotations

from collections import OrderedDict, UserDict, UserList
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from segment_librato.foreign.narrowing import DICT, is_dict, is_list, is_mapping, is_tuple, type_of


class Proxy:
    """It gives the class of what it stands for as its own, as `LocalProxy` does."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    @property
    def __class__(self) -> Any:
        return self._kind

    @__class__.setter
    def __class__(self, _: Any) -> None:
        raise AttributeError


class Pair(NamedTuple):
    one: int
    other: int


VALUES: list[object] = [
    *(None, 1, "a", b"a", {"a": 1}, [1], (1,), {1}, dict, OrderedDict(a=1), Pair(1, 2)),
    *(UserDict(a=1), UserList([1]), MappingProxyType({}), Proxy(dict), Proxy(list), Proxy(tuple)),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_the_kind_of_a_value(value: object) -> None:
    assert is_dict(value) == isinstance(value, dict)
    assert is_list(value) == isinstance(value, list)
    assert is_mapping(value) == isinstance(value, Mapping)
    assert is_tuple(value) == isinstance(value, tuple)
    assert type_of(value) is type(value)
    assert (type(value) is DICT) == (type(value) is dict)
