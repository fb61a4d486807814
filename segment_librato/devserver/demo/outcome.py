"""Whether the demo went as it should: the counters, the gauges, the report, the retries.

Owns what is expected. Must not know how it came about, or what is printed.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from segment_librato.devserver.demo.plan import (
    EVENT,
    FAULTS,
    POISONED_EVENT,
    SECONDS,
    WEB_SERVERS,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segment_librato.counters import Stats
    from segment_librato.devserver.server import LocalSegment

__all__ = ["Outcome", "read_gauges"]

Gauges = dict[str, list[float]]


class Outcome(NamedTuple):
    """What is known at the end.

    Attributes:
        stats: the counters of the client, or of its gauges if it delivered these directly.
        gauges: the values that arrived, by source, in the order of time.
        reported: the event of each message that `on_error` was called with.
        requests: number of requests that the server has seen.
        seconds: how long it took.
    """

    stats: Stats
    gauges: Gauges
    reported: Sequence[str]
    requests: int
    seconds: float

    @property
    def adds_up(self) -> bool:
        """Whether each accepted message has one outcome."""
        stats = self.stats
        return stats.accepted == stats.delivered + stats.failed + stats.pending

    def describe_counters(self) -> str:
        """Return the equation of the counters, with the numbers in it."""
        stats = self.stats
        return (
            f"accepted {stats.accepted} {'==' if self.adds_up else '!='} delivered "
            f"{stats.delivered} + failed {stats.failed} + pending {stats.pending}"
        )

    def find_problems(self) -> list[str]:
        """Return a text for each thing that is not as it should be; none after a good run."""
        stats = self.stats
        wanted = len(WEB_SERVERS) * SECONDS
        expected = {one.source: list(one.values) for one in WEB_SERVERS}
        arrived = sum(map(len, self.gauges.values()))
        checks = {
            f"the account does not add up: {self.describe_counters()}": self.adds_up,
            f"{stats.accepted} of {wanted + 1} were accepted": stats.accepted == wanted + 1,
            f"{stats.pending} are still pending": not stats.pending,
            f"{arrived} of {wanted} values arrived": arrived == wanted,
            "the gauges are not those that were tracked": self.gauges == expected,
            f"on_error was called for {len(self.reported)} and should have been for "
            f"the {POISONED_EVENT} only": list(self.reported) == [POISONED_EVENT],
            f"{stats.retries} of {len(FAULTS)} retries were made": stats.retries >= len(FAULTS),
        }
        return [problem for problem, is_fine in checks.items() if not is_fine]


def read_gauges(server: LocalSegment, *, directly: bool) -> Gauges:
    """Return the values of the gauge by source, in the order of time.

    Args:
        server: what has received them.
        directly: whether Librato received them; otherwise they are what Segment's cloud would
            pass on to it.
    """
    if directly:
        points = server.librato.points(EVENT)
        return {source: [point.value for point in points[source]] for source in points}
    values: Gauges = defaultdict(list)
    for one in sorted(server.measurements, key=lambda one: one.measure_time or 0):
        if one.name == EVENT:
            values[one.source].append(one.value)
    return dict(values)
