"""The client that the applications here track with; what it loses it tells on stderr."""

from __future__ import annotations

import os
import sys

from segment_librato import Client

__all__ = ["client"]


def complain(error: Exception, messages: list[dict[str, object]]) -> None:
    """Say on stderr, which the tests read, that messages were lost."""
    sys.stderr.write(f"on_error {error!r} {len(messages)}\n")


client = Client(
    "test-key",
    host=os.environ["SEGMENT_HOST"],
    upload_interval=float(os.environ["UPLOAD_INTERVAL"]),
    on_error=complain,
)
