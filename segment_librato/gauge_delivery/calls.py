"""The calls `gauge` and `configure_gauge`: from their arguments to a message and to settings.

Owns the checks of the arguments. Must not know queues, or how anything is sent.
"""

from __future__ import annotations

import numbers
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from segment_librato.config.gauges import MAX_PERIOD_SECONDS, MIN_PERIOD_SECONDS, LibratoConfig
from segment_librato.encoding.kinds import array_item, is_array
from segment_librato.errors import ConfigError, ValidationError, unexpected
from segment_librato.foreign.interruption import is_interruption
from segment_librato.librato.mapper import MAX_VALUE, gauge_name
from segment_librato.message.fields import check_event, plain

if TYPE_CHECKING:
    from segment_librato.config.gauges import OpenTelemetryConfig
    from segment_librato.message.fields import Identifier

__all__ = ["configure", "gauge_fields", "gauge_settings"]

SUMMARIES = ("average", "sum", "count", "min", "max")
TIMES = {"m", "M"}  # numpy's letters for times and spans of time
DOT_SEGMENTS = {".", ".."}  # they would lead to another path, even percent-encoded
RESERVED = '"all", which Librato reserves'


def gauge_fields(
    name: str,
    value: object,
    source: str | None,
    user_id: Identifier | None,
    field: str = "value",
) -> tuple[dict[str, Any], dict[str, Any], str | None]:
    """Return the properties, the context and the anonymous id of the `track` message for a gauge.

    Args:
        name: of the gauge.
        value: its value.
        source: its source.
        user_id: whose it is.
        field: the name of the argument that is the value, for the errors.

    Raises:
        ValidationError: an argument has a wrong type or value; the text names it.
    """
    _gauge_name(name)
    value = _number(field, value)
    source = plain("source", source)
    if source is not None and not (isinstance(source, str) and source):
        raise ValidationError(unexpected("source", "a non-empty str or None", source))
    if source and source.lower() == "all":
        raise ValidationError(f"source: expected another source than {RESERVED}")
    anonymous_id = (source or name) if plain("user_id", user_id) is None else None
    return {"value": value}, {"Librato": {"source": source}} if source else {}, anonymous_id


def gauge_settings(
    period: object, summarize: object, aggregate: object, display_name: object
) -> dict[str, Any]:
    """Return the settings of a gauge as the API takes them.

    Raises:
        ValidationError: an argument has a wrong type or value; the text names it.
    """
    period, summarize = plain("period", period), plain("summarize", summarize)
    aggregate, display_name = plain("aggregate", aggregate), plain("display_name", display_name)
    if not isinstance(period, int) or isinstance(period, bool):
        raise ValidationError(unexpected("period", "an int", period))
    if not MIN_PERIOD_SECONDS <= period <= MAX_PERIOD_SECONDS:
        expected = f"{MIN_PERIOD_SECONDS} to {MAX_PERIOD_SECONDS} seconds"
        raise ValidationError(f"period: expected {expected}, got {period}")
    if summarize not in SUMMARIES:
        expected = ", ".join(SUMMARIES[:-1]) + f" or {SUMMARIES[-1]}"
        if isinstance(summarize, str):
            raise ValidationError(f"summarize: expected {expected}, got another str")
        raise ValidationError(unexpected("summarize", expected, summarize))
    if not isinstance(aggregate, bool):
        raise ValidationError(unexpected("aggregate", "a bool", aggregate))
    if display_name is not None and not isinstance(display_name, str):
        raise ValidationError(unexpected("display_name", "a str or None", display_name))
    settings = {
        "period": period,
        "attributes": {"summarize_function": summarize, "aggregate": aggregate},
    }
    return settings if display_name is None else {**settings, "display_name": display_name}


def configure(
    account: LibratoConfig | OpenTelemetryConfig | None,
    name: object,
    settings: dict[str, Any],
    *,
    send: bool,
) -> None:
    """Apply settings to a gauge.

    Args:
        account: the Librato account that has the gauge.
        name: the event or the name of the gauge.
        settings: what `gauge_settings` returned.
        send: whether to send them, instead of only checking the arguments.

    Raises:
        ConfigError: `account` is not a Librato account.
        ValidationError: no gauge can have this name.
        APIError: the server answered without success.
        NetworkError: no response came.
    """
    if not isinstance(account, LibratoConfig):
        raise ConfigError(unexpected("gauges", "a LibratoConfig to set up gauges", account))
    name = _gauge_name(name)
    if name in DOT_SEGMENTS:
        raise ValidationError('name: expected another name than "." and "..", which no URL has')
    if send:
        from segment_librato.gauge_delivery.librato import put_gauge

        put_gauge(account, name, settings)


def _number(field: str, value: Any) -> int | float | Decimal:  # noqa: ANN401  Real and Decimal have no type in common
    """Return the value of a gauge, one of another package as a number of Python's own.

    To compare a `numpy.float32` with the limit would warn of an overflow.
    """
    value = plain(field, value)
    is_time = False
    if is_array(value) and tuple(value.shape) == ():  # a tensor, perhaps
        is_time = getattr(value.dtype, "kind", "") in TIMES  # to numpy, they are integers
        value = value if is_time else array_item(value)
    if is_time or not isinstance(value, (numbers.Real, Decimal)) or isinstance(value, bool):
        raise ValidationError(unexpected(field, "a number", value))
    number: int | float | Decimal
    try:
        if isinstance(value, (int, float, Decimal)):
            number = value
        else:
            number = int(value) if isinstance(value, numbers.Integral) else float(value)
        if -MAX_VALUE <= number <= MAX_VALUE:
            return number
    except ArithmeticError as error:  # NaN as a Decimal, a Fraction beyond all floats
        if is_interruption(error):
            raise
    raise ValidationError(f"{field}: expected a finite number of at most 1e126 in magnitude")


def _gauge_name(event: object) -> str:
    event = check_event("name", event)
    if not event:
        raise ValidationError(unexpected("name", "a non-empty str", event))
    name = gauge_name(event)
    if name is None:
        raise ValidationError(f"name: expected another name than {RESERVED}")
    return name
