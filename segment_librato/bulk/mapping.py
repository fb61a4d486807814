"""A flat row becomes the fields of a message: which column goes where.

Must not know what the values of fields may be.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from segment_librato.errors import ConfigError, ValidationError, unexpected
from segment_librato.foreign.interruption import is_interruption
from segment_librato.foreign.narrowing import is_mapping
from segment_librato.message.fields import copy_mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["COMMON", "FIELDS_OF_TYPE", "OBJECTS", "Columns", "parse_json"]

FIELDS_OF_TYPE = {
    "alias": frozenset({"previousId"}),
    "group": frozenset({"groupId", "traits"}),
    "identify": frozenset({"traits"}),
    "page": frozenset({"category", "name", "properties"}),
    "screen": frozenset({"category", "name", "properties"}),
    "track": frozenset({"event", "properties"}),
}
COMMON = frozenset(
    {"anonymousId", "context", "integrations", "messageId", "timestamp", "type", "userId"}
)
"""The fields that messages of all types have."""
FIELDS = COMMON.union(*FIELDS_OF_TYPE.values())
OBJECTS = frozenset({"context", "integrations", "properties", "traits"})
HAVE_TRAITS = frozenset({"identify", "group"})
MAX_COLUMNS = 10_000  # whose places are kept

_Path = tuple[str, ...]


class Columns:
    """Where the columns of a row go.

    One that is mapped goes to its targets; one that has the name of a field of the message, or of
    a place in one ("properties.value"), goes there, unless another is mapped to that; any other
    becomes a property, or a trait.
    """

    def __init__(
        self, mapping: Mapping[str, str], message_type: str | None, event: str | None
    ) -> None:
        """Read a mapping.

        Args:
            mapping: the column of each target: a field, or a place in one.
            message_type: that of all rows; None if it is in a column, or follows from an event.
            event: that of all rows; None if it is in a column.

        Raises:
            ConfigError: a target is none, or lies within another.
        """
        self._message_type = message_type
        given = {"type": message_type, "event": event}
        self._given = {field for field in given if given[field] is not None}
        self._mapped: dict[str, list[_Path]] = {}
        for target, column in mapping.items():
            path = _place(target) if isinstance(target, str) else None
            if not (path and isinstance(column, str)):
                expected = "a dict of targets such as userId or properties.value to columns"
                raise ConfigError(f"mapping: expected {expected}, got {target!r}: {column!r}")
            self._mapped.setdefault(column, []).append(path)
        self._targets = {path for paths in self._mapped.values() for path in paths}
        inner = {path[:length] for path in self._targets for length in range(2, len(path))}
        if both := sorted(inner & self._targets):
            place = ".".join(both[0])
            raise ConfigError(f"mapping: {place} cannot be a value and have values in it")
        self._unseen = {*self._mapped}
        self._type_column = mapping.get("type", "type")
        self._known: dict[tuple[str, str], Sequence[_Path]] = {}  # by type and column
        self._columns: dict[tuple[str, _Path], str] = {}  # that are not mapped, by type and place
        self._rivals: list[tuple[str, str, str]] = []  # two of those, and the place of both

    @property
    def unseen(self) -> list[str]:
        """The columns that are mapped, but in no row so far, if there were any."""
        return sorted(self._unseen) if self._known else []

    def maps(self, target: str) -> bool:
        """Return whether a column is mapped to a target."""
        return _place(target) in self._targets

    def fields(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of the message that a row is.

        Raises:
            ValidationError: a field is no object, but must be one; or two columns have one place.
        """
        kind = self._message_type or row.get(self._type_column)
        kind = kind if isinstance(kind, str) and kind in FIELDS_OF_TYPE else "track"
        fields: dict[str, Any] = {}
        objects: dict[str, dict[str, Any]] = {}  # of the fields, those that are no part of the row
        for column in sorted(row, key=self._mapped.__contains__):  # those that are mapped win
            value = row[column]
            for path in self._known.get((kind, column)) or self._paths(kind, column, value):
                first = path[0]
                if len(path) == 2:  # noqa: PLR2004  as most are
                    objects.setdefault(first, {})[path[1]] = value
                elif len(path) > 1:
                    _put(objects.setdefault(first, {}), path[1:], value)
                elif first in OBJECTS:
                    objects[first] = _object(first, value) | objects.get(first, {})
                else:
                    fields[first] = value
        for one, other, place in self._rivals:
            if one in row and other in row:
                raise ValidationError(f"{one}: the column {other} has its place, {place}, too")
        return fields | objects

    def check(self, columns: Iterable[str]) -> None:
        """Check the columns of a table, each of which has a value in some row.

        Raises:
            ValidationError: two of them have one place.
        """
        self.fields(dict.fromkeys(columns, ""))

    def _paths(self, kind: str, column: str, value: object) -> Sequence[_Path]:
        """Find out where a column of a message of this type goes: nowhere, if that is taken."""
        self._unseen.discard(column)
        paths = self._mapped.get(column)
        if not paths:
            path = _place(column) if isinstance(column, str) else None
            fields = (FIELDS_OF_TYPE[kind] | COMMON) - self._given
            own = "traits" if kind in HAVE_TRAITS else "properties"
            is_free = path and path[0] in fields and path not in self._targets
            paths = [path if path and is_free else (own, column)]
            if paths[0] in self._targets:
                if value is None:
                    return ()
                place = f"{own}.{column}"
                raise ValidationError(f"{column}: {place} is mapped; map this column elsewhere")
            other = self._columns.setdefault((kind, paths[0]), column)
            if other != column:
                self._rivals.append((column, other, ".".join(paths[0])))
        if len(self._known) >= MAX_COLUMNS:
            self._known.clear()
            self._columns.clear()
            self._rivals.clear()
        self._known[kind, column] = paths
        return paths


def _place(target: str) -> _Path | None:
    """Return the place in a message that a target is; None if it is none."""
    path = tuple(target.split("."))
    is_target = all(path) and path[0] in (FIELDS if len(path) == 1 else OBJECTS)
    return path if is_target else None


def _put(fields: dict[str, Any], path: _Path, value: object) -> None:
    """Put a value at its place; what the row holds is copied first."""
    *parents, last = path
    for name in parents:
        fields[name] = _object(name, fields.get(name))
        fields = fields[name]
    fields[last] = value


def _object(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401  any value
    """Return a copy of an object, which may be JSON text."""
    if value is None or (type(value) is str and not value):
        return {}
    if isinstance(value, str):
        value = parse_json(value)
    if is_mapping(value):
        return copy_mapping(name, value)
    raise ValidationError(unexpected(name, "a dict, or the JSON of an object", value))


def parse_json(text: str) -> Any:  # noqa: ANN401  any value
    """Return the value of JSON text; the text itself if it is something else."""
    try:
        return json.loads(text)
    except (RecursionError, ValueError) as error:
        if is_interruption(error):
            raise
        return text
