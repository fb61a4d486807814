"""The client that the applications here track with; what it loses it tells on stderr.

With a spool in `SPOOL`, a line in the file `ACCEPTED` has the id of each message whose call has
returned, that of the process, and the number.
"""

from __future__ import annotations

import os
import sys

from segment_librato import Client
from segment_librato.config.client import Config

__all__ = ["client", "track"]

SPOOL = os.environ.get("SPOOL")
PADDING = "x" * int(os.environ.get("PADDING", "0"))


def complain(error: Exception, messages: list[dict[str, object]]) -> None:
    """Say on stderr, which the tests read, that messages were lost."""
    sys.stderr.write(f"on_error {error!r} {len(messages)}\n")


client = Client(
    "test-key",
    host=os.environ["SEGMENT_HOST"],
    upload_interval=float(os.environ["UPLOAD_INTERVAL"]),
    upload_size=int(os.environ.get("UPLOAD_SIZE", str(Config.upload_size))),
    on_error=complain,
    spool=SPOOL,
)


def track(event: str, number: int) -> None:
    """Track a number; note the message if it has to survive the process."""
    padding = {"padding": PADDING} if PADDING else {}
    accepted, message = client.track("user", event, {"n": number, **padding})
    if SPOOL and accepted:
        descriptor = os.open(os.environ["ACCEPTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, f"{message['messageId']} {os.getpid()} {number}\n".encode())
        os.close(descriptor)
