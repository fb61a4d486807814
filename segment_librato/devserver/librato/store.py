"""`LibratoStore`: the metrics and samples that Librato's part of the server has kept.

Owns this state, and the responses that depend on it. Must not know sockets, or what makes a
request valid.
"""

from __future__ import annotations

from collections import deque
from copy import deepcopy
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from segment_librato.devserver.http.exchange import InvalidRequestError, JsonObject, Response
from segment_librato.devserver.librato.api import (
    LibratoVerdict,
    Lookup,
    Update,
    build_rejection,
)
from segment_librato.devserver.librato.rules import find_excess
from segment_librato.devserver.librato.samples import Point, Sample, arrange

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["LibratoStore"]

DEFAULT_PERIOD = 60
LIMITED_METRICS = 10_000
NO_SOURCE = "unassigned"


class LibratoStore:
    """The metrics, samples and warnings since the start, or the last `clear`.

    Names of metrics and sources ignore case, and are shown as they first came. Everything
    returned is a copy. It can be read from any thread at any time; `settle`, `accept` and `clear`
    are for the server, which calls them with the lock held.
    """

    def __init__(self, lock: AbstractContextManager[object], limit: int | None = None) -> None:
        """Make an empty store.

        Args:
            lock: a re-entrant lock, that of the server's whole state.
            limit: how many samples are kept, the newest; None: all. `LIMITED_METRICS` metrics are
                kept then.
        """
        self._lock = lock
        self._limit = limit
        self.clear()

    @property
    def samples(self) -> list[Sample]:
        """The accepted samples as received, in order of arrival."""
        with self._lock:
            return list(self._samples)

    @property
    def metrics(self) -> dict[str, JsonObject]:
        """The properties of each metric, by its name."""
        with self._lock:
            return {metric["name"]: deepcopy(metric) for metric in self._metrics.values()}

    def find(self, name: str) -> JsonObject | None:
        """Return the properties of a metric; None if it is unknown."""
        with self._lock:
            return deepcopy(self._metrics.get(name.lower()))

    @property
    def warnings(self) -> list[str]:
        """A text for each accepted request that was larger than advised."""
        with self._lock:
            return list(self._warnings)

    def points(self, name: str) -> dict[str, list[Point]]:
        """Return the points of each source of a metric, in the order of time; none if unknown.

        While the metric has the attribute `aggregate`, the samples of a period are one point.
        Measurements without a source are those of the source "".
        """
        with self._lock:
            return self._arrange(name, no_source="")

    def count(self) -> dict[str, int]:
        """Return the number of samples."""
        return {"samples": len(self._samples)}

    def clear(self) -> None:
        """Forget everything."""
        self._samples: deque[Sample] = deque(maxlen=self._limit)
        self._metrics: dict[str, JsonObject] = {}  # by name in lower case; never changed in place
        self._warnings: deque[str] = deque(maxlen=self._limit)

    def settle(self, verdict: LibratoVerdict) -> LibratoVerdict:
        """Return the verdict with the response to its command; a rejected one has no command."""
        try:
            if isinstance(verdict.command, Lookup):
                return replace(verdict, response=self._look_up(verdict.command.name))
            if isinstance(verdict.command, Update):
                return replace(verdict, response=self._respond_to_update(verdict.command))
        except InvalidRequestError as rejection:
            request = replace(verdict.request, rejection=rejection.text)
            return LibratoVerdict(request, build_rejection(rejection))
        return verdict

    def accept(self, verdict: LibratoVerdict) -> tuple[Sample, ...]:
        """Apply a settled verdict, and return the samples that are kept."""
        if isinstance(verdict.command, Update):
            self._put(self._update(verdict.command))
        for sample, properties in verdict.entries:
            if sample.name.lower() not in self._metrics:
                self._put(_merge(_new_metric(sample.name), properties))
        samples = tuple(entry.sample for entry in verdict.entries)
        self._samples += samples
        if excess := find_excess(len(samples)):
            self._warnings.append(excess)
        return samples

    def _put(self, metric: JsonObject) -> None:
        self._metrics[metric["name"].lower()] = metric
        if self._limit is not None and len(self._metrics) > LIMITED_METRICS:
            del self._metrics[next(iter(self._metrics))]

    def _update(self, command: Update) -> JsonObject:
        """Return the metric as it is after the command."""
        metric = self._metrics.get(command.name.lower()) or _new_metric(command.name)
        return _merge(metric, command.properties)

    def _respond_to_update(self, command: Update) -> Response:
        if command.name.lower() in self._metrics:
            return Response(204)
        if not command.creates:
            raise InvalidRequestError(404, "there is no such metric, and no type to create it")
        metric = self._update(command)
        location = {"Location": f"/v1/metrics/{metric['name']}"}
        return replace(Response.of_json(201, metric), headers=location)

    def _look_up(self, name: str | None) -> Response:
        if name is None:
            metrics = list(self._metrics.values())
            size = len(metrics)
            query = {"found": size, "length": size, "offset": 0, "total": size}
            return Response.of_json(200, {"query": query, "metrics": metrics})
        metric = self._metrics.get(name.lower())
        if metric is None:
            raise InvalidRequestError(404, "there is no such metric")
        measurements = {
            source: [_describe(point) for point in points]
            for source, points in self._arrange(name, NO_SOURCE).items()
        }
        return Response.of_json(200, {**metric, "measurements": measurements})

    def _arrange(self, name: str, no_source: str) -> dict[str, list[Point]]:
        """Return the points of a metric; a missing source is called `no_source`."""
        metric = self._metrics.get(name.lower())
        if metric is None:
            return {}
        samples = [
            replace(sample, source=sample.source or no_source)
            for sample in self._samples
            if sample.name.lower() == name.lower()
        ]
        aggregates = metric["attributes"].get("aggregate", False)
        return arrange(samples, (metric["period"] or DEFAULT_PERIOD) if aggregates else None)


def _new_metric(name: str) -> JsonObject:
    return {
        "name": name,
        "display_name": None,
        "description": None,
        "type": "gauge",
        "period": None,
        "attributes": {},
    }


def _merge(metric: JsonObject, properties: JsonObject) -> JsonObject:
    """Return the metric with new properties; attributes that are not named stay as they are."""
    attributes = {**metric["attributes"], **properties.get("attributes", {})}
    return {**metric, **properties, "attributes": attributes}


def _describe(point: Point) -> JsonObject:
    return {**asdict(point), "value": point.value}
