"""Which part of a message that is too large is to blame."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from support.values import Hostile

from segment_librato import Client, MessageTooLargeError
from segment_librato.encoding.sizes import MAX_LOOKS, estimated_size, largest_part

TEXT = "x" * 40_000

client = Client("test-key", send=False)
EMPTY = len(json.dumps(client.track("user", "event", {"log": ""})[1], separators=(",", ":")))


class Text(str):
    """A text whose length cannot be asked."""

    __slots__ = ()

    def __len__(self) -> int:
        raise RuntimeError("no")


class Entries(dict[str, Any]):
    """A dict whose entries cannot be asked."""

    def items(self) -> Any:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "properties, part",
    [
        ({"a": 1, "log": TEXT, "b": "short"}, "properties.log"),
        ({"a": "short", "rows": [{"n": n} for n in range(20_000)]}, "properties.rows"),
        ({"a": ["short"] * 9, "b": {"deep": {"deeper": [TEXT]}}}, "properties.b"),
        ({TEXT: 1, "b": 2}, "properties"),
        ({"bell\a": TEXT}, "properties"),
        ({"": TEXT}, "properties"),
        ({5: TEXT}, "properties"),
        ({"bytes": TEXT.encode(), "a": Hostile()}, "properties.bytes"),
        ({"own": Text(TEXT), "a": "short"}, "properties.own"),
        ({"own": Entries(a=TEXT), "a": "short"}, "properties.own"),
        (Entries(a=TEXT), "properties.a"),
    ],
)
def test_the_largest_part_is_named(properties: Any, part: str) -> None:
    message = {"type": "track", "properties": properties, "context": {"library": "short"}}
    assert largest_part(message) == part


def test_another_field_may_be_the_largest() -> None:
    message = {"userId": TEXT, "properties": {"a": 1}, "context": {}}
    assert largest_part(message) == "userId"


def test_what_contains_itself_ends_too() -> None:
    cycle: list[Any] = [TEXT]
    cycle.append(cycle)
    assert largest_part({"properties": {"cycle": cycle}, "context": {}}) == "properties.cycle"
    many = dict.fromkeys(range(3 * MAX_LOOKS), 1)
    assert largest_part({"properties": {"many": many}, "context": {}}) == "properties.many"


@pytest.mark.parametrize(
    "properties, least, most",
    [
        ({"log": TEXT}, 40_000, 40_100),
        ({"rows": [TEXT, {"log": TEXT.encode()}]}, 80_000, 80_100),
        ({"rows": [1] * 40_000}, 32_769, 32_769),
    ],
)
def test_the_size_is_estimated(properties: dict[str, Any], least: int, most: int) -> None:
    assert least <= estimated_size({"type": "track", "properties": properties}) <= most


@pytest.mark.parametrize(
    "properties, size",
    [
        ({"log": "é" * 16_500}, str(EMPTY + 33_000)),
        ({"log": TEXT * 9}, r"about 360\d\d\d"),
        ({"log": [TEXT.encode()], "when": date(2026, 1, 2)}, r"about 40\d\d\d"),
    ],
)
def test_the_error_says_each_once_the_limit_the_size_and_the_largest_part(
    properties: dict[str, Any], size: str
) -> None:
    expected = f"message: expected at most 32768 bytes of JSON, got {size}; the largest part is "
    with pytest.raises(MessageTooLargeError, match=f"^{expected}properties.log$"):
        client.track("user", "event", properties)


def test_without_stack_left_it_gives_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def coerce(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr("segment_librato.encoding.strict.coerce", coerce)
    problem = "message: no memory or stack left to encode it; the largest part is properties.tree"
    with pytest.raises(MessageTooLargeError, match=f"^{problem}$") as caught:
        client.track("user", "event", {"tree": {"a": {1, 2}, "b": "c" * 300}})
    assert 300 < caught.value.size < 1_000
