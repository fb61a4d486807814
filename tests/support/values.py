"""Values of all kinds for tests of the encoders, and a strict reading of what they write."""

from __future__ import annotations

import json
from typing import Any, NoReturn
from unittest.mock import MagicMock, Mock

import numpy as np
from hypothesis import strategies as st

__all__ = [
    "Hostile",
    "Unreadable",
    "keys",
    "laughs",
    "load_strictly",
    "nested",
    "stable_values",
    "surrogates",
    "values",
]


def reject_constant(name: str) -> NoReturn:
    raise AssertionError(name)


def mapping_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    assert len(mapping) == len(pairs)
    return mapping


def load_strictly(data: bytes) -> Any:
    return json.loads(
        data.decode("utf-8", "strict"),
        parse_constant=reject_constant,
        object_pairs_hook=mapping_without_duplicates,
    )


def nested(levels: int, leaf: Any = None) -> dict[str, Any]:
    """Return as many dicts inside one another."""
    value = {"in": leaf}
    for _ in range(levels - 1):
        value = {"in": value}
    return value


def laughs() -> list[Any]:
    value: list[Any] = ["lol"]
    for _ in range(9):
        value = [value] * 10
    return value


class Hostile:
    """An object of which nothing can be asked."""

    def reject(self, *_: object) -> NoReturn:
        raise RuntimeError("no")

    __iter__ = __str__ = __repr__ = __len__ = __bool__ = __contains__ = reject
    __class__ = property(reject)
    __eq__ = __hash__ = reject
    __getattr__ = reject


class Unreadable(dict[str, Any]):
    """A dict that cannot be read."""

    def items(self) -> NoReturn:
        raise ValueError("no")


plain_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
surrogates = st.text(st.characters(categories=["Cs", "Ll", "Lo"]))
rare_values = st.one_of(
    surrogates,
    st.decimals(),
    st.fractions(),
    st.complex_numbers(),
    st.uuids(),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.binary(),
    st.ip_addresses(),
    st.integers().map(np.float64),
    st.floats().map(np.array),
    st.functions(),
    st.sampled_from([str, Hostile, json, object(), np.datetime64("NaT", "s"), np.bool_(True)]),  # noqa: FBT003 - a value
    st.builds(Hostile),
    st.builds(Unreadable, st.just({"a": 1})),
    st.builds(Mock),
    st.builds(MagicMock),
)
keys = (
    st.text() | surrogates | plain_values | st.decimals(allow_nan=False) | st.uuids() | st.dates()
)


def containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(children, max_size=4)
    return (
        lists
        | lists.map(tuple)
        | lists.map(iter)
        | st.dictionaries(keys | st.tuples(keys), children, max_size=4)
        | st.frozensets(keys, max_size=4)
    )


values = st.recursive(plain_values | rare_values, containers, max_leaves=12)
stable_values = st.recursive(
    plain_values | st.decimals() | st.binary() | st.uuids() | st.dates(), containers, max_leaves=9
).filter(lambda value: "iterator" not in repr(value))
