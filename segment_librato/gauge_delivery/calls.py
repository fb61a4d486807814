"""Gauges by hand: the message of a single number, and the settings of a gauge.

Owns what is checked of them. Knows nothing of queues, or of how anything is sent.
"""

from __future__ import annotations

import numbers
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from segment_librato.errors import ConfigError, ValidationError, unexpected
from segment_librato.librato.mapper import MAX_VALUE, gauge_name
from segment_librato.message.fields import check_event

if TYPE_CHECKING:
    from segment_librato.config.gauges import LibratoConfig, OpenTelemetryConfig

__all__ = ["configure", "gauge_fields", "gauge_settings"]

SUMMARIES = ("average", "sum", "count", "min", "max")


def gauge_fields(
    name: object, value: object, source: object
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the properties and the context of the message that is the measurement."""
    _gauge_name(name)
    if not isinstance(value, (numbers.Real, Decimal)) or isinstance(value, bool):
        raise ValidationError(unexpected("value", "a number", value))
    if not _is_within_range(value):
        raise ValidationError("value: expected a number of at most 1e126 in magnitude")
    if source is not None and not (isinstance(source, str) and source):
        raise ValidationError(unexpected("source", "a non-empty str or None", source))
    return {"value": value}, {"Librato": {"source": source}} if source else {}


def gauge_settings(
    period: object, summarize: object, aggregate: object, display_name: object
) -> dict[str, Any]:
    """Return the properties of a gauge as the API takes them."""
    from segment_librato.config.gauges import (
        MAX_PERIOD_SECONDS,
        MIN_PERIOD_SECONDS,
    )

    if not isinstance(period, int) or isinstance(period, bool):
        raise ValidationError(unexpected("period", "an int", period))
    if not MIN_PERIOD_SECONDS <= period <= MAX_PERIOD_SECONDS:
        expected = f"{MIN_PERIOD_SECONDS} to {MAX_PERIOD_SECONDS} seconds"
        raise ValidationError(f"period: expected {expected}, got {period}")
    if summarize not in SUMMARIES:
        expected = ", ".join(SUMMARIES[:-1]) + f" or {SUMMARIES[-1]}"
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
    """Give the gauge of this name these settings, or only check them.

    Raises:
        ConfigError: there is no Librato account.
        ValidationError: no gauge can have this name.
        APIError: Librato answered without success.
        NetworkError: it did not answer.
    """
    from segment_librato.config.gauges import LibratoConfig

    if not isinstance(account, LibratoConfig):
        raise ConfigError(unexpected("gauges", "a LibratoConfig to set up gauges", account))
    name = _gauge_name(name)
    if send:
        from segment_librato.gauge_delivery.librato import put_gauge

        put_gauge(account, name, settings)


def _is_within_range(value: Any) -> bool:  # noqa: ANN401  Real and Decimal have no type in common
    try:
        return bool(-MAX_VALUE <= value <= MAX_VALUE)
    except ArithmeticError:  # Decimal does not compare NaN
        return False


def _gauge_name(event: object) -> str:
    name = gauge_name(check_event("name", event))
    if name is None:
        raise ValidationError("name: expected a name, but not all, which Librato reserves")
    return name
