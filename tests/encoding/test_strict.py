"""The bytes of `encode`: strict, exact about their limit, and always there."""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import suppress
from datetime import datetime, timezone
from decimal import Decimal
from itertools import count, repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.values import (
    Unreadable,
    keys,
    laughs,
    load_strictly,
    nested,
    stable_values,
    values,
)

from segment_librato.encoding.coerce import MAX_DEPTH
from segment_librato.encoding.strict import canonical, encode
from segment_librato.errors import MessageTooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 32 * 1024

EVENT = {
    "integrations": {},
    "anonymousId": None,
    "properties": {"seq": 1, "plan": "pro", "price": 9.5, "currency": "EUR", "in_stock": True},
    "context": {"library": {"name": "segment-librato", "version": "1.0.0"}},
    "event": "Item Purchased",
    "path": [1, [2], ("three",)],
}


def encoded(value: Any) -> Any:
    """Encode a value as a property, check what holds for every encoding, and return it."""
    data, plain = encode({"value": value}, LIMIT)
    assert load_strictly(data) == json.loads(json.dumps(plain))
    return load_strictly(data)["value"]


class Endless:
    """An object that holds two new ones like itself."""

    def __iter__(self) -> Any:
        return iter((Endless(), Endless()))

    def __len__(self) -> int:
        return 2

    def __contains__(self, _: object) -> bool:
        return True


def test_a_plain_mapping_is_compact_utf_8_and_returned_as_it_is() -> None:
    data, plain = encode(EVENT, LIMIT)
    assert plain is EVENT
    assert data == json.dumps(EVENT, separators=(",", ":"), ensure_ascii=False).encode()


def test_text_beyond_ascii_is_not_escaped() -> None:
    assert encode({"é": "日本 🎉"}, LIMIT)[0] == '{"é":"日本 🎉"}'.encode()


def test_a_value_that_is_not_plain_yields_a_copy_and_leaves_the_mapping_alone() -> None:
    moment = datetime(2026, 1, 2, tzinfo=timezone.utc)
    value = {"at": moment, "tags": ("a", "b")}
    data, plain = encode(value, LIMIT)
    assert plain == {"at": "2026-01-02T00:00:00+00:00", "tags": ["a", "b"]} == load_strictly(data)
    assert value == {"at": moment, "tags": ("a", "b")}


@pytest.mark.parametrize(
    "value, expected",
    [
        pytest.param(float("nan"), None, id="NaN"),
        pytest.param([float("inf")], [None], id="infinity"),
        pytest.param("a\ud800", "a\ufffd", id="a lone surrogate"),
        pytest.param({"\ud83c\udf89": 1}, {"🎉": 1}, id="a surrogate pair in a key"),
        pytest.param({1: 2, None: 3}, {"1": 2, "null": 3}, id="keys that are not texts"),
        pytest.param([2**64, -(2**64)], [2**64, -(2**64)], id="long integers"),
        pytest.param(10**5_000, None, id="an integer longer than Python will spell"),
    ],
)
def test_what_the_encoder_rejects_is_repaired(value: object, expected: object) -> None:
    assert encoded(value) == expected


@pytest.mark.parametrize("text", ["", "plain", "é" * 10, "日本" * 10, "🎉" * 10, '"\\\n\x00'])
@pytest.mark.parametrize("rare", [None, Decimal(1), Decimal("1.5"), b"bytes", 10**70])
def test_the_limit_is_exact(text: str, rare: object) -> None:
    value = {"text": text, "rare": rare, "list": [Decimal(1)] * 20}
    data, _ = encode(value, LIMIT)
    assert encode(value, len(data))[0] == data
    with pytest.raises(MessageTooLargeError, match=f"expected at most {len(data) - 1} bytes"):
        encode(value, len(data) - 1)


def test_the_limit_is_exact_for_a_plain_mapping() -> None:
    assert len(encode({"k": "é" * 10}, 28)[0]) == 28
    with pytest.raises(
        MessageTooLargeError, match=r"^message: expected at most 27 bytes of JSON, got 28$"
    ):
        encode({"k": "é" * 10}, 27)


def test_a_rejection_never_repeats_the_payload() -> None:
    with pytest.raises(MessageTooLargeError) as caught:
        encode({"secret": "hunter2" * 10_000}, LIMIT)
    assert str(caught.value) == "message: expected at most 32768 bytes of JSON"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(laughs(), id="a billion laughs"),
        pytest.param(["x" * 1_000_000] * 16_000, id="one long text, often"),
        pytest.param(list(range(1_000_000)), id="a million integers"),
        pytest.param({index: index for index in range(100_000)}, id="a hundred thousand keys"),
        pytest.param(count(), id="an endless iterator"),
        pytest.param(repeat(b"x" * 1_000_000), id="endless megabytes"),
        pytest.param(range(10**30), id="a range without a len()"),
        pytest.param(Endless(), id="an endless tree"),
        pytest.param(bytes(100_000_000), id="many bytes"),
        pytest.param(1 << 100_000_000, id="an enormous integer"),
        pytest.param(np.broadcast_to(np.int8(1), 10**9), id="a huge array"),
        pytest.param(np.broadcast_to(np.str_("x" * 10**6), 30_000), id="an array of long texts"),
    ],
)
def test_a_huge_or_endless_value_is_rejected_soon(value: object) -> None:
    started = time.process_time()
    with pytest.raises(MessageTooLargeError, match="expected at most 32768 bytes"):
        encode({"value": value}, LIMIT)
    assert time.process_time() - started < 10


def test_many_references_to_one_long_integer_are_rejected_soon() -> None:
    started = time.process_time()
    with pytest.raises(MessageTooLargeError):
        encode({"value": [10**4_000] * 16_000}, LIMIT)
    assert time.process_time() - started < 10


def test_ten_thousand_keys_with_one_text_do_not_take_quadratic_time() -> None:
    names: list[Any] = [float("nan") for _ in range(10_000)]
    started = time.process_time()
    _, plain = encode(dict.fromkeys(names, 1), 10**6)
    assert len(plain) == 10_000
    assert time.process_time() - started < 10


def test_a_cycle_is_null_where_it_closes() -> None:
    mapping: dict[str, Any] = {"wide": list(range(2_000))}
    mapping["self"] = mapping
    items: list[Any] = [1]
    items.append({"items": items})
    assert encode(mapping, LIMIT)[1] == {"wide": list(range(2_000)), "self": None}
    assert encoded(items) == [1, {"items": None}]


def test_a_reference_that_is_shared_is_written_each_time() -> None:
    shared = {"at": Decimal(1)}
    assert encoded([shared, shared]) == [{"at": 1}, {"at": 1}]


@pytest.mark.parametrize("leaf", [1, Decimal(1)])
def test_the_deepest_level_is_kept_and_one_below_it_is_null(leaf: object) -> None:
    assert encode(nested(MAX_DEPTH, leaf), LIMIT)[1] == nested(MAX_DEPTH, 1)
    assert encode(nested(MAX_DEPTH + 1, leaf), LIMIT)[1] == nested(MAX_DEPTH, None)
    assert encode(nested(100_000, leaf), LIMIT)[1] == nested(MAX_DEPTH, None)


def dive(levels: int, then: Callable[[], object]) -> None:
    """Call a function below this many more frames on the stack."""
    if levels:
        dive(levels - 1, then)
    else:
        then()


@pytest.mark.usefixtures("uncollected")
def test_near_the_end_of_the_stack_a_message_is_whole_or_rejected() -> None:
    value = {"a": nested(20, Decimal(1)), "b": [1]}
    whole = {"a": nested(20, 1), "b": [1]}
    outcomes = set()

    def attempt() -> None:
        dive(5, int)  # with fewer frames left, not even the rejection can be raised
        try:
            _, plain = encode(value, LIMIT)
        except MessageTooLargeError as error:
            outcomes.add(str(error))
        except RecursionError:
            outcomes.add("escaped")
        else:
            outcomes.add("whole" if plain == whole else f"part: {', '.join(plain)}")

    for levels in range(sys.getrecursionlimit()):
        with suppress(RecursionError):
            dive(levels, attempt)
    assert outcomes == {"whole", "message: no memory or stack left to encode it"}


class Name(str):
    """A text that equals nothing but itself."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


def test_a_key_that_only_looks_like_a_text_makes_no_duplicate() -> None:
    data, plain = encode({Name("plan"): 1, "plan": 2, Name("plan"): 3}, LIMIT)
    assert plain == {"plan_2": 1, "plan": 2, "plan_3": 3} == load_strictly(data)


def test_a_mapping_that_cannot_be_read_at_all_is_empty() -> None:
    assert encode(Unreadable(a=1), LIMIT) == (b"{}", {})


@pytest.mark.parametrize("rejection", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_passes_through(rejection: type[BaseException]) -> None:
    class Interrupting:
        def __str__(self) -> str:
            raise rejection

    with pytest.raises(rejection):
        encode({"value": Interrupting()}, LIMIT)


def test_a_mapping_that_another_thread_changes_is_encoded_all_the_same() -> None:
    shared: dict[str, Any] = {"fixed": 1, "at": Decimal(1), "deep": {}}
    done = threading.Event()

    def change() -> None:
        for number in count():
            for container in (shared, shared["deep"]):
                container[f"k{number % 50}"] = number
                container.pop(f"k{(number + 25) % 50}", None)
            if done.is_set():
                return

    changer = threading.Thread(target=change)
    changer.start()
    try:
        for rare in [Decimal(1), 1] * 200:
            shared["at"] = rare
            data, _ = encode(shared, LIMIT)
            assert load_strictly(data)["fixed"] == 1
    finally:
        done.set()
        changer.join()


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(keys, values, max_size=5))
def test_any_mapping_becomes_the_strict_json_of_what_is_returned(value: dict[Any, Any]) -> None:
    data, plain = encode(value, 10**6)
    assert load_strictly(data) == json.loads(json.dumps(plain))
    assert len(plain) == len(value)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(keys, stable_values, max_size=5))
def test_any_limit_is_exact(value: dict[Any, Any]) -> None:
    data, _ = encode(value, 10**6)
    assert encode(value, len(data))[0] == data
    with pytest.raises(MessageTooLargeError):
        encode(value, len(data) - 1)


@pytest.mark.parametrize(
    "value, text, is_plain",
    [
        (
            {"b": 1, "a": {"d": None, "c": [True, "é"]}},
            '{"a":{"c":[true,"é"],"d":null},"b":1}',
            True,
        ),
        ({"z": 1.0, "é": 1, "a": 1e16}, '{"a":1e+16,"z":1.0,"é":1}', True),
        ({2: 1, 1: 2}, '{"1":2,"2":1}', True),
        ({"n": float("nan")}, '{"n":null}', False),
        ({"n": "\ud800"}, '{"n":"�"}', False),
        ({"n": {3}}, '{"n":[3]}', False),
        ({"a": 1, 2: 1}, '{"2":1,"a":1}', False),
    ],
)
def test_equal_values_have_the_same_canonical_json(
    value: Any, text: str, *, is_plain: bool
) -> None:
    assert canonical(value, 1_000) == (text.encode(), is_plain)


def test_what_must_be_converted_is_canonical_within_a_limit() -> None:
    with pytest.raises(MessageTooLargeError):
        canonical({"n": {"x" * 2_000}}, 1_000)
