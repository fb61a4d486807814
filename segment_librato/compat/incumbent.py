"""What applications import from `request`, `consumer` and `utils` of segment-analytics-python.

They need a few names, mostly to find out whether a message is too large. Owns these names. Must not
know how they come to be found there.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from segment_librato.delivery.consumer import Consumer
from segment_librato.encoding.coerce import coerce
from segment_librato.errors import APIError
from segment_librato.message.fields import MAX_MESSAGE_BYTES

__all__ = ["MAX_MSG_SIZE", "APIError", "Consumer", "DatetimeSerializer", "clean"]

MAX_MSG_SIZE = MAX_MESSAGE_BYTES
MAX_CLEAN_BYTES = 64 * 1024 * 1024  # a generator may be endless


def clean(item: object) -> Any:  # noqa: ANN401  JSON has no type
    """Return a copy with nothing but what JSON has, as a message with it would be sent.

    Raises:
        MessageTooLargeError: its JSON would have more than 64 MB.
    """
    return coerce(item, MAX_CLEAN_BYTES)


class DatetimeSerializer(json.JSONEncoder):
    """Writes dates and datetimes as ISO 8601 text."""

    def default(self, o: object) -> Any:  # noqa: ANN401  as in the class above it
        """Return the text of a date; raise TypeError for anything else."""
        return o.isoformat() if isinstance(o, date) else super().default(o)
