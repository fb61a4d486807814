"""JSON from outside: with orjson, if it is installed, and with the same result without it.

Owns how strict it is: no NaN, no lone surrogates, no numbers beyond a double, UTF-8. Of a key that
an object has twice, the last one counts. Must not know what the values mean.
"""

from __future__ import annotations

import json
import math
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from segment_librato.foreign.interruption import is_interruption

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["decode", "json_decoder", "strict_decoder"]

DecodeJson: TypeAlias = "Callable[[bytes], Any]"

# An integer with more digits than 18 may be beyond 64 bits, and orjson would round it.
_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_MANY_DIGITS = b"0" * 19


@cache
def json_decoder() -> DecodeJson:
    """Return the function that decodes JSON in UTF-8, and raises ValueError if it is none."""
    try:
        from orjson import loads  # not every program reads JSON
    except ImportError:
        return decode
    return _with_fast_path(loads)


def _with_fast_path(loads: DecodeJson) -> DecodeJson:
    def decode_fast(data: bytes) -> Any:
        if _MANY_DIGITS not in data.translate(_DIGITS):
            try:
                return loads(data)
            except ValueError as error:  # `decode` has the last word, and the same words everywhere
                if is_interruption(error):
                    raise
        return decode(data)

    return decode_fast


def decode(data: bytes) -> Any:
    """Decode JSON with the standard library.

    Raises:
        ValueError: it is not JSON in UTF-8, or nested too deeply.
    """
    try:
        value = _DECODER.decode(data.decode("utf-8").rstrip("\r\n"))
        if b"\\u" in data:  # only escapes can have a lone surrogate
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _finite_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is beyond the range of a double")
    return value


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def strict_decoder(
    make_object: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> json.JSONDecoder:
    """Return a decoder that rejects, by ValueError, numbers that JSON or a double does not have.

    Args:
        make_object: makes an object of its members; None makes a dict.
    """
    return json.JSONDecoder(
        object_pairs_hook=make_object, parse_float=_finite_float, parse_constant=_reject_constant
    )


_DECODER = strict_decoder()
