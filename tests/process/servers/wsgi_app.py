"""A WSGI application that tracks: one message when it is imported, and one for each request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from reporting_client import track

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

track("imported", -1)


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Track the number in the path; respond with the id of the process."""
    track("requested", int(environ["PATH_INFO"].strip("/")))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
