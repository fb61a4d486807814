"""`RowRules`: what somebody who imports rows says about them.

Owns the checks of that. Must not know how a row becomes a message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segment_librato.bulk.mapping import FIELDS_OF_TYPE, Columns
from segment_librato.config.validators import check_text
from segment_librato.errors import ConfigError, unexpected

__all__ = ["TYPES", "RowRules"]

TYPES = (*FIELDS_OF_TYPE,)


@dataclass(frozen=True)
class RowRules:
    """How a row becomes a message.

    Attributes:
        message_type: The type of all messages; None: the row's own, else track if it has an event.
        event: The event of all track messages; None: the row's own.
        mapping: The column of each target ("userId", "properties.value"). Another column that has
            the name of a target is in its place anyway; any other becomes a property, or a trait
            of identify and group. JSON text counts as the object that it is, where there must be
            one. None: the rows are messages.
        key: The columns, or fields ("properties.order_id"), that tell rows apart; none: the whole
            row does, and how often it has come.
        name: The name of the import: a row gets another id in an import of another name.
        now: Whether a row without a timestamp counts as of now, instead of being rejected.

    Raises:
        ConfigError: one of them is wrong; the text names it.
    """

    message_type: str | None = None
    event: str | None = None
    mapping: Mapping[str, str] | None = None
    key: Sequence[str] = ()
    name: str = "import"
    now: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        if self.message_type is not None and self.message_type not in TYPES:
            raise ConfigError(f"message_type: expected one of {', '.join(TYPES)}, or None")
        if self.event is not None:
            check_text("event", self.event, "a str or None")
        check_text("name", self.name)
        if not (self.mapping is None or isinstance(self.mapping, Mapping)):
            raise ConfigError(unexpected("mapping", "a dict or None", self.mapping))
        is_list = isinstance(self.key, Sequence) and not isinstance(self.key, str)
        if not (is_list and all(isinstance(column, str) and column for column in self.key)):
            raise ConfigError(unexpected("key", "a list of columns, each a str", self.key))
        columns = self.columns()
        if self.event is not None and self.message_type not in {None, "track"}:
            raise ConfigError(f"event: expected None, as {self.message_type} messages have none")
        if twice := next((field for field in self.of_all if columns and columns.maps(field)), ""):
            raise ConfigError(f"{twice}: expected one for all rows, or a column of it, not both")

    def columns(self) -> Columns | None:
        """Return where columns go; None if the rows are messages."""
        if self.mapping is None:
            return None
        return Columns(self.mapping, self.message_type, self.event)

    @property
    def of_all(self) -> dict[str, str]:
        """The fields that are the same in all messages, whatever is in the rows."""
        given = {"type": self.message_type, "event": self.event}
        return {field: value for field, value in given.items() if value is not None}

    @property
    def id_column(self) -> str:
        """The column of the ids that rows bring with them."""
        return (self.mapping or {}).get("messageId", "messageId")
