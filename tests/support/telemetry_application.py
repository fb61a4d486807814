"""The telemetry of an application that was written for segment-analytics-python.

It is imported after `install_as_segment_analytics()`, and is not to be edited for it.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from segment import analytics  # type: ignore[attr-defined]
from segment.analytics.consumer import MAX_MSG_SIZE
from segment.analytics.request import APIError, DatetimeSerializer
from segment.analytics.utils import clean

__all__ = ["configure", "failures", "is_too_large", "send_event"]

logger = logging.getLogger(__name__)

TOO_LARGE = "Message exceeds %skb limit. (%s)"

failures: list[tuple[int, str, str, int]] = []


def configure(settings: Any) -> None:
    analytics.debug = settings.DEBUG
    analytics.write_key = settings.SEGMENT_WRITE_KEY
    analytics.host = settings.SEGMENT_HOST
    analytics.send = settings.SEGMENT_ENABLED
    analytics.gzip = True
    analytics.max_retries = 2
    analytics.on_error = on_error


def on_error(error: Exception, items: list[dict[str, Any]]) -> None:
    if isinstance(error, APIError):
        failures.append((error.status, error.code, error.message, len(items)))
    logger.error("Segment: %s", error)


def is_too_large(event: dict[str, Any]) -> bool:
    size = len(json.dumps(clean(event), cls=DatetimeSerializer).encode())
    return size > int(MAX_MSG_SIZE)


def send_event(name: str, event: dict[str, Any], user_id: str) -> None:
    try:
        analytics.track(user_id, name, event)
        logger.info("sent event: %s", name)
    except Exception as problem:
        logger.exception("could not send %s", name)
        args = problem.args
        if len(args) == 3 and args[0] == TOO_LARGE:
            size = len(args[2])
            logger.error("over %s KB: %d", args[1], size)  # noqa: TRY400  the other line has it
            send_event("Telemetry Failed", {"reason": "too large", "size": size}, user_id)
