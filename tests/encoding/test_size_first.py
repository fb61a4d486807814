"""Nothing that is longer than a message may be is copied or encoded: its length is looked at."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from segment_librato.encoding.encoder import _make_encoder as make_encoder  # without orjson
from segment_librato.encoding.encoder import message_encoder
from segment_librato.errors import MessageTooLargeError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato import Client

    MakeClient = Callable[..., Client]

LENGTH = 5_000_000
LONG = "\x01" * LENGTH  # six bytes each, as JSON
MAX_PEAK = 1_000_000


class Text(str):
    """A text of its own class, which `str()` copies."""

    __slots__ = ()


class Number(int):
    """A number of its own class, which `int()` copies."""


PROPERTIES: dict[str, Any] = {
    "a text": {"a": LONG},
    "many texts": {f"key{number}": LONG[:2_000] for number in range(2_000)},
    "beyond ASCII": {"a": "é" * LENGTH},
    "a key": {LONG: 1},
    "in a list": {"a": [LONG]},
    "in a dict": {"a": {"b": LONG}},
    "a key in a dict": {"a": {LONG: 1}},
    "in a tuple": {"a": (LONG,)},
    "in a tuple beside a list": {"a": [1], "b": (LONG,)},
    "in a tuple in a tuple": {"a": [1], "b": ((LONG,),)},
    "in a tuple in a dict": {"a": [1], "b": {"c": (LONG,)}},
    "in a dict in a list": {"a": [{"b": LONG}]},
    "a key in a dict in a list": {"a": [{LONG: 1}]},
    "deep": {"a": [{"b": [{"c": {"d": LONG}}]}]},
    "a key that is deep": {"a": [{"b": [{"c": {LONG: 1}}]}]},
    "a key of many dicts": {"a": [{LONG[:10_000]: 1} for _ in range(1_000)]},
    "in a set": {"a": {LONG}},
    "a subclass": {"a": Text(LONG)},
    "a subclass in a list": {"a": [Text(LONG)]},
    "a subclass in a dict": {"a": {"b": Text(LONG)}},
    "a subclass in a dict in a list": {"a": [{"b": Text(LONG)}]},
    "a key of a subclass": {Text(LONG): 1},
    "bytes": {"a": LONG.encode()},
    "a key of bytes": {LONG.encode(): 1},
    "a bytearray": {"a": bytearray(LENGTH)},
    "an int": {"a": 1 << 8 * LENGTH},
    "an int of a subclass": {"a": Number(1 << 8 * LENGTH)},
    "numpy's": {"a": np.str_(LONG)},
    "an array": {"a": np.zeros(LENGTH, np.int8)},
    "a long list": {"a": [0] * LENGTH},
}
gc.collect()  # which stops to track tuples of texts

FIELDS: dict[str, dict[str, Any]] = {
    "user_id": {"user_id": LONG},
    "user_id of a subclass": {"user_id": Text(LONG)},
    "user_id, a number": {"user_id": 1 << 8 * LENGTH},
    "anonymous_id": {"anonymous_id": LONG},
    "message_id": {"message_id": LONG},
    "event": {"event": LONG},
    "event of a subclass": {"event": Text(LONG)},
    "timestamp": {"timestamp": LONG},
    "context": {"context": {"a": LONG}},
    "integrations": {"integrations": {"a": LONG}},
}


def peak_of(call: Callable[[], object], *expected: type[Exception]) -> int:
    """Return how much memory a call takes that has to be rejected."""
    tracemalloc.start()
    try:
        with pytest.raises(expected):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(params=["as installed", "without orjson"])
def client(
    request: pytest.FixtureRequest, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> Client:
    encode = message_encoder() if request.param == "as installed" else make_encoder(None, 0)
    monkeypatch.setattr("segment_librato.router.message_encoder", lambda: encode)
    return make_client(send=False)


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_that_is_too_long_is_not_copied(client: Client, name: str) -> None:
    properties = PROPERTIES[name]
    assert peak_of(lambda: client.track("u", "e", properties), MessageTooLargeError) < MAX_PEAK
    assert peak_of(lambda: client.identify("u", properties), MessageTooLargeError) < MAX_PEAK


@pytest.mark.parametrize("name", FIELDS)
def test_nor_is_a_field(client: Client, name: str) -> None:
    arguments = {"user_id": "u", "event": "e", **FIELDS[name]}
    errors = MessageTooLargeError, ValidationError
    assert peak_of(lambda: client.track(**arguments), *errors) < MAX_PEAK


def test_nor_are_the_fields_of_other_types(client: Client) -> None:
    text = Text(LONG)
    calls: list[Callable[[], object]] = [
        lambda: client.group("u", LONG),
        lambda: client.group("u", text),
        lambda: client.alias(LONG, "u"),
        lambda: client.page("u", LONG),
        lambda: client.screen("u", "category", LONG),
        lambda: client.gauge(LONG, 1),
        lambda: client.gauge("g", 1, source=LONG),
    ]
    for call in calls:
        assert peak_of(call, MessageTooLargeError, ValidationError) < MAX_PEAK


def test_the_error_names_the_field(client: Client) -> None:
    with pytest.raises(MessageTooLargeError, match=r"^user_id: expected at most 32768 bytes"):
        client.track(Text("x" * 40_000), "e")
