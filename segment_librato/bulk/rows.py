"""A row becomes a message, checked as a call checks it, and encoded.

Owns the rules by which that is done. Must not know how a message is sent.
"""

from __future__ import annotations

import re
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from segment_librato.bulk.ids import RowIds, whole
from segment_librato.bulk.limits import MAX_ROW_BYTES
from segment_librato.bulk.mapping import COMMON, FIELDS_OF_TYPE
from segment_librato.bulk.outcomes import Unreadable
from segment_librato.bulk.rules import TYPES
from segment_librato.encoding.encoder import encoder_of_plain, message_encoder
from segment_librato.encoding.sizes import estimated_size, largest_part
from segment_librato.encoding.strict import canonical
from segment_librato.errors import MessageTooLargeError, ValidationError, unexpected
from segment_librato.foreign.interruption import is_interruption
from segment_librato.foreign.narrowing import DICT, is_mapping
from segment_librato.message.build import (
    add_alias_fields,
    add_group_fields,
    add_identify_fields,
    add_page_fields,
    add_track_fields,
    build,
)
from segment_librato.message.fields import MAX_MESSAGE_BYTES, copy_mapping
from segment_librato.message.timestamp import FIRST_MILLISECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from segment_librato.bulk.rules import RowRules
    from segment_librato.message.fields import Message

__all__ = ["RowEncoder"]

MIN_SECONDS = 315_532_800  # 1980: other numbers are dates such as 20261001, or days of Excel
YEAR = 366 * 86_400

# What Segment adds to a message, as its archives have it: it will add its own again.
_OF_SEGMENT = frozenset(
    {
        "_metadata",
        "channel",
        "library",
        "originalTimestamp",
        "projectId",
        "receivedAt",
        "sentAt",
        "version",
        "writeKey",
    }
)
_KNOWN = {kind: fields | COMMON | _OF_SEGMENT for kind, fields in FIELDS_OF_TYPE.items()}


def _add_page(message: Message, fields: Mapping[str, Any]) -> None:
    add_page_fields(message, fields.get("category"), fields.get("name"), fields.get("properties"))


_ADD: dict[str, Callable[[Message, Mapping[str, Any]], None]] = {
    "alias": lambda message, fields: add_alias_fields(message, _id(fields.get("previousId"))),
    "group": lambda message, fields: add_group_fields(
        message, _id(fields.get("groupId")), fields.get("traits")
    ),
    "identify": lambda message, fields: add_identify_fields(message, fields.get("traits")),
    "page": _add_page,
    "screen": _add_page,
    "track": lambda message, fields: add_track_fields(
        message, fields.get("event"), fields.get("properties")
    ),
}


class RowEncoder:
    """Makes messages of rows. For one thread at a time; the rows must come in their order."""

    def __init__(self, write_key: str, rules: RowRules) -> None:
        """Take the rules.

        Raises:
            ConfigError: the mapping has a wrong target.
        """
        self._rules = rules
        self._columns = rules.columns()
        self._ids = RowIds(write_key, rules.name, rules.key, rules.of_all)
        self._encode_any = message_encoder()
        self._encode_plain = encoder_of_plain()

    def encode(self, row: object) -> tuple[str, bytes]:
        """Return the id of a row's message, and the message as JSON; see `take`."""
        message_id, data, *_ = self.take(row)
        return message_id, data

    def take(self, row: object) -> tuple[str, bytes, Any, int]:
        """Return the id of a row's message, the message as JSON, the row to keep, and its bytes.

        A row that is plain comes back as JSON: thousands of dicts that live for long would have
        the garbage collector look at everything again and again.

        Raises:
            ValidationError: the row cannot be one; the text names the field.
            MessageTooLargeError: the message exceeds 32 KB.
        """
        row = _checked(row)
        fields = self._columns.fields(row) if self._columns else row
        kind = self._type_of(fields)
        if not fields.keys() <= _KNOWN[kind]:
            _check_fields(kind, fields)
        try:
            return self._encode_row(row, kind, fields)
        except ValidationError as error:
            raise ValidationError(_OF_CALLS.sub(_as_in_rows, error.message)) from None
        except MessageTooLargeError as error:
            text = _OF_CALLS.sub(_as_in_rows, error.message)
            raise MessageTooLargeError(text, error.size) from None

    def _encode_row(
        self, row: Mapping[str, Any], kind: str, fields: Mapping[str, Any]
    ) -> tuple[str, bytes, Any, int]:
        timestamp = self._timestamp_of(fields)
        own_id = _given(fields, "messageId")
        message = build(
            kind,
            _id(fields.get("userId")),
            _id(fields.get("anonymousId")),
            fields.get("context"),
            timestamp,
            fields.get("integrations"),
            own_id,
            in_scope=False,  # history is of those whom it names
        )
        row_data, is_plain = canonical(row, MAX_ROW_BYTES)
        if own_id is None:
            message["messageId"] = self._ids.id_of(row, row_data)
        if self._rules.event is not None and kind == "track":
            fields = {**fields, "event": self._rules.event}
        _ADD[kind](message, fields)
        data = self._encode(message, is_plain=is_plain)
        return message["messageId"], data, row_data if is_plain else row, len(row_data)

    def count(self, row: object) -> None:
        """Count a row that an earlier run has settled: later ones may be equal to it."""
        if self._rules.key:
            return
        try:
            row = _checked(row)
            fields = self._columns.fields(row) if self._columns else row
            if _given(fields, "messageId") is None:
                self._ids.id_of(row, canonical(row, MAX_ROW_BYTES)[0])
        except (ValidationError, MessageTooLargeError):
            return  # it was rejected, and so will those be that are equal to it

    @property
    def tells_equal_rows_apart(self) -> bool:
        """Whether a row has got an id that depends on how often such a row has come."""
        return self._ids.tells_equal_rows_apart

    @property
    def unseen_columns(self) -> list[str]:
        """The columns that are mapped, but were in no row so far, if there were any."""
        return self._columns.unseen if self._columns else []

    def close(self) -> None:
        """Forget which rows came."""
        self._ids.close()

    def _encode(self, message: Message, *, is_plain: bool) -> bytes:
        """Return a message as JSON, sooner if it is made of a row that is plain."""
        if is_plain and self._encode_plain:
            try:
                data = self._encode_plain(message)
            except TypeError as error:  # a key, or a large int
                if is_interruption(error):
                    raise
            else:
                if len(data) <= MAX_MESSAGE_BYTES:
                    return data
        try:
            return self._encode_any(message)[0]
        except MessageTooLargeError as error:
            raise error.with_largest(largest_part(message), estimated_size(message)) from None

    def _timestamp_of(self, fields: Mapping[str, Any]) -> Any:  # noqa: ANN401  it is checked later
        timestamp = _given(fields, "timestamp")
        if timestamp is None and not self._rules.now:
            raise ValidationError("timestamp: missing; --now (now=True) uses the current time")
        if isinstance(timestamp, (int, float, Decimal)):
            seconds = timestamp if timestamp < FIRST_MILLISECONDS else timestamp / 1_000
            if not MIN_SECONDS <= seconds <= time.time() + YEAR:
                expected = "expected a time such as 2026-10-01T12:00:00Z, or seconds since 1970"
                problem = "got a number that is a time before 1980, or in more than a year"
                raise ValidationError(f"timestamp: {expected}, {problem}")
        return timestamp

    def _type_of(self, fields: Mapping[str, Any]) -> str:
        kind = self._rules.message_type or _given(fields, "type")
        if kind is None and (self._rules.event is not None or fields.get("event") is not None):
            return "track"
        if kind is None:
            raise ValidationError("type: missing; a row without an event needs one")
        if not isinstance(kind, str):
            raise ValidationError(unexpected("type", "a str", kind))
        if kind not in TYPES:
            raise ValidationError(f"type: expected one of {', '.join(TYPES)}")
        return kind


_OF_CALLS = re.compile(r"(?<![^ ])(?:user|anonymous|message|group|previous)_id(?=[: ])")


def _as_in_rows(argument: re.Match[str]) -> str:
    """Return the name that an argument of a call has as a field."""
    return argument[0].replace("_id", "Id")


def _checked(row: object) -> Mapping[str, Any]:
    if type(row) is DICT:
        return row
    if isinstance(row, Unreadable):
        raise ValidationError(row.reason)
    if not is_mapping(row):
        raise ValidationError(unexpected("row", "a dict", row))
    return copy_mapping("row", row)


def _given(fields: Mapping[str, Any], field: str) -> Any:  # noqa: ANN401  it is checked later
    value = fields.get(field)
    return None if type(value) is str and not value else value


def _id(value: Any) -> Any:  # noqa: ANN401  the same
    """Return an id, 7 for 7.0: pandas makes floats of ints if any is missing."""
    return whole(value) if isinstance(value, float) else value


def _check_fields(kind: str, fields: Mapping[str, Any]) -> None:
    """Reject a field that would be lost, unless nothing is in it."""
    for field in fields:
        value = fields[field]
        is_nothing = value is None or (type(value) in {str, dict} and not value)
        if field not in _KNOWN[kind] and not is_nothing:
            raise ValidationError(f"{field}: not a field of {kind} messages{_advice(kind, field)}")


def _advice(kind: str, field: object) -> str:
    """Return where a field may belong: user_id is userId in another spelling."""
    fields = FIELDS_OF_TYPE[kind] | COMMON
    spelling = str(field).replace("_", "").lower()
    if meant := next((one for one in fields if one.lower() == spelling), None):
        return f"; did you mean {meant}?"
    own = {"properties", "traits"} & FIELDS_OF_TYPE[kind]
    return f"; does it belong in {own.pop()}?" if own else ""
