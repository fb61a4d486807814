"""The JSON of a measurement: written once, then spliced into requests without being parsed.

Owns the layout, so everything that writes it or relies on it is here:

    {"name":"...","value":1,"measure_time":1700000000,"source":"..."}

A gauge that samples were folded into has `count`, `sum`, `min`, `max` and `sum_squares` in place
of `value`; a measurement without a time has no `measure_time`. There is no whitespace.

Within a JSON string a quote always follows a backslash. So the bytes of a key with the comma and
the quote before it, such as `,"source":`, occur once: as that key, whatever name and source say.

Pure. Must not know clocks, queues or the network.
"""

from __future__ import annotations

import re
from json.encoder import encode_basestring_ascii as quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["encode", "gauges_body", "measurements_body", "read_time"]

MEASURE_TIME = b',"measure_time":'
SOURCE = b',"source":'
SUM_SQUARES = re.compile(rb',"sum_squares":[^,]*')


def encode(name: str, numbers: Mapping[str, float], measure_time: int | None, source: str) -> bytes:
    """Return the JSON of a measurement.

    Args:
        name: the gauge's.
        numbers: `value`, or the summary of several samples; finite ints and floats.
        measure_time: seconds since the epoch, if it is known.
        source: where the measurement comes from.
    """
    members = ",".join([f'"{key}":{number!r}' for key, number in numbers.items()])
    time = "" if measure_time is None else f',"measure_time":{measure_time}'
    return f'{{"name":{quote(name)},{members}{time},"source":{quote(source)}}}'.encode()


def read_time(measurement: bytes) -> int | None:
    """Return the `measure_time` of a measurement, None if it has none."""
    _, found, rest = measurement.partition(MEASURE_TIME)
    return int(rest.partition(SOURCE)[0]) if found else None


def gauges_body(measurements: Iterable[bytes], properties: bytes) -> bytes:
    """Return the body of a request to `/v1/metrics`, where gauges have a source.

    Args:
        measurements: the JSON of each.
        properties: JSON object of what else each of them gets; not empty.
    """
    end = b"," + properties[1:]
    return b'{"gauges":[' + b",".join([one[:-1] + end for one in measurements]) + b"]}"


def measurements_body(measurements: Iterable[bytes], properties: bytes) -> bytes:
    """Return the body of a request to `/v1/measurements`; see `gauges_body`.

    There the source is a tag, `measure_time` is called `time`, and there is no sum of squares.
    """
    end = b"}," + properties[1:]
    return b'{"measurements":[' + b",".join([_tagged(one) + end for one in measurements]) + b"]}"


def _tagged(measurement: bytes) -> bytes:
    """Return the JSON in the tagged form, without the two brackets at its end."""
    return (
        SUM_SQUARES.sub(b"", measurement[:-1])
        .replace(MEASURE_TIME, b',"time":')
        .replace(SOURCE, b',"tags":{"source":')
    )
