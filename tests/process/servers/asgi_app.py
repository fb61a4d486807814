"""An ASGI application that tracks each request, and delivers at its end as it is told to."""

from __future__ import annotations

import os
from typing import Any

from reporting_client import client

import segment_librato

if os.environ["DELIVER"] == "on SIGTERM":
    segment_librato.flush_on_sigterm()


async def lifespan(receive: Any, send: Any) -> None:
    """Say that all is ready, and that all is done."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    if os.environ["DELIVER"] == "at the end of the lifespan":
        await client.aflush(timeout=10)
    await send({"type": "lifespan.shutdown.complete"})


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Track the number in the path."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    client.track("user", "requested", {"n": int(scope["path"].strip("/"))})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
