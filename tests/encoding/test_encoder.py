"""A message as bytes: the same as those of the strict encoder, whatever is in the message.

Each test is run with the standard library's encoder and, if it is installed, with orjson's. To a
reader of JSON, the results must not differ.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import math
import sys
import time
import tracemalloc
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import mock
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.values import keys, laughs, load_strictly, nested, stable_values

from segment_librato.encoding import flat
from segment_librato.encoding.coerce import MAX_DEPTH
from segment_librato.encoding.encoder import check_nones, load_encoder
from segment_librato.encoding.strict import encode
from segment_librato.errors import MessageTooLargeError
from segment_librato.message import build as message_build
from segment_librato.message.fields import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.encoding.encoder import EncodeMessage
    from segment_librato.message.fields import Message

NOW = 1_795_209_420.123
texts = st.text(max_size=20)


class Plan(str, Enum):
    PRO = "pro"


class Level(IntEnum):
    HIGH = 3


class Bare(str):
    """A text of its own class, which the garbage collector does not track."""

    __slots__ = ()


@dataclass
class Point:
    x: int = 1


class Account:
    """While one lives, the garbage collector of CPython 3.13 does not see into its `__dict__`."""

    all: ClassVar[list[Account]] = []

    def __init__(self, number: object) -> None:
        self.number = number
        self.owner = "ada"
        self.all.append(self)


def load(*, with_orjson: bool) -> EncodeMessage:
    """Return the function that encodes messages if orjson is installed, or not."""
    with mock.patch.dict(sys.modules, {} if with_orjson else {"orjson": None}):
        return load_encoder.__wrapped__()


def load_without_tracking() -> EncodeMessage:
    """Return the function that encodes messages without help from the garbage collector."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segment_librato.encoding.encoder.is_tracked", None)
        return load_encoder.__wrapped__()


ENCODERS = {"json": load(with_orjson=False), "untracked": load_without_tracking()}
if importlib.util.find_spec("orjson"):
    ENCODERS["orjson"] = load(with_orjson=True)


def build(**others: Any) -> Message:
    arguments = {
        "user_id": "user-1",
        "anonymous_id": None,
        "context": None,
        "timestamp": None,
        "integrations": None,
        "message_id": "message-1",
        "now": NOW,
        **others,
    }
    return message_build.build("track", **arguments)


def track(properties: dict[Any, Any], event: str = "event", **others: Any) -> Message:
    built = build(**others)
    message_build.add_track_fields(built, event, properties)
    return built


def assert_same(built: Message) -> None:
    """Assert that a message is encoded as `encode` does, and returned as it would."""
    expected, plain = encode(built, MAX_MESSAGE_BYTES)
    for encode_message in ENCODERS.values():
        data, as_sent = encode_message(built)
        assert load_strictly(data) == load_strictly(expected) == json.loads(json.dumps(as_sent))
        assert list(as_sent) == list(plain)
        assert json.dumps(as_sent) == json.dumps(plain)


@given(st.dictionaries(texts, stable_values, max_size=5), texts, texts, texts)
def test_any_message_is_the_same_as_that_of_the_encoder(
    properties: dict[str, Any], event: str, user_id: str, message_id: str
) -> None:
    ids = {"user_id": user_id or "user", "message_id": message_id or "id"}
    assert_same(track(properties, event, **ids))


@given(
    st.dictionaries(texts, stable_values, max_size=2),
    st.dictionaries(texts, stable_values, max_size=2),
)
def test_any_context_and_integrations_are_too(
    context: dict[str, Any], integrations: dict[str, Any]
) -> None:
    assert_same(track({}, context=context, integrations=integrations))


@pytest.mark.parametrize(
    "add_fields, arguments",
    [
        (message_build.add_identify_fields, ({"email": "ada@example.com", "age": 36},)),
        (message_build.add_group_fields, ("group", {"name": "Initech"})),
        (message_build.add_group_fields, (7, None)),
        (message_build.add_group_fields, (7.5, {"rating": 4.5})),
        (message_build.add_alias_fields, ("anonymous",)),
        (message_build.add_alias_fields, (7,)),
        (message_build.add_page_fields, (None, None, None)),
        (message_build.add_page_fields, ("Docs", None, {"path": "/"})),
        (message_build.add_page_fields, ("Docs", "Home", {})),
    ],
)
@pytest.mark.parametrize("ids", [{}, {"user_id": None, "anonymous_id": 'some\n"body"'}])
def test_messages_of_each_type_are_too(
    add_fields: Callable[..., None], arguments: tuple[Any, ...], ids: dict[str, Any]
) -> None:
    built = build(**ids)
    add_fields(built, *arguments)
    assert_same(built)


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        -0.0,
        1e22,
        5e-324,
        0.1 + 0.2,
        2**63,
        10**4_000,
        -(10**5_000),
        True,
        None,
        "\ud800",
        "\x00\x1f\x7f\u2028",
        Plan.PRO,
        (1, (2,)),
        {"a": {"b": [None]}},
        "null",
        [None, "null", math.nan],
        {"a": math.nan, "b": {"c": None}},
        [{"a": 1.5, "b": math.inf}, {"a": None}],
        (1.5, (math.nan,)),
        2**64 - 1,
        UUID(int=7),
        {"id": UUID(int=7)},
        [{"id": UUID(int=7)}],
        Level.HIGH,
        [{"level": Level.HIGH}],
        Bare("text"),
        [{"bare": Bare("text")}],
        {Bare("key"): 1},
        {"at": datetime(2026, 1, 2, tzinfo=timezone.utc)},
        [{"at": datetime(2026, 1, 2)}],  # noqa: DTZ001  a naive one is not the same
        Point(),
        [Point()],
        {"amount": Decimal("1.50")},
        [np.float64(1.5), np.int64(2), np.str_("text"), np.bool_(True)],  # noqa: FBT003  a value
        [{"float": np.float64(1.5), "text": np.str_("text")}],
        b"bytes",
        [{1: 1, "1": 2}, {None: 3}],
        OrderedDict({1: 2, "1": 3}),
        defaultdict(list, {None: [1]}),
        Counter("text"),
        deque([1]),
        {1.5},
        frozenset(),
        range(3),
        1j,
        bytearray(b"bytes"),
        time.gmtime(NOW),
        MappingProxyType({"a": 1}),
        SimpleNamespace(a=1),
        vars(Account(7)),
        vars(Account(UUID(int=7))),
        [vars(Account(Level.HIGH)), {1: "a", 2: "b"}],
        {"accounts": [vars(Account([math.nan]))]},
        object(),
        len,
        list(range(2_000)),
        list(range(5_000)),
        [[number] for number in range(300)],
        {"rows": [{"cells": [1, None, "x"]}, {"cells": []}]},
        [{"n": number} for number in range(300)],
        nested(MAX_DEPTH - 2, leaf="kept"),
        nested(MAX_DEPTH + 5),
    ],
    ids=lambda value: f"{type(value).__name__} {value!r}"[:20] if type(value) is not int else "int",
)
def test_odd_values_are_too(value: object) -> None:
    for nested_value in (value, [value], {"a": [{"b": value}]}):
        assert_same(track({"value": nested_value, "text": "x"}))


@pytest.mark.parametrize("key", [1, 1.5, True, None, Plan.PRO, "x" * 200, "", "\n", "\ud800"])
def test_odd_keys_are_too(key: object) -> None:
    for _ in range(2):  # once it is not known, then it may be
        for properties in ({key: 1, "pro": 2, "1": 3}, {key: [1]}, {"a": [{key: 1, "b": 2}]}):
            assert_same(track(properties))
            assert_same(track({"value": 1}, context=properties))


def test_any_number_of_keys_is() -> None:
    for number in range(0, 3_000, 3):
        assert_same(track({f"key-{number + more}": more for more in range(3)}))
    assert len(flat._keys) <= flat.MAX_KEYS  # noqa: SLF001  it would be a leak
    assert_same(track({f"key-{number}": number for number in range(200)}))


@pytest.mark.parametrize("encode_message", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize(
    "value",
    [
        laughs(),
        [[0] * 50_000] * 900,
        [{str(number): number for number in range(50_000)}] * 900,
        [[{"a": [0] * 50_000}] * 30] * 30,
        dict.fromkeys(map(str, range(900)), [0] * 50_000),
        ["x" * 500_000] * 900,
        {"account": vars(Account([[0] * 50_000] * 900))},
    ],
    ids=["laughs", "a list", "a dict", "both", "properties", "a text", "an object"],
)
def test_a_value_that_is_repeated_a_million_times_is_rejected_soon(
    encode_message: Any, value: object
) -> None:
    """Before it is written, which would take gigabytes."""
    tracemalloc.start()
    try:
        with pytest.raises(MessageTooLargeError):
            encode_message(track(value if isinstance(value, dict) else {"value": value}))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000_000


def test_a_dict_that_contains_itself_is() -> None:
    properties: dict[str, Any] = {"text": "x"}
    properties["self"] = [properties]
    assert_same(track(properties))


def test_to_count_the_none_of_a_dict_ends_though_it_contains_itself_by_now() -> None:
    """Another thread may have put it there since it was looked into."""
    value: dict[str, Any] = {"list": []}
    value["list"].append(value)
    with pytest.raises(ValueError, match="not plain"):
        check_nones(0, value)


def test_a_dict_is_the_same_whether_or_not_it_is_tracked() -> None:
    once_nested = {"values": [], "n": 1.5, "none": None}
    once_nested["values"] = 1
    flat = {"values": 1, "n": 1.5, "none": None}
    assert [gc.is_tracked(once_nested), once_nested] == [True, flat]
    for properties in (once_nested, flat, {"inner": once_nested}, {"inner": flat}):
        assert_same(track(properties))


@pytest.mark.parametrize("name", ENCODERS)
def test_a_plain_message_is_returned_as_it_is(name: str) -> None:
    for properties in ({"n": 1.5, "none": None}, {"list": [{"n": None}]}):
        built = track(properties)
        assert ENCODERS[name](built)[1] is built


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("properties", [{"text": "x" * 300}, {"nested": ["x" * 300]}])
def test_bytes_take_no_more_memory_than_they_need(name: str, properties: dict[str, Any]) -> None:
    built = track(properties)
    ENCODERS[name](built)
    tracemalloc.start()
    try:
        data, _ = ENCODERS[name](built)
        allocated, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert allocated <= sys.getsizeof(data) + 200  # for the tuple and what tracing takes


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(keys, stable_values, max_size=5), st.dictionaries(keys, stable_values))
def test_any_properties_and_context_are_the_same(
    properties: dict[Any, Any], context: dict[Any, Any]
) -> None:
    assert_same(track(properties, context=context))


@pytest.mark.parametrize("encode_message", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("char", ["x", "é", "\n"])
def test_the_limit_is_exact(encode_message: Any, char: str) -> None:
    size = len(encode_message(track({"text": ""}))[0])
    fits = (MAX_MESSAGE_BYTES - size) // len(json.dumps(char, ensure_ascii=False).encode()[1:-1])
    data, _ = encode_message(track({"text": char * fits}))
    assert MAX_MESSAGE_BYTES - 2 < len(data) <= MAX_MESSAGE_BYTES
    with pytest.raises(MessageTooLargeError, match="expected at most 32768 bytes of JSON"):
        encode_message(track({"text": char * (fits + 1)}))


@given(st.floats(0, 4e9))
def test_the_time_of_a_message_is_that_of_the_clock_to_the_millisecond(now: float) -> None:
    timestamp = build(now=now)["timestamp"]
    assert timestamp[-6:] == "+00:00"
    assert len(timestamp) == len("2026-11-20T21:17:00.000+00:00")
    sent = datetime.fromisoformat(timestamp).replace(tzinfo=timezone.utc).timestamp()
    assert now - 0.001_001 < sent <= now + 0.000_001
