"""The mapper: the gauge measurement that a message makes, if it makes one.

Owns the rules of Segment's Librato destination: which messages make a measurement, and where its
name, value, source and time come from. Pure and thread-safe: equal messages make equal
measurements, and no message is changed.

Must not know queues or requests, or how numbers and times are read (`values`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from segment_librato.librato.values import as_json_number, read_number, read_time

__all__ = ["MAX_VALUE", "Measurement", "explain", "gauge_name", "map_message"]

# Librato rejects a whole request for one longer name or source, or one greater value.
_MAX_LENGTH = 255
MAX_VALUE = 10**126

_NOT_IN_KEY = re.compile(r"[^A-Za-z0-9.]")
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9._-]")
_NOT_IN_SOURCE = re.compile(r"[^A-Za-z0-9.:_-]")
_BEYOND_16_BITS = re.compile("[\U00010000-\U0010ffff]")

_EMPTY: Mapping[str, Any] = {}

_Json: TypeAlias = "Mapping[str, Any] | list[Any] | str | float | None"


class Measurement(NamedTuple):
    """One sample of a Librato gauge.

    Attributes:
        name: 1 to 255 characters of `A-Z a-z 0-9 . _ -`, but not "all".
        value: finite, at most 1e126 in magnitude.
        measure_time: whole seconds since the epoch; None means the time of receipt.
        source: 1 to 255 characters of `A-Z a-z 0-9 . : _ -`, but not "all".
    """

    name: str
    value: int | float
    measure_time: int | None
    source: str

    def as_dict(self) -> dict[str, object]:
        """Return the fields in the order of the class, including a `measure_time` of None."""
        return {
            "name": self.name,
            "value": self.value,
            "measure_time": self.measure_time,
            "source": self.source,
        }


class _NoMeasurementError(Exception):
    """A message makes no measurement; the text says why and quotes nothing of the message."""


def map_message(message: Mapping[str, Any]) -> Measurement | None:
    """Return the measurement that `message` makes, None if it makes none.

    Raises nothing but what a signal handler raises meanwhile, and RecursionError at the end of the
    stack.

    Args:
        message: the message as it is sent: camelCase keys, JSON values.
    """
    try:
        measurement, _ = _measure(message)
    except _NoMeasurementError:
        return None
    return measurement


def explain(message: Mapping[str, Any]) -> str:
    """Return a sentence that says what measurement `message` makes, or why it makes none.

    It names the origin of the source. A debugging aid: it quotes names and values of the message.
    """
    try:
        measurement, origin = _measure(message)
    except _NoMeasurementError as reason:
        return f"No measurement: {reason}."
    return (
        f"Gauge {measurement.name} takes the value {measurement.value} "
        f"with the source {measurement.source}, from {origin}."
    )


def gauge_name(event: str) -> str | None:
    """Return the name of the gauge for an event, None if there is none."""
    try:
        return _name(event)
    except _NoMeasurementError:
        return None


def _measure(message: Mapping[str, Any]) -> tuple[Measurement, str]:
    """Return the measurement and the origin of its source.

    Raises:
        _NoMeasurementError: the message makes no measurement.
    """
    event = _event(message)
    if not _is_enabled(message):
        raise _NoMeasurementError("Librato is switched off for this message")
    name = _name(event)
    value = _value(message)
    source, origin = _source(message, name)
    return Measurement(name, value, read_time(message.get("timestamp")), source), origin


def _event(message: Mapping[str, Any]) -> str:
    """Return the event that names the gauge; pages and screens become events."""
    message_type = message.get("type")
    if not isinstance(message_type, str) or message_type not in {"track", "page", "screen"}:
        raise _NoMeasurementError("its type is not track, page or screen")
    if message_type != "track":
        return _view_event(message, message_type.capitalize())
    event = message.get("event")
    if not isinstance(event, str):
        raise _NoMeasurementError("its event is not a string")
    return event


def _view_event(message: Mapping[str, Any], view: str) -> str:
    """Return the event of a page or a screen; `view` is "Page" or "Screen"."""
    name = _view_text(message.get("name"))
    if not name:
        return f"Loaded a {view}"
    category = _view_text(message.get("category"))
    return f"Viewed {category} {name} {view}" if category else f"Viewed {name} {view}"


def _view_text(value: object) -> str:
    """Return a name or category as text, as Segment's destination does: empty if it is unset."""
    return "true" if value is True else _number_or_text(value)


def _is_enabled(message: Mapping[str, Any]) -> bool:
    """Return whether the message may go to Librato."""
    settings: _Json = message.get("integrations")
    if not isinstance(settings, Mapping):
        settings = _object(message.get("context"))
    if "Librato" in settings:
        return settings["Librato"] is not False
    return _folded_lookup(settings, "all") is not False


def _name(event: str) -> str:
    """Return the gauge name for an event."""
    name = _sanitize(event, _NOT_IN_NAME)
    if not name:
        raise _NoMeasurementError("its event is empty")
    if _is_reserved(name):
        raise _NoMeasurementError("its event is all, a name that Librato reserves")
    return name


def _value(message: Mapping[str, Any]) -> int | float:
    """Return the sample: the property `value`, or 1 without one."""
    value = _folded_lookup(_object(message.get("properties")), "value")
    if value is None:
        return 1
    number = read_number(value)
    if number is None:
        raise _NoMeasurementError(
            "its properties.value is neither a finite number nor the text of one"
        )
    if not -MAX_VALUE <= number <= MAX_VALUE:
        raise _NoMeasurementError("its properties.value exceeds 1e126 in magnitude")
    return as_json_number(number)


def _source(message: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Return the source and its origin; without one in the message, the name of the gauge."""
    for origin, candidate in _source_candidates(message):
        source = _sanitize(_number_or_text(candidate), _NOT_IN_SOURCE)
        if source and not _is_reserved(source):
            return source, origin
    return name, "the event name"


def _source_candidates(message: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield (origin, value) for each place that may hold a source, in order of precedence."""
    context = _object(message.get("context"))
    place = "integrations"
    integrations: _Json = message.get(place)
    if not isinstance(integrations, Mapping):
        place, integrations = "context.providers", _object(context.get("providers"))
    setting: _Json
    if "Librato" in integrations:
        setting = integrations["Librato"]
    else:
        setting = _folded_lookup(integrations, "librato")
    if isinstance(setting, Mapping):
        yield f"{place}.Librato.source", setting.get("source")
    else:
        setting = context.get("Librato")
        if not _is_set(setting):
            setting = _folded_lookup(context, "librato")
        yield "context.Librato.source", _object(setting).get("source")
    yield "context.source", _folded_lookup(context, "source")


def _number_or_text(candidate: object) -> str:
    """Return a string as it is, a number other than zero as text, else the empty string."""
    if isinstance(candidate, str):
        return candidate
    number = read_number(candidate)
    if not number:
        return ""
    if isinstance(number, int):
        number = Decimal(number)  # str() of an int raises beyond 4,300 digits
    return str(number).removesuffix(".0")


def _sanitize(text: str, forbidden: re.Pattern[str]) -> str:
    """Return `text` with a dash for each forbidden UTF-16 code unit, cut to 255."""
    code_units = _BEYOND_16_BITS.sub("--", text[:_MAX_LENGTH])
    return forbidden.sub("-", code_units)[:_MAX_LENGTH]


def _is_reserved(name: str) -> bool:
    """Return whether Librato reserves a name or source."""
    return name.lower() == "all"


def _is_set(value: object) -> bool:
    """Return whether JavaScript takes a JSON value for true: objects and lists always."""
    return bool(value) or isinstance(value, (Mapping, list))


def _object(value: _Json) -> Mapping[str, Any]:
    """Return `value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else _EMPTY


def _folded_lookup(mapping: Mapping[Any, Any], name: str) -> Any:  # noqa: ANN401  JSON
    """Return the value of the first key that equals `name`, ignoring case and punctuation."""
    for key, value in mapping.items():
        if isinstance(key, str) and _NOT_IN_KEY.sub("", key).lower() == name:
            return value
    return None
