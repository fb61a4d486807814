"""What tests record: while there is a recording, clients add messages to it instead of sending.

Owns which recordings are under way. They hold for the whole process, and nest: the last one gets
the messages. Otherwise there is none, and all that a call does is to look. Must not know clients,
or what a test asks of its recording: that is `testing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segment_librato.librato.mapper import Measurement

__all__ = ["Recording", "last_recording", "recordings"]


class Recording:
    """What the clients of a test do. Thread-safe: each change is one operation.

    Attributes:
        entries: the JSON of each message, and the measurement that it makes.
        closed: who was shut down meanwhile, and rejects messages until the end.
    """

    def __init__(self) -> None:
        self.entries: list[tuple[bytes, Measurement | None]] = []
        self.closed: set[object] = set()


recordings: list[Recording] = []


def last_recording() -> Recording | None:
    """Return the recording that gets the messages, None if the last one has just ended."""
    last = recordings[-1:]
    return last[0] if last else None
