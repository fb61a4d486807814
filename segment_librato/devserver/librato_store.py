"""What the local Librato has been sent: samples, the metrics they made, and the points of a graph.

Must not know HTTP or the rules for a request. Has a lock of its own, as tests read it at any time.
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from segment_librato.devserver.exchange import JsonObject

__all__ = ["LibratoStore", "Sample"]

DEFAULT_PERIOD = 60
PROPERTIES = ("display_name", "description", "period", "attributes")


@dataclass(frozen=True)
class Sample:
    """A measurement as it was sent, or a point of a graph; a single value has the count 1.

    Attributes:
        name: of the gauge.
        source: where it comes from; in the tagged form the tag `source`.
        measure_time: seconds since the epoch; of a point that was aggregated, the start of its
            period.
    """

    name: str
    source: str
    measure_time: int
    count: int
    sum: float
    min: float
    max: float
    sum_squares: float

    @property
    def value(self) -> float:
        """The mean."""
        return self.sum if self.count == 1 else self.sum / self.count


class LibratoStore:
    """The samples and metrics of an account. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._samples: list[Sample] = []
            self._metrics: dict[str, JsonObject] = {}  # by the name in lower case
            self._warnings: list[str] = []

    @property
    def samples(self) -> list[Sample]:
        """The accepted samples, in order of arrival."""
        with self._lock:
            return list(self._samples)

    @property
    def metrics(self) -> dict[str, JsonObject]:
        """The properties of each metric, by its name as it was first spelled."""
        with self._lock:
            return {metric["name"]: dict(metric) for metric in self._metrics.values()}

    @property
    def warnings(self) -> list[str]:
        """What was accepted against advice."""
        with self._lock:
            return list(self._warnings)

    def points(self, name: str) -> dict[str, list[Sample]]:
        """Return what a graph of a gauge shows, for each source, oldest first.

        With the attribute `aggregate`, the samples of one period are one point.
        """
        with self._lock:
            metric = self._metrics.get(name.lower(), {})
            samples = [one for one in self._samples if one.name.lower() == name.lower()]
        if metric.get("attributes", {}).get("aggregate"):
            samples = _aggregate(samples, metric.get("period") or DEFAULT_PERIOD)
        points: dict[str, list[Sample]] = defaultdict(list)
        for sample in sorted(samples, key=lambda one: one.measure_time):
            points[sample.source].append(sample)
        return dict(points)

    def add(self, samples: Iterable[Sample], properties: Iterable[JsonObject]) -> None:
        """Keep samples; the properties sent with each count if it makes the metric."""
        with self._lock:
            for sample, own in zip(samples, properties, strict=True):
                if sample.name.lower() not in self._metrics:
                    self.put(sample.name, own)
                self._samples.append(sample)

    def put(self, name: str, properties: Mapping[str, Any]) -> bool:
        """Set properties of a metric; return whether that made it."""
        with self._lock:
            is_new = name.lower() not in self._metrics
            metric = self._metrics.setdefault(name.lower(), {"name": name, "type": "gauge"})
            given = {key: properties[key] for key in PROPERTIES if key in properties}
            given["attributes"] = {**metric.get("attributes", {}), **given.get("attributes", {})}
            metric.update(given)
            return is_new

    def metric(self, name: str) -> JsonObject:
        """Return the properties of a metric."""
        with self._lock:
            return dict(self._metrics[name.lower()])

    def has(self, name: str) -> bool:
        """Return whether there is a metric of this name."""
        with self._lock:
            return name.lower() in self._metrics

    def warn(self, text: str) -> None:
        """Keep a warning."""
        with self._lock:
            self._warnings.append(text)


def _aggregate(samples: list[Sample], period: int) -> list[Sample]:
    """Return a sample for each source and period."""
    groups: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for sample in samples:
        start = sample.measure_time - sample.measure_time % period
        groups[sample.source, start].append(sample)
    return [
        Sample(
            name=group[0].name,
            source=source,
            measure_time=start,
            count=sum(one.count for one in group),
            sum=math.fsum(one.sum for one in group),
            min=min(one.min for one in group),
            max=max(one.max for one in group),
            sum_squares=math.fsum(one.sum_squares for one in group),
        )
        for (source, start), group in groups.items()
    ]
