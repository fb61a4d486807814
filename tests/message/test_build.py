"""The six messages: as the incumbent makes them, what is rejected, and what time it was."""

from __future__ import annotations

import copy
import json
import re
import time
from collections import OrderedDict, UserString
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from inspect import signature
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from dateutil.parser import isoparse
from hypothesis import given
from hypothesis import strategies as st
from support.stand_ins import STAND_INS, Unbound, Wrapped

from segment_librato import Client, ValidationError, __version__
from segment_librato.message.build import add_track_fields, build
from segment_librato.message.fields import MAX_MESSAGE_BYTES, Message, warn_of_nameless_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segment_librato.devserver import LocalSegment

NOW = 1_774_353_600.0  # 2026-03-24T12:00:00Z
IDENTITY = {"user_id": "user-1"}
MINIMAL: dict[str, dict[str, Any]] = {
    "track": {**IDENTITY, "event": "Signed Up"},
    "identify": IDENTITY,
    "group": {**IDENTITY, "group_id": "group-1"},
    "alias": {**IDENTITY, "previous_id": "previous-1"},
    "page": IDENTITY,
    "screen": IDENTITY,
}
ZONES = ["UTC", "America/Los_Angeles", "Asia/Kolkata", "Europe/Berlin", "Pacific/Kiritimati"]
OUTPUT_FORMAT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")
MILLISECOND = timedelta(milliseconds=1)

client = Client("test-key", send=False)


def call(name: str, /, **arguments: Any) -> Message:
    accepted, message = getattr(client, name)(**{**MINIMAL[name], **arguments})
    assert accepted
    return message  # type: ignore[no-any-return]


def rejection(name: str, /, **arguments: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        call(name, **arguments)
    error = caught.value
    assert error.__context__ is None or error.__suppress_context__
    assert str(error) == error.message
    return error.message


def timestamp_of(value: Any, now: float = NOW) -> str:
    message = build("track", "user", None, None, value, None, "id", now=now)
    text = message["timestamp"]
    assert type(text) is str
    assert OUTPUT_FORMAT.fullmatch(text)
    return text


def moment_of(value: Any, now: float = NOW) -> datetime:
    return datetime.fromisoformat(timestamp_of(value, now))


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run in each of the time zones."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.fixture
def use_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def use(name: str) -> None:
        patch.setenv("TZ", name)
        time.tzset()

    with monkeypatch.context() as patch:
        yield use
    time.tzset()


# Messages as segment-analytics-python 2.4.0 was recorded to make them.

TAGS: dict[str, Callable[[Any], Any]] = {
    "$datetime": isoparse,  # Python 3.10 cannot read all of them
    "$date": date.fromisoformat,
    "$decimal": Decimal,
    "$tuple": tuple,
}


def revive(content: dict[str, Any]) -> Any:
    """Return the value that a tag such as {"$date": "2014-09-03"} stands for."""
    if len(content) == 1 and (tag := next(iter(content))) in TAGS:
        return TAGS[tag](content[tag])
    return content


RECORDED = [
    pytest.param(json.loads(line, object_hook=revive), id=f"{number}-{json.loads(line)['call']}")
    for number, line in enumerate(
        (Path(__file__).parents[1] / "data" / "messages.jsonl")
        .read_text(encoding="utf-8")
        .splitlines(),
        start=1,
    )
]


@pytest.mark.parametrize("case", RECORDED)
def test_a_message_is_made_as_recorded(case: dict[str, Any]) -> None:
    accepted, message = getattr(client, case["call"])(*case["args"], **case["kwargs"])
    assert accepted
    assert message["context"].pop("library") == {
        "name": "segment-librato",
        "version": __version__,
    }
    assert json.loads(json.dumps(message)) == case["output"]
    assert message.keys() == case["output"].keys()


def test_the_recording_covers_all_calls() -> None:
    assert {case.values[0]["call"] for case in RECORDED} == set(MINIMAL)  # type: ignore[index]


# What all calls share.


@pytest.mark.parametrize("name", MINIMAL)
def test_a_message_without_an_id_gets_a_random_uuid(name: str) -> None:
    ids = [call(name)["messageId"], call(name)["messageId"]]
    assert [UUID(text).version for text in ids] == [4, 4]
    assert ids[0] != ids[1]


@pytest.mark.parametrize("name", MINIMAL)
def test_a_message_without_a_timestamp_is_of_now(name: str) -> None:
    before = datetime.now(timezone.utc) - MILLISECOND
    text = call(name)["timestamp"]
    assert OUTPUT_FORMAT.fullmatch(text)
    assert before <= datetime.fromisoformat(text) <= datetime.now(timezone.utc)


def test_building_is_pure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        pytest.fail("the clock or a random number was asked for")

    monkeypatch.setattr("time.time", fail)
    monkeypatch.setattr("uuid.uuid4", fail)
    arguments: tuple[Any, ...] = (1, "anonymous", {"b": {}}, None, {"All": True}, "id")
    properties = {"a": [1]}
    before = copy.deepcopy((arguments, properties))
    first, second = (build("track", *arguments, now=NOW) for _ in range(2))
    for message in (first, second):
        add_track_fields(message, "event", properties)
    assert first == second
    assert (arguments, properties) == before
    assert first["timestamp"] == "2026-03-24T12:00:00.000+00:00"


@pytest.mark.parametrize("name", MINIMAL)
@pytest.mark.parametrize("message_id", ["x", "x" * 99, 0, 10**98, uuid4(), Decimal("1.0")])
def test_a_message_id_of_up_to_99_characters_is_kept(name: str, message_id: Any) -> None:
    assert call(name, message_id=message_id)["messageId"] == str(message_id)


@pytest.mark.parametrize("message_id, length", [("", 0), ("x" * 100, 100), (10**99, 100)])
def test_a_message_id_of_another_length_is_rejected(message_id: Any, length: int) -> None:
    text = rejection("track", message_id=message_id)
    assert text == f"message_id: expected 1 to 99 characters, got {length}"


def test_an_event_name_may_have_255_characters() -> None:
    assert call("track", event="ü" * 255)["event"] == "ü" * 255
    text = rejection("track", event="ü" * 256)
    assert text == "event: expected at most 255 characters, got 256"


def test_an_event_may_be_a_member_of_an_enum_of_texts() -> None:
    class Event(str, Enum):
        SIGNED_UP = "Signed Up"

    assert call("track", event=Event.SIGNED_UP)["event"] == "Signed Up"


@pytest.mark.parametrize("name", MINIMAL)
def test_the_library_in_the_context_is_ours_and_the_rest_is_kept(name: str) -> None:
    context = call(name, context={"library": "mine", "ip": "192.0.2.1"})["context"]
    assert context == {
        "library": {"name": "segment-librato", "version": __version__},
        "ip": "192.0.2.1",
    }


@pytest.mark.parametrize("mapping", [OrderedDict(a=1), MappingProxyType({"a": 1})])
@pytest.mark.parametrize(
    "name, field",
    [("track", "properties"), ("identify", "traits"), ("page", "context"), ("group", "traits")],
)
def test_any_mapping_is_taken_for_a_dict(name: str, field: str, mapping: Any) -> None:
    assert call(name, **{field: mapping})[field]["a"] == 1


# The dicts of the application.


@pytest.mark.parametrize("name", MINIMAL)
def test_no_argument_is_written_to(name: str) -> None:
    arguments: dict[str, Any] = {
        "context": {"library": {"name": "mine"}, "page": {"url": "/"}, "when": date(2026, 1, 1)},
        "integrations": {"Librato": {"enabled": True}},
    }
    field = {"track": "properties", "page": "properties", "screen": "properties"}.get(
        name, "traits"
    )
    if name != "alias":
        arguments[field] = {"nested": {"list": [1, {"amount": Decimal(1)}]}, "price": float("nan")}
    before = repr(arguments)
    call(name, **arguments)
    assert repr(arguments) == before


def test_changes_after_the_call_do_not_reach_the_server(
    make_client: Callable[..., Client], server: LocalSegment
) -> None:
    sender = make_client(upload_interval=60)
    properties: dict[str, Any] = {"nested": {"list": [1]}, "odd": {1: {2}}}
    context: dict[str, Any] = {"page": {"url": "/"}}
    _, returned = sender.track("user-1", "Signed Up", properties, context)
    properties["nested"]["list"].append(2)
    properties["odd"][1].add(3)
    context["page"]["url"] = "/changed"
    context["added"] = True
    returned["event"] = "changed"
    returned["integrations"]["All"] = False
    assert sender.flush(30)
    (received,) = server.messages
    assert received["event"] == "Signed Up"
    assert received["properties"] == {"nested": {"list": [1]}, "odd": {"1": [2]}}
    assert received["context"].keys() == {"page", "library"}
    assert received["context"]["page"] == {"url": "/"}
    assert received["integrations"] == {}


def test_changing_a_returned_message_changes_no_later_one() -> None:
    returned = call("track")
    returned["context"]["library"]["name"] = "changed"
    assert call("track")["context"]["library"]["name"] == "segment-librato"


# Identifiers.


class Plan(str, Enum):
    PRO = "pro"


class Color(Enum):
    RED = "red"


@pytest.mark.parametrize(
    "value, text",
    [
        ("user", "user"),
        (0, "0"),
        (-1, "-1"),
        (157_963_456_373_623_802, "157963456373623802"),
        (10**400, str(10**400)),
        (1.5, "1.5"),
        (0.0, "0.0"),
        (Decimal("12.50"), "12.50"),
        (Fraction(1, 3), "1/3"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Plan.PRO, "pro"),
        (np.int64(7), "7"),
        (np.float64(1.5), "1.5"),
        (np.str_("numpy"), "numpy"),
        ("nan", "nan"),
        ("null", "null"),
        (" ", " "),
    ],
)
def test_the_identifiers_of_a_user_are_sent_as_text(value: Any, text: str) -> None:
    assert call("track", user_id=value)["userId"] == text
    assert call("identify", user_id=None, anonymous_id=value)["anonymousId"] == text
    assert call("alias", user_id=value, previous_id=1)["userId"] == text


@pytest.mark.parametrize(
    "value, sent",
    [
        ("group", "group"),
        (0, 0),
        (157_963_456_373_623_802, 157_963_456_373_623_802),
        (1.5, 1.5),
        (Decimal("12.50"), "12.50"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Plan.PRO, "pro"),
    ],
)
def test_a_number_stays_one_in_the_other_identifiers(value: Any, sent: object) -> None:
    """As segment-analytics-python has it."""
    assert call("group", group_id=value)["groupId"] == sent
    assert call("alias", user_id="user", previous_id=value)["previousId"] == sent


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        np.True_,
        b"user",
        ["user"],
        {"id": "user"},
        object(),
        3j,
        datetime(2026, 1, 1, tzinfo=timezone.utc),
        Color.RED,
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_identifier_of_a_wrong_type_is_rejected(value: Any) -> None:
    kind = type(value).__name__
    ending = f": expected a str or a number, got {kind}"
    assert rejection("track", user_id=value) == "user_id" + ending
    assert rejection("page", anonymous_id=value) == "anonymous_id" + ending
    assert rejection("group", group_id=value) == "group_id" + ending
    assert rejection("alias", previous_id=value) == "previous_id" + ending
    assert rejection("alias", user_id=value) == "user_id" + ending
    assert rejection("screen", message_id=value) == "message_id" + ending


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("-inf"),
        Decimal("NaN"),
        Decimal("-sNaN"),
        Decimal("Infinity"),
        np.float32("nan"),
        np.float64("inf"),
    ],
    ids=repr,
)
def test_a_number_that_is_none_is_no_identifier(value: Any) -> None:
    ending = ": expected a finite number, got NaN or infinity"
    assert rejection("track", user_id=value) == "user_id" + ending
    assert rejection("track", anonymous_id=value) == "anonymous_id" + ending
    assert rejection("group", group_id=value) == "group_id" + ending
    assert rejection("alias", previous_id=value) == "previous_id" + ending
    assert rejection("track", message_id=value) == "message_id" + ending


def test_a_number_that_cannot_be_printed_is_no_identifier() -> None:
    assert rejection("track", user_id=10**5_000) == "user_id: its str() raised ValueError"


@pytest.mark.parametrize("name", ["track", "identify", "group", "page", "screen"])
@pytest.mark.parametrize("user_id", [None, ""])
@pytest.mark.parametrize("anonymous_id", [None, ""])
def test_one_of_the_two_identifiers_is_needed(
    name: str, user_id: str | None, anonymous_id: str | None
) -> None:
    text = rejection(name, user_id=user_id, anonymous_id=anonymous_id)
    assert text.startswith("user_id or anonymous_id: expected a non-empty str or a number, got ")


@pytest.mark.parametrize(
    "name, field",
    [("group", "group_id"), ("alias", "previous_id"), ("alias", "user_id")],
)
def test_the_identifiers_of_group_and_alias_are_needed(name: str, field: str) -> None:
    assert rejection(name, **{field: None}) == f"{field}: expected a str or a number, got NoneType"


def test_both_identifiers_are_sent_when_both_are_given() -> None:
    message = call("track", user_id=0, anonymous_id=0)
    assert (message["userId"], message["anonymousId"]) == ("0", "0")


# Other fields.

SECRET = "payload-that-must-not-show"  # noqa: S105  not a real one
DICTS = [
    ("track", "properties"),
    ("page", "properties"),
    ("screen", "properties"),
    ("identify", "traits"),
    ("group", "traits"),
    *((name, "context") for name in MINIMAL),
    *((name, "integrations") for name in MINIMAL),
]


@pytest.mark.parametrize("name, field", DICTS)
@pytest.mark.parametrize(
    "value",
    [SECRET, [SECRET], {SECRET}, 1, True, b"{}", [("a", 1)], pytest.param(object(), id="object")],
    ids=repr,
)
def test_a_field_that_is_no_dict_is_rejected(name: str, field: str, value: Any) -> None:
    kind = type(value).__name__
    assert rejection(name, **{field: value}) == f"{field}: expected a dict or None, got {kind}"


@pytest.mark.parametrize("name", ["page", "screen"])
@pytest.mark.parametrize("field", ["name", "category"])
@pytest.mark.parametrize("value", [1, 0, False, b"Home", [SECRET], {}], ids=repr)
def test_a_name_or_category_that_is_no_text_is_rejected(name: str, field: str, value: Any) -> None:
    kind = type(value).__name__
    assert rejection(name, **{field: value}) == f"{field}: expected a str or None, got {kind}"


@pytest.mark.parametrize("value", [None, 1, b"event", [SECRET], Color.RED], ids=repr)
def test_an_event_that_is_no_text_is_rejected(value: Any) -> None:
    assert rejection("track", event=value) == f"event: expected a str, got {type(value).__name__}"


class HostileMapping(dict[str, Any]):
    def keys(self) -> Any:
        raise OSError(SECRET)

    def __iter__(self) -> Any:
        raise OSError(SECRET)


def test_a_mapping_that_raises_is_rejected_without_its_text() -> None:
    text = rejection("track", properties=HostileMapping(a=1))
    assert text == "properties: reading it raised OSError"


@pytest.mark.parametrize("kind", [AssertionError, ValueError])
def test_handlers_of_the_builtin_errors_catch_a_rejection(kind: type[Exception]) -> None:
    with pytest.raises(kind):
        client.track("user-1", None)


def test_a_message_of_exactly_the_limit_is_taken() -> None:
    size = len(
        json.dumps(call("track", properties={"x": ""}, message_id="id"), separators=(",", ":"))
    )
    room = MAX_MESSAGE_BYTES - size
    call("track", properties={"x": "y" * room}, message_id="id")
    with pytest.raises(RuntimeError, match=r"^message: expected at most 32768 bytes of JSON"):
        call("track", properties={"x": "y" * (room + 1)}, message_id="id")


# Timestamps.

NOON = "2014-09-03T12:00:00.000+00:00"


@pytest.mark.parametrize(
    "value, text",
    [
        (datetime(2014, 9, 3, 12, tzinfo=timezone.utc), NOON),
        (datetime(2014, 9, 3, 14, tzinfo=ZoneInfo("Europe/Berlin")), NOON),
        (datetime(2014, 9, 3, 5, tzinfo=ZoneInfo("America/Los_Angeles")), NOON),
        (datetime(2014, 9, 3, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))), NOON),
        (datetime(2014, 9, 3, 12), NOON),  # noqa: DTZ001
        (datetime(2014, 9, 3, 12, 0, 0, 123_999), "2014-09-03T12:00:00.123+00:00"),  # noqa: DTZ001
        (datetime.min, "0001-01-01T00:00:00.000+00:00"),  # noqa: DTZ901
        (datetime.max, "9999-12-31T23:59:59.999+00:00"),  # noqa: DTZ901
        (date(2014, 9, 3), "2014-09-03T00:00:00.000+00:00"),
        ("2014-09-03T12:00:00Z", NOON),
        ("2014-09-03t12:00:00z", NOON),
        ("2014-09-03 12:00:00", NOON),
        ("2014-09-03T12:00", NOON),
        ("2014-09-03T14:00:00.000+02:00", NOON),
        ("20140903T120000Z", NOON),
        ("2014-09-03T12:00:00,5-0000", "2014-09-03T12:00:00.500+00:00"),
        ("2014-09-03T12:00:00.123456789Z", "2014-09-03T12:00:00.123+00:00"),
        ("2014-09-03", "2014-09-03T00:00:00.000+00:00"),
        (" 2014-09-03T12:00:00Z\n", NOON),
        ("2014-09-03 12:00:00 UTC", NOON),
        ("2014-09-03T12:00:00UTC", NOON),
        ("2014-09-03 12:00:00 gmt", NOON),
        ("2014-09-03 12:00:00 Z", NOON),
        ("2014-09-03T17:30:00+0530", NOON),
        ("2014-09-03 17:30:00 +0530", NOON),
        ("2014-09-03 17:30:00 +05:30", NOON),
        ("2014-09-03 UTC", "2014-09-03T00:00:00.000+00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000+00:00"),
        ("2016-12-31T23:59:60.25Z", "2017-01-01T00:00:00.250+00:00"),
        ("20161231T235960Z", "2017-01-01T00:00:00.000+00:00"),
        ("2017-01-01 05:29:60 +0530", "2017-01-01T00:00:00.000+00:00"),
        ("2014-09-02T24:00:00Z", "2014-09-03T00:00:00.000+00:00"),
        (np.str_("2014-09-03T12:00:00Z"), NOON),
        (1_409_745_600, NOON),
        (1_409_745_600.25, "2014-09-03T12:00:00.250+00:00"),
        (1_409_745_600_250, "2014-09-03T12:00:00.250+00:00"),
        (1_409_745_600_250.0, "2014-09-03T12:00:00.250+00:00"),
        (Decimal("1409745600.25"), "2014-09-03T12:00:00.250+00:00"),
        (Fraction(1_409_745_600), NOON),
        (np.int64(1_409_745_600), NOON),
        (np.float64(1_409_745_600.25), "2014-09-03T12:00:00.250+00:00"),
        (0, "1970-01-01T00:00:00.000+00:00"),
        (-0.5, "1969-12-31T23:59:59.500+00:00"),
        (-86_400, "1969-12-31T00:00:00.000+00:00"),
        (-2_208_988_800_000, "1900-01-01T00:00:00.000+00:00"),
        (31_557_599_999, "2970-01-07T23:59:59.000+00:00"),
        (31_557_600_000, "1971-01-01T06:00:00.000+00:00"),
    ],
    ids=repr,
)
@pytest.mark.usefixtures("zone")
def test_a_time_is_sent_in_utc_with_milliseconds(value: Any, text: str) -> None:
    assert timestamp_of(value) == text


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "now",
        "yesterday",
        "12:00",
        "03/09/2014",
        "2014-13-01",
        "2014-02-30T00:00:00Z",
        "2014-09-03T25:00:00Z",
        "2014-09-03T23:59:61Z",
        "2014-09-03T23:60:00Z",
        "2014-09-03 12:00:00 CET",
        "2014-09-03T12:00:00+25:00",
        "2014-09-03x12:00:00",
        "2014-09-03T12:00:00Z trailing",
        "1409745600",
        "1420070400123",
        "10000-01-01",
        "0000-01-01",
        "٢٠١٤-٠٩-٠٣",
        "\ud800",
        "2" * 1_000_000,
        float("nan"),
        float("inf"),
        float("-inf"),
        np.float64("nan"),
        1e300,
        10**400,
        -(10**20),
        1_409_745_600_250_000_000,
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("1e999999"),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_nonsense_is_no_time(value: Any) -> None:
    if isinstance(value, str):
        came = "an unreadable str" if value else "an empty str"
    elif isinstance(value, datetime):
        came = "an unreadable datetime"
    elif str(value).lower().lstrip("-s") in {"nan", "inf"}:
        came = "NaN or infinity"
    else:
        came = f"a {type(value).__name__} beyond them"
    text = rejection("track", timestamp=value)
    assert text == (
        f"timestamp: expected a time of the years 1 to 9999, a str in ISO 8601, got {came}"
    )


@pytest.mark.parametrize(
    "value",
    [
        True,
        np.False_,
        b"2014-09-03",
        [2014, 9, 3],
        {},
        timedelta(1),
        datetime(2014, 9, 3, tzinfo=timezone.utc).timetz(),
        time.gmtime(0),
        3j,
        np.datetime64("2014-09-03"),
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("name", MINIMAL)
def test_a_time_of_a_wrong_type_is_rejected(name: str, value: Any) -> None:
    assert rejection(name, timestamp=value) == (
        "timestamp: expected a datetime, date, ISO 8601 str or number of seconds, "
        f"got {type(value).__name__}"
    )


class NotATime(datetime):
    """Like the one of pandas: a datetime that equals nothing and remains what it is."""

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    __hash__ = datetime.__hash__


class ForeignTime(datetime):
    """Like the Timestamp of pandas: naive, it is UTC and cannot be converted."""

    def timestamp(self) -> float:
        return self.replace(tzinfo=timezone.utc).timestamp()

    def astimezone(self, tz: tzinfo | None = None) -> ForeignTime:
        if self.tzinfo is None:
            raise TypeError("Cannot convert tz-naive Timestamp")
        return super().astimezone(tz)

    def isoformat(self, *_: Any, **__: Any) -> str:
        return "unusable"


class HostileZone(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        raise LookupError(SECRET)

    dst = utcoffset

    def tzname(self, _: datetime | None) -> str:
        raise LookupError(SECRET)


def test_what_is_not_a_time_is_rejected() -> None:
    assert "unreadable NotATime" in rejection("track", timestamp=NotATime(2014, 9, 3))


def test_a_time_whose_zone_raises_is_rejected() -> None:
    value = datetime(2014, 9, 3, tzinfo=HostileZone())
    assert "unreadable datetime" in rejection("track", timestamp=value)


@pytest.mark.usefixtures("zone")
def test_the_time_of_another_library_is_read_as_any_other() -> None:
    assert timestamp_of(ForeignTime(2014, 9, 3, 12)) == NOON
    assert timestamp_of(ForeignTime(2014, 9, 3, 12, tzinfo=timezone.utc)) == NOON
    just_now = datetime.fromtimestamp(NOW - 1)  # noqa: DTZ006
    foreign = ForeignTime.combine(just_now.date(), just_now.time())
    assert timestamp_of(foreign) == "2026-03-24T11:59:59.000+00:00"
    as_utc = ForeignTime(2026, 3, 24, 12)
    assert timestamp_of(as_utc, NOW + 1) == "2026-03-24T12:00:00.000+00:00"


@pytest.mark.parametrize("age", [0, 0.001, 1, 4.999])
@pytest.mark.usefixtures("zone")
def test_a_naive_datetime_of_just_now_is_local_time(age: float) -> None:
    local = datetime.fromtimestamp(NOW - age)  # noqa: DTZ006
    assert abs(moment_of(local).timestamp() - (NOW - age)) < 0.001


@pytest.mark.parametrize("age", [-86_400, -3_600, -1, 5, 6, 3_600, 86_400, 10**9])
@pytest.mark.usefixtures("zone")
def test_any_other_naive_datetime_is_utc(age: int) -> None:
    local = datetime.fromtimestamp(NOW - age)  # noqa: DTZ006
    assert moment_of(local) == local.replace(tzinfo=timezone.utc)


@pytest.mark.usefixtures("zone")
def test_the_clock_read_as_utc_or_local_is_now_in_every_zone() -> None:
    now = datetime.now(timezone.utc)
    for naive in (now.replace(tzinfo=None), datetime.now()):  # noqa: DTZ005
        sent = datetime.fromisoformat(call("track", timestamp=naive)["timestamp"])
        assert abs(sent - now) < timedelta(seconds=5)


@pytest.mark.parametrize("fold, hour", [(0, 0), (1, 1)])
def test_both_hours_of_a_clock_set_back_are_told_apart(
    use_zone: Callable[[str], None], fold: int, hour: int
) -> None:
    use_zone("Europe/Berlin")
    instant = datetime(2026, 10, 25, hour, 30, tzinfo=timezone.utc)
    local = datetime.fromtimestamp(instant.timestamp())  # noqa: DTZ006
    assert (local.hour, local.minute, local.fold) == (2, 30, fold)
    assert moment_of(local, instant.timestamp() + 1) == instant
    foreign = ForeignTime(2026, 10, 25, 2, 30, fold=fold)
    assert moment_of(foreign, instant.timestamp() + 1) == instant


def test_a_time_that_no_local_clock_showed_is_utc(use_zone: Callable[[str], None]) -> None:
    use_zone("Europe/Berlin")
    skipped = datetime(2026, 3, 29, 2, 30)  # noqa: DTZ001
    assert moment_of(skipped, NOW) == skipped.replace(tzinfo=timezone.utc)


def in_milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.timezones()))  # noqa: DTZ001
def test_an_aware_datetime_keeps_its_instant(value: datetime) -> None:
    assert moment_of(value) == in_milliseconds(value.astimezone(timezone.utc))


@given(st.datetimes(min_value=datetime(2100, 1, 1)))  # noqa: DTZ001
def test_a_naive_datetime_keeps_its_reading(value: datetime) -> None:
    assert moment_of(value) == in_milliseconds(value.replace(tzinfo=timezone.utc))


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.timezones()))  # noqa: DTZ001
def test_an_iso_text_keeps_its_instant(value: datetime) -> None:
    offset = value.utcoffset()
    if offset is None or offset.total_seconds() % 60 == 0:  # ISO 8601 has no seconds there
        assert moment_of(value.isoformat()) == in_milliseconds(value.astimezone(timezone.utc))


@given(st.integers(-31_557_599_999, 31_557_599_999))
def test_seconds_since_the_epoch_keep_their_instant(seconds: int) -> None:
    assert moment_of(seconds).timestamp() == seconds


@given(st.floats(-31e9, 31e9))
def test_a_fraction_of_a_second_is_kept_to_the_millisecond(seconds: float) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    error = (moment_of(seconds) - epoch).total_seconds() - seconds
    assert -0.001_01 < error < 0.000_01


@given(st.integers(31_557_600_000, 253_402_300_799_999).flatmap(lambda n: st.sampled_from((n, -n))))
def test_milliseconds_since_the_epoch_keep_their_instant(milliseconds: int) -> None:
    if milliseconds > -62_135_596_800_000:  # the beginning of the year 1
        epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
        assert abs(moment_of(milliseconds) - epoch - timedelta(milliseconds=milliseconds)) <= (
            MILLISECOND
        )


@given(
    st.one_of(
        st.text(),
        st.floats(),
        st.integers(),
        st.decimals(),
        st.fractions(),
        st.dates(),
        st.datetimes(timezones=st.none() | st.timezones(), allow_imaginary=True),
        st.from_regex(r"\A\d{4}(-?\d\d){0,2}(.\d\d(:?\d\d){0,2}(Z|[+-]\d\d:?\d\d)?)?\Z"),
    )
)
def test_whatever_comes_is_sent_as_a_time_or_rejected(value: Any) -> None:
    try:
        timestamp_of(value)
    except ValidationError as error:
        assert error.message.startswith("timestamp: expected ")  # noqa: PT017  either is right


# Values that stand for others.


@pytest.mark.parametrize(
    "value, text",
    [
        ("user", "user"),
        (7, "7"),
        (1.5, "1.5"),
        (UUID(int=7), str(UUID(int=7))),
        pytest.param(Wrapped("user"), "user", id="a stand-in"),
        pytest.param(UserString("user"), "user", id="a UserString"),
    ],
)
@pytest.mark.parametrize("stand_in", STAND_INS)
def test_an_id_that_stands_for_another_value_is_its_text(
    stand_in: Callable[[object], Any], value: Any, text: str
) -> None:
    assert call("track", user_id=stand_in(value))["userId"] == text
    assert call("track", anonymous_id=stand_in(value))["anonymousId"] == text
    assert call("track", message_id=stand_in(value))["messageId"] == text


@pytest.mark.parametrize("stand_in", STAND_INS)
def test_so_is_any_other_argument(stand_in: Callable[[object], Any]) -> None:
    message = call(
        "track",
        user_id=stand_in(None),
        anonymous_id="a",
        event=stand_in("bought"),
        properties=stand_in({"a": 1}),
        context=stand_in({"b": 2}),
        integrations=stand_in(None),
        timestamp=stand_in("2014-09-03T12:00:00Z"),
    )
    assert message["userId"] is None
    assert message["event"] == "bought"
    assert message["properties"] == {"a": 1}
    assert message["context"]["b"] == 2
    assert message["integrations"] == {}
    assert message["timestamp"] == NOON
    page = call("page", category=stand_in("docs"), name=UserString("home"))
    assert (page["category"], page["name"]) == ("docs", "home")
    assert call("group", group_id=stand_in(5))["groupId"] == 5


@pytest.mark.parametrize("stand_in", STAND_INS)
@pytest.mark.parametrize("message_type", MINIMAL)
def test_what_stands_for_none_is_left_out(
    message_type: str, stand_in: Callable[[object], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    none = stand_in(None)
    names = {"context", "timestamp", "integrations", "message_id", "properties", "traits"}
    taken = signature(getattr(Client, message_type)).parameters.keys() & names
    with_none = call(message_type, **dict.fromkeys(taken, none))
    assert len(with_none.pop("messageId")) >= 32
    without = call(message_type)
    del without["messageId"]
    assert with_none == without


@pytest.mark.parametrize("stand_in", STAND_INS)
@pytest.mark.parametrize(
    "message_type, field", [("group", "group_id"), ("alias", "previous_id"), ("alias", "user_id")]
)
def test_a_required_id_that_stands_for_none_is_missing(
    message_type: str, field: str, stand_in: Callable[[object], Any]
) -> None:
    with pytest.raises(ValidationError, match=f"^{field}: expected a str or a number, got None"):
        call(message_type, **{field: stand_in(None)})


@pytest.mark.parametrize("field", ["user_id", "event", "properties", "message_id"])
def test_a_proxy_that_stands_for_nothing_is_rejected(field: str) -> None:
    assert rejection("track", **{field: Unbound()}) == (
        f"{field}: reading it raised ZeroDivisionError"
    )


def test_an_event_without_a_name_is_sent_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_nameless_event.cache_clear()
    for _ in range(2):
        assert call("track", event="")["event"] == ""
    assert caplog.messages == [
        "event: expected the name of an event, got an empty str; sent all the same"
    ]
