"""The id of a row without one: the same whenever and wherever it is imported.

It is a UUID of version 5 (RFC 9562) in a namespace of write key, import name, and the type and
event that are given for all rows: over the values of the row's key, or over the whole row, and
from the second of equal rows on how often it came.
A member of an object that is null counts as one that is not there: tables have null where JSON
leaves a field out. Must not know messages.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from segment_librato.bulk.limits import MAX_ROW_BYTES
from segment_librato.bulk.occurrences import Occurrences
from segment_librato.encoding.strict import canonical, to_json
from segment_librato.errors import ValidationError
from segment_librato.foreign.narrowing import is_dict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["RowIds", "whole"]

MAX_WHOLE = 2.0**53  # from here on, an int has more digits than a float

ROOT = bytes.fromhex("3a8da8de8102412d8cc8d5e579c04097")  # random, once and for all
VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


class RowIds:
    """Gives rows their ids. For one thread at a time."""

    def __init__(
        self,
        write_key: str,
        name: str,
        key: Sequence[str],
        of_all: Mapping[str, str] | None = None,
    ) -> None:
        """Give no ids yet.

        Args:
            write_key: of the source.
            name: of the import.
            key: the columns that identify a row; none: all of them, and how often it came.
            of_all: the fields that all rows have and that are in none of them: of one table,
                `identify` messages can be made as well as `track` messages.
        """
        secret = hashlib.sha256(write_key.encode()).hexdigest()
        names, _ = canonical([secret, name, *([of_all] if of_all else [])], MAX_ROW_BYTES)
        space = hashlib.sha1(ROOT + names, usedforsecurity=False)
        self._space = hashlib.sha1(_uuid5_bytes(space.hexdigest()), usedforsecurity=False)
        self._key = tuple(key)
        self._occurrences = None if key else Occurrences()

    def id_of(self, row: Mapping[str, Any], data: bytes) -> str:
        """Return the id of a row that has none of its own; rows must come in their order.

        Args:
            row: the row.
            data: its canonical JSON.

        Raises:
            ValidationError: it has no value for the key.
        """
        digest = self._space.copy()
        if not self._occurrences:
            digest.update(self._key_of(row))
            return _uuid5(digest.hexdigest())
        digest.update(_without_nulls(data) if b"null" in data else data)
        count = self._occurrences.add(digest.digest())
        if count > 1:
            digest.update(b"\n%d" % count)
        return _uuid5(digest.hexdigest())

    def _key_of(self, row: Mapping[str, Any]) -> bytes:
        values = [_find(row, column) for column in self._key]
        if len(values) == 1 and isinstance(values[0], str) and not values[0]:
            raise ValidationError(f"{self._key[0]}: the row has no value for its key")
        key, _ = canonical(values, MAX_ROW_BYTES)
        if b"null" in key or b"." in key:
            plain = _DECODER.decode(key.decode())
            for column, value in zip(self._key, plain, strict=True):
                if value is None:  # or NaN, or what pandas has instead
                    raise ValidationError(f"{column}: the row has no value for its key")
            key = _to_json([*map(whole, plain)])
        return key

    @property
    def tells_equal_rows_apart(self) -> bool:
        """Whether an id depended on how often such a row has come."""
        return self._occurrences is not None and self._occurrences.distinct > 0

    def close(self) -> None:
        """Forget which rows came."""
        if self._occurrences:
            self._occurrences.close()


def _without_nulls(data: bytes) -> bytes:
    """Return canonical JSON without the members of objects that are null, at any depth."""
    try:
        return _to_json(_DECODER.decode(data.decode()))
    except RecursionError:  # encoding it took as much of the stack as there was
        return data


def _to_json(value: Any) -> bytes:  # noqa: ANN401  any value
    """Return the JSON of a plain value in the order that it has."""
    return to_json(value).encode()


def _without_null_members(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


_DECODER = json.JSONDecoder(object_hook=_without_null_members)


def whole(value: Any) -> Any:  # noqa: ANN401  any value
    """Return an int for a float that is one: pandas makes floats of ints if any is missing."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < MAX_WHOLE
    return int(value) if is_whole else value


def _find(row: Mapping[str, Any], column: str) -> Any:  # noqa: ANN401  any value
    """Return the value of a column, or of a field such as `properties.order_id`."""
    value: Any = row.get(column)
    if value is None and "." in column:
        value = row
        for name in column.split("."):
            value = value.get(name) if is_dict(value) else None
    return value


def _uuid5(digest: str) -> str:
    """Return a UUID of version 5 as text; `uuid.uuid5` takes three times as long."""
    start = f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}"
    return f"{start}-{VARIANT[digest[16]]}{digest[17:20]}-{digest[20:32]}"


def _uuid5_bytes(digest: str) -> bytes:
    return bytes.fromhex(_uuid5(digest).replace("-", ""))
