"""The mapper: names, values, sources and times, as Segment's own destination makes them."""

from __future__ import annotations

import copy
import json
import math
import re
import time
import warnings
from datetime import datetime, timedelta, timezone
from decimal import Context, Decimal, FloatOperation, localcontext
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from dateutil.parser import isoparse
from hypothesis import example, given, settings
from hypothesis import strategies as st

from segment_librato.librato import Measurement, explain, map_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VECTORS_FILE = Path(__file__).parents[1] / "data" / "librato.jsonl"
VECTORS = [
    pytest.param(case["input"], case["output"], id=f"{case['category']}-{number}")
    for number, case in enumerate(
        map(json.loads, VECTORS_FILE.read_text(encoding="utf-8").splitlines()), start=1
    )
]


def track(**fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": "my-event", **fields}


def measured(**fields: Any) -> Measurement:
    measurement = map_message(track(**fields))
    assert measurement is not None
    return measurement


def value_of(value: Any) -> int | float:
    return measured(properties={"value": value}).value


def time_of(timestamp: Any) -> int | None:
    return measured(timestamp=timestamp).measure_time


def source_of(source: Any) -> str:
    return measured(context={"source": source}).source


# The recorded outputs of Segment's own destination.


@pytest.mark.parametrize("message, output", VECTORS)
def test_a_message_maps_as_in_segments_destination(
    message: dict[str, Any], output: dict[str, Any] | None
) -> None:
    measurement = map_message(message)
    if output is None:
        assert measurement is None
    else:
        assert measurement is not None
        assert measurement.as_dict() == output
        assert not isinstance(measurement.value, bool)
        assert list(measurement.as_dict()) == ["name", "value", "measure_time", "source"]


def test_a_measurement_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        measured().value = 2  # type: ignore[misc]


def test_a_message_may_be_any_mapping() -> None:
    message = MappingProxyType(track(properties=MappingProxyType({"value": 7})))
    assert map_message(message) == Measurement("my-event", 7, None, "my-event")


# Names.


@pytest.mark.parametrize("event", ["all", "All", "ALL"])
def test_the_reserved_name_makes_no_measurement(event: str) -> None:
    assert map_message(track(event=event)) is None


def test_a_letter_that_only_lower_cases_to_ascii_is_not_the_reserved_name() -> None:
    assert measured(event="a\u212a").name == "a-"


@pytest.mark.parametrize(
    "category, name",
    [
        ("c", "Viewed-c-Home-Page"),
        (5, "Viewed-5-Home-Page"),
        (1.5, "Viewed-1.5-Home-Page"),
        (True, "Viewed-true-Home-Page"),
        (0, "Viewed-Home-Page"),
        (False, "Viewed-Home-Page"),
        (["c"], "Viewed-Home-Page"),
    ],
)
def test_a_category_counts_when_it_is_a_string_or_a_number(category: Any, name: str) -> None:
    measurement = map_message({"type": "page", "name": "Home", "category": category})
    assert measurement is not None
    assert measurement.name == name


@pytest.mark.parametrize(
    "name, event", [(5, "Viewed-5-Page"), (7.0, "Viewed-7-Page"), (1.5, "Viewed-1.5-Page")]
)
def test_a_page_whose_name_is_a_number_is_named_by_its_text(name: Any, event: str) -> None:
    measurement = map_message({"type": "page", "name": name})
    assert measurement is not None
    assert measurement.name == event


@pytest.mark.parametrize("name", [0, 0.0, {"a": 1}, [1], False])
def test_a_page_whose_name_is_neither_string_nor_number_is_a_loaded_page(name: Any) -> None:
    measurement = map_message({"type": "page", "name": name})
    assert measurement is not None
    assert measurement.name == "Loaded-a-Page"


# Values.


@pytest.mark.parametrize(
    "value, number",
    [
        (2**53 + 1, 9007199254740993),
        ("9007199254740993", 9007199254740993),
        ("9007199254740993.0", 9007199254740993),
        (Decimal(9007199254740993), 9007199254740993),
        (Decimal("2.50"), 2.5),
        (Decimal("1E+3"), 1000),
        (Decimal("1E-999999999"), 0.0),
        (2.0, 2.0),
        ("3", 3),
        ("3.0", 3),
        ("+2.5e1", 25),
        (".5", 0.5),
        ("5.", 5),
        ("-0", 0),
        ("1e-400", 0),
        ("0e99999999999999999999", 0),
        ("1e-99999999999999999999", 0),
        pytest.param("0" * 5000 + "1", 1, id="many zeros"),
        (1e126, 1e126),
        (10**126, 10**126),
        (-(10**126), -(10**126)),
    ],
)
def test_a_number_keeps_its_value(value: Any, number: float) -> None:
    assert value_of(value) == number
    assert type(value_of(value)) is type(number)


def test_a_value_of_an_integer_enumeration_becomes_a_plain_integer() -> None:
    class Level(int, Enum):
        HIGH = 3

    assert type(value_of(Level.HIGH)) is int


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        math.nextafter(1e126, math.inf),
        10**126 + 1,
        pytest.param(-(10**5000), id="huge"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("-Infinity"),
        Decimal("1E+999999999"),
        "1e127",
        "-1e400",
        "1e99999999999999999999",
        pytest.param("9" * 5000, id="many nines"),
        pytest.param("1" * 30_000 + "x", id="many ones"),
        "1 000",
        "1e",
        "e5",
        ".",
        "+-1",
        "1.2.3",
        "12abc",
    ],
)
def test_a_value_that_librato_would_reject_makes_no_measurement(value: Any) -> None:
    assert map_message(track(properties={"value": value})) is None


def test_the_decimal_context_of_the_thread_has_no_say() -> None:
    traps_everything = Context(prec=1, Emax=1, Emin=-1, traps=[FloatOperation])
    with localcontext(traps_everything) as context:
        assert value_of(Decimal("123456.75")) == 123456.75
        assert value_of("123456789012345678901") == 123456789012345678901
        assert source_of(10**30) == "1" + "0" * 30
        assert not any(context.flags.values())


# Sources.


@pytest.mark.parametrize(
    "source, text",
    [
        (42, "42"),
        (-1, "-1"),
        (1.5, "1.5"),
        (2.0, "2"),
        (1e300, "1e-300"),
        (Decimal("4.2"), "4.2"),
        pytest.param(10**5000, "1" + "0" * 254, id="huge"),
        ("ALL", "my-event"),
        (0, "my-event"),
        (-0.0, "my-event"),
        (math.nan, "my-event"),
        (math.inf, "my-event"),
        (True, "my-event"),
        ("\U0001f600" * 200, "-" * 255),
    ],
)
def test_a_source_is_a_string_or_a_number_as_text(source: Any, text: str) -> None:
    assert source_of(source) == text


def test_a_reserved_source_falls_through_to_the_next_rule() -> None:
    integrations = {"Librato": {"source": "All"}}
    assert measured(integrations=integrations, context={"source": "web"}).source == "web"


# Times.


@pytest.mark.parametrize(
    "timestamp, seconds",
    [
        (-0.5, -1),
        (-1, -1),
        ("-100", -100),
        ("-1.5", -2),
        ("10", 10),
        (" 1388534400 ", 1388534400),
        ("1388534400.99999999999999999999", 1388534400),
        (Decimal("1388534400.99999999999999999999"), 1388534400),
        ("1710101012000", 1710101012),
        (31_557_600_000, 31_557_600),
        (31_557_599_999.5, 31_557_599_999),
        (253_402_300_799_999, 253_402_300_799),
        (-62_135_596_800, -62_135_596_800),
        ("20140101", 1388534400),
        ("May 2014", 1398902400),
        ("Wed, 01 Jan 2014 00:00:00 GMT", 1388534400),
        ("2014-01-01T00:00:00+0530", 1388514600),
        ("2014-01-01T00:00:00-00:00", 1388534400),
        ("01/02/14", 1388620800),
        ("01/02/68", 3092688000),
        ("01/02/75", 157852800),
    ],
)
def test_a_time_is_read_in_whole_seconds(timestamp: Any, seconds: int) -> None:
    assert time_of(timestamp) == seconds


@pytest.mark.parametrize(
    "timestamp",
    [
        253_402_300_800_000,
        -62_135_596_801,
        pytest.param(10**5000, id="huge"),
        math.nan,
        math.inf,
        Decimal("1E+999999999"),
        "1e99999999999999999999",
        "soon",
        "2014-01-01T24:00:01Z",
        "9999-12-31T24:00:00Z",
        "2014-01-01T10:00:00+99:00",
        "2014-01-01T10:00:00+99999999999999",
        "+002014-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        pytest.param("9" * 5000, id="many nines"),
        "\ud83d",
        {"a": 1},
        b"2014",
    ],
)
def test_an_unreadable_time_is_left_to_librato(timestamp: Any) -> None:
    assert time_of(timestamp) is None


@pytest.mark.parametrize(
    "timestamp, midnight",
    [
        ("2014-09-03T24:00:00Z", "2014-09-04T00:00:00Z"),
        ("2014-09-03T24:00:00.000Z", "2014-09-04T00:00:00Z"),
        ("2014-12-31 24:00", "2015-01-01T00:00:00Z"),
        ("2014-12-31T24:00:00+02:00", "2015-01-01T00:00:00+02:00"),
    ],
)
def test_24_o_clock_is_the_next_midnight(timestamp: str, midnight: str) -> None:
    assert time_of(timestamp) == time_of(midnight) is not None


@pytest.mark.parametrize("timestamp", ["10:00", "May", "5 May", "Friday", "Feb 29", "10:00 UTC"])
def test_a_date_without_a_year_is_not_filled_from_today(timestamp: str) -> None:
    assert time_of(timestamp) is None


def test_an_unknown_zone_is_unreadable_and_warns_nobody() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert time_of("2014-01-01 10:00 XYZ") is None
    assert caught == []


@pytest.fixture
def set_time_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def set_zone(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize(
    "timestamp, seconds",
    [
        ("2014-01-01T10:00:00", 1388570400),
        ("2014", 1388534400),
        ("2014-01-01 10:00 EST", None),
        ("2014-01-01 10:00 IST", None),
        ("2014-01-01 10:00 UTC", 1388570400),
        ("10:00 EST", None),
    ],
)
def test_the_time_zone_of_the_machine_has_no_say(
    set_time_zone: Callable[[str], None], zone: str, timestamp: str, seconds: int | None
) -> None:
    set_time_zone(zone)
    assert time_of(timestamp) == seconds


@given(
    moment=st.datetimes(timezones=st.just(timezone.utc)),
    digits=st.sampled_from(["seconds", "milliseconds", "microseconds"]),
    zone=st.sampled_from(["Z", "+00:00", "+05:45", "-11:30"]),
)
def test_a_time_in_wire_form_reads_as_dateutil_reads_it(
    moment: datetime, digits: str, zone: str
) -> None:
    text = moment.replace(tzinfo=None).isoformat(timespec=digits) + zone
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert time_of(text) == (isoparse(text) - epoch) // timedelta(seconds=1)


# Explanations.


@pytest.mark.parametrize(
    "message, reason",
    [
        ({}, "its type is not track, page or screen"),
        ({"type": "identify"}, "its type is not track, page or screen"),
        ({"type": ["track"]}, "its type is not track, page or screen"),
        ({"type": "track", "event": 5}, "its event is not a string"),
        (track(event=""), "its event is empty"),
        (track(event="ALL"), "its event is all, a name that Librato reserves"),
        (track(integrations={"All": False}), "Librato is switched off for this message"),
        (track(context={"Librato": False}), "Librato is switched off for this message"),
        (
            track(properties={"value": True}),
            "its properties.value is neither a finite number nor the text of one",
        ),
        (
            track(properties={"value": 1e127}),
            "its properties.value exceeds 1e126 in magnitude",
        ),
    ],
)
def test_an_explanation_says_why_there_is_no_measurement(
    message: dict[str, Any], reason: str
) -> None:
    assert map_message(message) is None
    assert explain(message) == f"No measurement: {reason}."


@pytest.mark.parametrize(
    "fields, source, origin",
    [
        ({"integrations": {"Librato": {"source": "a"}}}, "a", "integrations.Librato.source"),
        ({"context": {"librato": {"source": "b"}}}, "b", "context.Librato.source"),
        ({"context": {"Source": "c"}}, "c", "context.source"),
        ({}, "my-event", "the event name"),
    ],
)
def test_an_explanation_says_where_the_source_comes_from(
    fields: dict[str, Any], source: str, origin: str
) -> None:
    assert explain(track(properties={"value": "2.5"}, **fields)) == (
        f"Gauge my-event takes the value 2.5 with the source {source}, from {origin}."
    )


# Any message at all.


class Hostile:
    """An object that objects to everything."""

    def _reject(self, *_: object) -> Any:
        raise RuntimeError("leave me alone")

    __eq__ = __bool__ = __str__ = __float__ = __int__ = __len__ = __iter__ = _reject
    __hash__ = __lt__ = __getitem__ = __contains__ = _reject

    def __deepcopy__(self, _: dict[int, Any]) -> Hostile:
        return self


texts = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(
    ["all", "ALL", "3", "1e500", "2014", "10:00", "2014-01-01T00:00:00Z", "\ud83d", "a" * 300]
)
numbers = (
    st.integers()
    | st.integers(min_value=10**125, max_value=10**127)
    | st.builds(lambda: 10**5000)
    | st.floats()
    | st.decimals(allow_nan=True, allow_infinity=True)
)
scalars = st.none() | st.booleans() | numbers | texts
odd_objects = st.builds(Hostile) | st.binary(max_size=3) | st.dates() | st.just(object)
keys = st.sampled_from(
    [
        "all",
        "All",
        "Librato",
        "librato",
        "Li-brato",
        "source",
        "Source",
        "so_urce",
        "value",
        "VALUE",
    ]
) | st.one_of(texts, st.integers(), st.floats(), st.booleans(), st.none(), st.binary(max_size=2))
anything = st.recursive(
    scalars | odd_objects,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3) | st.tuples(inner)
    ),
    max_leaves=6,
)
objects = st.dictionaries(keys, st.dictionaries(keys, anything, max_size=2) | anything, max_size=4)
field_names = ["event", "name", "category", "timestamp", "properties", "context", "integrations"]
messages = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["track", "page", "screen"]) | anything,
        **dict.fromkeys(field_names, texts | anything | objects),
    },
)
settings_objects = st.dictionaries(
    st.sampled_from(["all", "ALL", "Librato", "librato", "Li-brato", "source", "So urce"]),
    st.fixed_dictionaries({"source": scalars}) | scalars,
    max_size=3,
)
plausible_messages = st.fixed_dictionaries(
    {"type": st.sampled_from(["track", "page", "screen"]), "event": texts, "name": texts},
    optional={
        "timestamp": scalars,
        "properties": st.dictionaries(st.sampled_from(["value", "Val ue"]), scalars),
        "context": settings_objects,
        "integrations": settings_objects,
    },
)


def assert_librato_accepts(measurement: Measurement) -> None:
    for text, alphabet in (
        (measurement.name, r"[A-Za-z0-9._\-]{1,255}"),
        (measurement.source, r"[A-Za-z0-9.:_\-]{1,255}"),
    ):
        assert type(text) is str
        assert re.fullmatch(alphabet, text)
        assert text not in {"all", "All", "aLl", "alL", "ALl", "AlL", "aLL", "ALL"}
    assert type(measurement.value) in {int, float}
    assert abs(float(measurement.value)) <= 1e126
    assert measurement.measure_time is None or type(measurement.measure_time) is int
    assert json.loads(json.dumps(measurement.as_dict(), allow_nan=False)) == measurement.as_dict()


@settings(deadline=None)
@given(message=plausible_messages | messages | objects)
@example(message={"type": Hostile(), "event": Hostile()})
@example(message=track(properties=Hostile(), context=Hostile(), integrations=Hostile()))
@example(message={None: 1, 2: 3, **track(context={None: 1, b"source": 2, 1.5: 3})})
def test_any_message_makes_a_measurement_that_librato_accepts_or_none(
    message: dict[Any, Any],
) -> None:
    before = copy.deepcopy(message)
    measurement = map_message(message)
    sentence = explain(message)
    assert message == before
    assert map_message(before) == measurement
    assert explain(before) == sentence
    assert (measurement is None) == sentence.startswith("No measurement: ")
    assert sentence.isascii()
    assert sentence.endswith(".")
    if measurement is not None:
        assert_librato_accepts(measurement)


@pytest.mark.parametrize("field", [*field_names, "type"])
def test_nesting_of_any_depth_is_harmless(field: str) -> None:
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    explanation = explain(track(**{field: {"value": nested, "source": nested, "all": nested}}))
    assert explanation.endswith(".")


def test_a_text_too_long_for_a_time_is_given_up_at_once() -> None:
    message = {"type": "track", "event": "e", "timestamp": "1 " * 16_000}
    measurement = map_message(message)
    assert measurement is not None
    assert measurement.measure_time is None


# Where a source may come from besides `integrations`.


@pytest.mark.parametrize(
    "message, source",
    [
        ({"context": {"providers": {"Librato": {"source": "web-1"}}}}, "web-1"),
        ({"context": {"providers": {"librato": {"source": "web-1"}}}}, "web-1"),
        ({"context": {"providers": {"Librato": {}}, "Librato": {"source": "web-1"}}}, "event"),
        (
            {"context": {"providers": {"Librato": {"source": "web-1"}}}, "integrations": {}},
            "event",
        ),
        (
            {"context": {"librato": {"source": "folded"}, "Librato": {"source": "exact"}}},
            "exact",
        ),
        ({"context": {"librato": {"source": "folded"}, "Librato": None}}, "folded"),
        ({"context": {"librato": {"source": "folded"}, "Librato": {}}}, "event"),
    ],
)
def test_providers_stand_in_for_integrations_and_the_exact_spelling_wins(
    message: dict[str, Any], source: str
) -> None:
    measurement = map_message({"type": "track", "event": "event", **message})
    assert measurement is not None
    assert measurement.source == source
