"""The demo: four web servers track a random value each second, and a gauge comes out for each.

    python -m segment_librato.devserver.demo             through Segment
    python -m segment_librato.devserver.demo --librato   directly to Librato

It is the example of the Librato documentation, run by the real client against the local server.
Owns the events of the example and what is printed; exits with 0 only if all was delivered.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import defaultdict
from statistics import mean
from typing import TYPE_CHECKING

from segment_librato import Client, LibratoConfig
from segment_librato.devserver.server import LocalSegment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from segment_librato.counters import Stats

__all__ = ["main"]

SOURCES = {123: "web-server-10", 234: "web-server-11", 345: "web-server-12", 456: "web-server-13"}
EVENT = "segment.librato"
SECONDS = 60
HIGHEST_VALUE = 100
BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = " .:-=+*#"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(description="Track, deliver, and draw the gauges.")
    parser.add_argument("--librato", action="store_true", help="deliver directly to Librato")
    directly = parser.parse_args(arguments).librato
    errors: list[str] = []
    with LocalSegment() as server:
        name = "Librato" if directly else "Segment"
        print(f"A local {name} API listens on {server.host}")
        # each second is to be a point of its own: nobody aggregates
        account = LibratoConfig("ada@example.com", "demo", server.host, attributes={})
        began = time.perf_counter()
        with Client(
            None if directly else "demo",
            host=server.host,
            gauges=account if directly else None,
            on_error=lambda error, _: errors.append(str(error)),
        ) as client:
            track_all(client, until=time.time())
            all_settled = client.flush(timeout=30)
        seconds = time.perf_counter() - began
        stats = client.stats.gauges or client.stats
        print(describe_delivery(stats, len(server.requests), seconds))
        values = kept_by_librato(server) if directly else mapped_from_segment(server)
        print(describe_gauges(values))
    for error in errors:
        print(f"error: {error}")
    received = sum(map(len, values.values()))
    return 0 if all_settled and received == stats.delivered == len(SOURCES) * SECONDS else 1


def kept_by_librato(server: LocalSegment) -> dict[str, list[float]]:
    """Return the values of the gauge that were delivered directly, for each source."""
    points = server.librato.points(EVENT)
    return {source: [point.value for point in points[source]] for source in points}


def mapped_from_segment(server: LocalSegment) -> dict[str, list[float]]:
    """Return the values of the gauge that Segment's cloud would deliver, for each source."""
    values: dict[str, list[float]] = defaultdict(list)
    for measurement in server.measurements:
        values[measurement.source].append(measurement.value)
    return values


def track_all(client: Client, until: float) -> None:
    """Track what the four servers measured in the seconds before `until`."""
    for second in range(SECONDS):
        for user_id, source in SOURCES.items():
            client.track(
                user_id,
                EVENT,
                {"value": random.randrange(HIGHEST_VALUE)},  # noqa: S311  not a secret
                context={"Librato": {"source": source}},
                timestamp=until - SECONDS + second,
            )


def describe_delivery(stats: Stats, requests: int, seconds: float) -> str:
    """Say what became of the messages."""
    return (
        f"{stats.accepted} accepted, {stats.delivered} delivered, {stats.failed} failed, "
        f"in {seconds:.2f} s; requests: {requests}\n"
    )


def describe_gauges(values: Mapping[str, Sequence[float]]) -> str:
    """Return a table and a chart of the gauge, a line for each source."""
    lines = [f"{EVENT:<16}{'count':>7}{'sum':>8}{'mean':>8}{'min':>6}{'max':>6}"]
    lines += [
        f"{source:<16}{len(v):>7}{sum(v):>8.0f}{mean(v):>8.1f}{min(v):>6.0f}{max(v):>6.0f}"
        for source, v in sorted(values.items())
    ]
    lines += ["", f"Each second of the last {SECONDS}, from 0 to {HIGHEST_VALUE}:"]
    lines += [f"{source:<16}{draw(v)}" for source, v in sorted(values.items())]
    return "\n".join(lines)


def draw(values: Iterable[float]) -> str:
    """Return a bar for each value, in characters that the terminal has."""
    try:
        BARS.encode(sys.stdout.encoding)
        bars = BARS
    except UnicodeEncodeError:
        bars = PLAIN_BARS
    return "".join(bars[int(value * len(bars) / HIGHEST_VALUE)] for value in values)


if __name__ == "__main__":
    sys.exit(main())
