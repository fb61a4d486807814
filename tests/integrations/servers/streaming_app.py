"""A WSGI application that streams, and tracks in each part whose request it is."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import segment_librato as analytics
from segment_librato.integrations.wsgi import SegmentMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator

analytics.write_key = "test-key"
analytics.host = os.environ["SEGMENT_HOST"]


def stream(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Send three parts, with time for other requests in between."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(3):
        analytics.track(event="Part Sent", properties={"path": environ["PATH_INFO"]})
        time.sleep(0.001)
        yield b"x"


application = SegmentMiddleware(stream, user_id=lambda environ: environ["PATH_INFO"].strip("/"))
