"""The JSON of a measurement: what writes it and what reads it without parsing agree."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from segment_librato.gauge_delivery.wire import (
    encode,
    gauges_body,
    measurements_body,
    read_time,
)

KEYS = [',"measure_time":1', ',"source":"x"}', ',"sum_squares":2,"', '"', "\\", '\\",', "{}[],:"]
TEXTS = st.text() | st.lists(st.sampled_from(KEYS)).map("".join)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
STATISTICS = ("count", "sum", "min", "max", "sum_squares")
MEASUREMENTS = st.tuples(
    TEXTS,
    st.fixed_dictionaries({"value": NUMBERS})
    | st.fixed_dictionaries(dict.fromkeys(STATISTICS, NUMBERS)),
    st.none() | st.integers(),
    TEXTS,
)
PROPERTIES = {"period": 60, "attributes": {"a": ',"source":"', "source": 1, "measure_time": 2}}
ENCODED_PROPERTIES = json.dumps(PROPERTIES).encode()

Measurement = tuple[str, dict[str, float], int | None, str]


def as_dict(name: str, numbers: dict[str, float], time: int | None, source: str) -> dict[str, Any]:
    times = {} if time is None else {"measure_time": time}
    return {"name": name, **numbers, **times, "source": source}


def as_tagged(measurement: dict[str, Any]) -> dict[str, Any]:
    rest = {**measurement, "tags": {"source": measurement["source"]}}
    del rest["source"]
    rest.pop("sum_squares", None)
    if "measure_time" in rest:
        rest["time"] = rest.pop("measure_time")
    return rest


@given(MEASUREMENTS)
@example(("a", {"value": 1}, None, "b"))
def test_it_is_the_compact_json_of_its_members(measurement: Measurement) -> None:
    expected = json.dumps(as_dict(*measurement), separators=(",", ":"))
    assert encode(*measurement).decode() == expected


@given(MEASUREMENTS)
def test_the_time_is_found_whatever_the_texts_say(measurement: Measurement) -> None:
    assert read_time(encode(*measurement)) == measurement[2]


@given(st.lists(MEASUREMENTS, max_size=4))
def test_a_body_is_what_parsing_and_encoding_again_would_make(
    measurements: list[Measurement],
) -> None:
    encoded = [encode(*one) for one in measurements]
    gauges = [{**as_dict(*one), **PROPERTIES} for one in measurements]
    tagged = [{**as_tagged(as_dict(*one)), **PROPERTIES} for one in measurements]
    assert json.loads(gauges_body(encoded, ENCODED_PROPERTIES)) == {"gauges": gauges}
    body = measurements_body(encoded, ENCODED_PROPERTIES)
    assert json.loads(body) == {"measurements": tagged}


def test_both_bodies_byte_by_byte() -> None:
    sample = encode("a", {"value": 1.5}, 60, "b")
    folded = encode("a", {"count": 2, "sum": 3, "sum_squares": 5}, None, "b")
    properties = b'{"period":60}'
    assert gauges_body([sample, folded], properties) == (
        b'{"gauges":[{"name":"a","value":1.5,"measure_time":60,"source":"b","period":60},'
        b'{"name":"a","count":2,"sum":3,"sum_squares":5,"source":"b","period":60}]}'
    )
    assert measurements_body([sample, folded], properties) == (
        b'{"measurements":[{"name":"a","value":1.5,"time":60,"tags":{"source":"b"},"period":60},'
        b'{"name":"a","count":2,"sum":3,"tags":{"source":"b"},"period":60}]}'
    )
