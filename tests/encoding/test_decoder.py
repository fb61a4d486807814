"""JSON from outside, with orjson and without."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment_librato.encoding import decoder
from segment_librato.encoding.decoder import decode, json_decoder

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.fixture(params=["fast", "standard"])
def decoded(request: pytest.FixtureRequest) -> Any:
    return json_decoder() if request.param == "fast" else decode


@pytest.mark.parametrize(
    "text,value",
    [
        (b'{"a": 1, "b": [true, null, 2.5]}\n', {"a": 1, "b": [True, None, 2.5]}),
        ('{"a": "Zoë"}'.encode(), {"a": "Zoë"}),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"[-9223372036854775809, 1e22]", [-9223372036854775809, 1e22]),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b"[" * 500 + b"]" * 500, json.loads("[" * 500 + "]" * 500)),
    ],
    ids=lambda one: repr(one)[:20],
)
def test_a_value_is_read_exactly(text: bytes, value: object, decoded: Any) -> None:
    assert decoded(text) == value
    assert type(decoded(text)) is type(value)


@pytest.mark.parametrize(
    "text,problem",
    [
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b"-Infinity", "-Infinity is not a JSON number"),
        (b"1e999", "a number is beyond the range of a double"),
        (b'"\\ud800"', "surrogates not allowed"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff"),
        (b'{"a": "b\n', "Unterminated string"),
        (b"", "Expecting value"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5_000, "Exceeds the limit"),
    ],
    ids=lambda one: repr(one)[:20],
)
def test_what_is_not_strict_json_raises_in_the_same_words(
    text: bytes, problem: str, decoded: Any
) -> None:
    with pytest.raises(ValueError, match=problem):
        decoded(text)


def outcome(function: Any, data: bytes) -> str:
    try:
        return repr(function(data))
    except ValueError as error:
        return str(error)


@given(VALUES)
def test_both_decoders_agree(value: object) -> None:
    data = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert outcome(json_decoder(), data) == outcome(decode, data)


@given(st.binary(max_size=40))
def test_both_decoders_agree_about_any_bytes(data: bytes) -> None:
    for each in (data, b'{"a": ' + data + b"}", b'"' + data + b'"'):
        assert outcome(json_decoder(), each) == outcome(decode, each)


@given(st.text("0123456789.eE+-", max_size=30))
def test_both_decoders_agree_about_numbers(text: str) -> None:
    assert outcome(json_decoder(), text.encode()) == outcome(decode, text.encode())


def test_without_orjson_it_is_the_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orjson", None)
    decoder.json_decoder.cache_clear()
    assert json_decoder() is decode
    decoder.json_decoder.cache_clear()
