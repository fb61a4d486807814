"""The clients that are measured, each behind the same three calls, with its default options.

Owns how each library is imported, built and called. Imports none of them by itself, so that
the process of one subject holds nothing of another. To add a subject, write a function that
connects it and list it in `SUBJECTS`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "BARE",
    "INCUMBENT",
    "OURS",
    "PLAIN",
    "SPOOLED",
    "SUBJECTS",
    "Client",
    "Options",
    "Subject",
]

WRITE_KEY = "benchmark"
TIMEOUT = 120  # seconds: a sink that holds its responses must not cause retries
FLOOR_UPLOAD_SIZE = 100  # the default of all the others


class Options(NamedTuple):
    """The options a measure asks for; everything else is the library's default."""

    url: str
    max_queue_size: int
    gzip: bool = False


class Client(NamedTuple):
    """A client, ready for `track(user_id, event, properties, context)`.

    `count_recovered` returns how many events of dead processes it has delivered.
    """

    track: Callable[..., object]
    flush: Callable[[], object]
    shutdown: Callable[[], object]
    count_recovered: Callable[[], int] = int


@dataclass(frozen=True)
class Subject:
    """A library, as its user has it.

    Args:
        name: on the command line and in the tables.
        imports: what its user writes, to time it.
        connect: how a client is made.
        floor: the subject that is the limit for this one.
        has_orjson: False hides orjson from the process, whether or not it is installed.
        has_spool: its events survive the process; all its clients in a measurement share a spool.
    """

    name: str
    imports: str
    connect: Callable[[Options], Client]
    floor: str = "floor"
    has_orjson: bool = False
    has_spool: bool = False

    def prepare(self) -> None:
        """Make orjson impossible to import, unless the subject uses it."""
        if not self.has_orjson:
            # None is Python's own sign for "not to be imported".
            sys.modules["orjson"] = None  # type: ignore[assignment]

    @property
    def is_floor(self) -> bool:
        """Whether this is a limit rather than a library."""
        return self.name == self.floor


def _make(client_class: Callable[..., Any], options: Options, **others: object) -> Any:  # noqa: ANN401  of any library
    return client_class(
        WRITE_KEY,
        host=options.url,
        max_queue_size=options.max_queue_size,
        gzip=options.gzip,
        timeout=TIMEOUT,
        **others,
    )


def _like_segment(client_class: Callable[..., Any], options: Options) -> Client:
    client = _make(client_class, options)
    return Client(client.track, client.flush, client.shutdown)


def _segment_librato(options: Options) -> Client:
    from segment_librato import Client as SegmentLibrato

    return _like_segment(SegmentLibrato, options)


def _segment_librato_with_spool(options: Options) -> Client:
    from pathlib import Path
    from tempfile import gettempdir

    from segment_librato import Client as SegmentLibrato

    client = _make(SegmentLibrato, options, spool=Path(gettempdir()) / "spool")

    def count_recovered() -> int:
        recovered: int = client.stats.spool.recovered
        return recovered

    return Client(client.track, client.flush, client.shutdown, count_recovered)


def _segment(options: Options) -> Client:
    from segment.analytics.client import Client as Segment

    return _like_segment(Segment, options)


def _rudder(options: Options) -> Client:
    from rudderstack.analytics.client import Client as Rudder

    return _like_segment(Rudder, options)


def _posthog(options: Options) -> Client:
    from posthog import Posthog

    client = _make(Posthog, options)

    def track(
        user_id: str, event: str, properties: dict[str, Any], context: dict[str, Any] | None = None
    ) -> None:
        if context:
            properties["context"] = context
        client.capture(event, distinct_id=user_id, properties=properties)

    return Client(track, lambda: client.flush(timeout_seconds=None), client.shutdown)


def _floor(options: Options) -> Client:
    from benchmarks.floor import Floor, json_dump

    return _of_floor(Floor, json_dump(), options)


def _floor_with_orjson(options: Options) -> Client:
    from benchmarks.floor import Floor, orjson_dump

    return _of_floor(Floor, orjson_dump(), options)


def _of_floor(floor: Callable[..., Any], dump: object, options: Options) -> Client:
    client = floor(options.url, dump, upload_size=FLOOR_UPLOAD_SIZE, compress=options.gzip)
    return Client(client.track, client.flush, client.shutdown)


def _nothing(*_: object) -> None:
    """Do nothing, as a bare interpreter does."""


INCUMBENT = "segment"
PLAIN = "segment_librato"
SPOOLED = "segment_librato+spool"
OURS = (PLAIN, "segment_librato+orjson")
SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject("segment", "from segment.analytics.client import Client", _segment),
        Subject("posthog", "from posthog import Posthog", _posthog),
        Subject("rudder", "from rudderstack.analytics.client import Client", _rudder),
        Subject(PLAIN, "from segment_librato import Client", _segment_librato),
        Subject(
            "segment_librato+orjson",
            "from segment_librato import Client",
            _segment_librato,
            floor="floor+orjson",
            has_orjson=True,
        ),
        Subject(
            SPOOLED,
            "from segment_librato import Client",
            _segment_librato_with_spool,
            has_spool=True,
        ),
        Subject("floor", "import benchmarks.floor", _floor),
        Subject(
            "floor+orjson",
            "import benchmarks.floor, orjson",
            _floor_with_orjson,
            floor="floor+orjson",
            has_orjson=True,
        ),
    )
}
BARE = Subject("bare", "pass", lambda _: Client(_nothing, _nothing, _nothing))
