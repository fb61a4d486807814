"""A WSGI application that tracks: one message when it is imported, and one for each request."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from segment_librato import Client

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def complain(error: Exception, messages: list[dict[str, object]]) -> None:
    """Say on stderr, which the tests read, that messages were lost."""
    sys.stderr.write(f"on_error {error!r} {len(messages)}\n")


client = Client(
    "test-key",
    host=os.environ["SEGMENT_HOST"],
    upload_interval=float(os.environ["UPLOAD_INTERVAL"]),
    on_error=complain,
)
client.track("user", "imported", {"n": -1})


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Track the number in the path; answer with the number of the process."""
    client.track("user", "requested", {"n": int(environ["PATH_INFO"].strip("/"))})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
