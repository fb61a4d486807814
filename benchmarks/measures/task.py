"""What a measure is given: a subject, a sink, and a client that is warm."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from benchmarks.events import small_event, user
from benchmarks.subjects import Options

if TYPE_CHECKING:
    from benchmarks.sink import Sink
    from benchmarks.subjects import Client, Subject

__all__ = ["MIN_QUEUE_SIZE", "Reading", "Task"]

Reading = dict[str, float]

MIN_QUEUE_SIZE = 10_000  # the default of most
WARM_UP_EVENTS = 150


class Task(NamedTuple):
    """Whom to measure, and where to send."""

    subject: Subject
    sink: Sink

    def connect(self, *, events: int = 0, gzip: bool = False, warm: bool = True) -> Client:
        """Make a client with room for `count` events; warm it up, and have the sink forget that.

        After that, its connection is open, and what it imports late is imported. One that is not
        warm has never been used.
        """
        room = max(MIN_QUEUE_SIZE, events + WARM_UP_EVENTS)
        client = self.subject.connect(Options(self.sink.url, room, gzip))
        if not warm:
            return client
        for number in range(WARM_UP_EVENTS):
            client.track(user(number), "Warmed Up", small_event(-number), None)
        client.flush()
        self.sink.reset()
        return client
