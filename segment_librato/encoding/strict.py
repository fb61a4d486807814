"""Any mapping becomes strict JSON: UTF-8, compact, no NaN, no lone surrogates, no duplicate keys.

A mapping that one scan proves to hold only plain JSON values goes to the standard library's
encoder as it is. Only if the scan or the encoder objects does `coerce` make a plain copy first.

Must not know messages, threads or the network.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from math import isfinite
from typing import TYPE_CHECKING, Any

from segment_librato.encoding.coerce import MAX_DEPTH, MAX_PLAIN_INTEGER, coerce
from segment_librato.encoding.sizes import text_size
from segment_librato.errors import MessageTooLargeError
from segment_librato.foreign.interruption import is_interruption
from segment_librato.foreign.narrowing import DICT, type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["canonical", "encode", "to_json"]


def _make_encoder(*, sort_keys: bool = False) -> Callable[[dict[str, Any]], str]:
    """Return the standard library's encoder, set up once.

    `JSONEncoder.encode` does so at each call, which is a fifth of the time of a small message.
    """
    encoder = json.JSONEncoder(
        ensure_ascii=False,
        allow_nan=False,
        check_circular=False,
        separators=(",", ":"),
        sort_keys=sort_keys,
    )
    make: Any = getattr(json.encoder, "c_make_encoder", None)  # not documented, nor on PyPy
    options = (None, encoder.default, encode_basestring, None, ":", ",", sort_keys, False, False)
    try:
        make_parts = make(*options)
    except TypeError as error:
        if is_interruption(error):
            raise
        return encoder.encode
    return lambda value: "".join(make_parts(value, 0))


to_json: Callable[[dict[str, Any]], str] = _make_encoder()
"""Return a plain dict as JSON; raise some error if a value is not plain (keys are not checked)."""
_to_sorted_json = _make_encoder(sort_keys=True)


def encode(value: Mapping[str, Any], limit: int) -> tuple[bytes, dict[str, Any]]:
    """Encode a mapping as UTF-8 JSON; return the bytes and the plain mapping they encode.

    The mapping returned is `value` itself, not a copy, if it was plain already. A value that
    JSON does not have is replaced, mostly by null, and logged once. Thread-safe, even while
    other threads change `value`.

    Raises:
        MessageTooLargeError: there would be more than `limit` bytes.
    """
    plain = value if type(value) is DICT else {}
    data = _encode_plain(value, limit)
    if data is None:
        plain, data = _encode_coerced(value, limit)
    if len(data) > limit:
        raise MessageTooLargeError(
            f"message: expected at most {limit} bytes of JSON, got {len(data)}", len(data)
        )
    return data, plain


def canonical(value: Any, limit: int) -> tuple[bytes, bool]:
    """Return a value as JSON with sorted keys: equal values give equal bytes, with orjson or not.

    Also returns whether nothing in it but keys had to be converted: it has no NaN, no lone
    surrogate, and nothing else that JSON does not have.

    Raises:
        MessageTooLargeError: something has to be converted, and would have more bytes than this.
    """
    try:
        return _to_sorted_json(value).encode(), True
    except Exception as error:  # it is not plain
        if is_interruption(error):
            raise
    return _to_sorted_json(coerce(value, limit)).encode(), False


def _encode_plain(value: object, limit: int) -> bytes | None:
    """Return the JSON of a plain dict that may fit, None for anything else."""
    try:
        if type(value) is DICT and _scan(value, limit, MAX_DEPTH) >= 0:
            return to_json(value).encode()
    except Exception as error:  # NaN, a lone surrogate, a dict that changed, the stack, ...
        if is_interruption(error):
            raise
    return None


def _encode_coerced(value: object, limit: int) -> tuple[dict[str, Any], bytes]:
    """Return a plain copy and its JSON."""
    try:
        coerced = coerce(value, limit)
        plain = coerced if type(coerced) is DICT else {}
        return plain, to_json(plain).encode()
    except (MemoryError, RecursionError) as error:
        if is_interruption(error):
            raise
        problem = "message: no memory or stack left to encode it"
        raise MessageTooLargeError(problem, text_size([value])) from None


def _scan(  # noqa: C901  one loop without calls, as it runs for many messages
    container: dict[str, Any] | list[Any] | tuple[Any, ...], room: int, levels: int
) -> int:
    """Return what remains of `room` bytes, or a negative number if a copy must be made.

    Each value counts as at least one byte and each str as its length, never more than the
    encoder will write. So cycles, and references repeated a million times, end here soon. Lone
    surrogates are left to the encoder, which raises for them.
    """
    room -= len(container)
    if room < 0 or not levels:
        return -1
    values: Any = container
    if type(container) is dict:
        for key in container:
            if type(key) is not str:
                return -1
            room -= len(key)
        values = container.values()
    for value in values:
        kind = type_of(value)
        if kind is str:
            room -= len(value)
        elif kind is int:
            if not -MAX_PLAIN_INTEGER <= value <= MAX_PLAIN_INTEGER:
                return -1
        elif kind is dict or kind is list or kind is tuple:
            room = _scan(value, room, levels - 1)
            if room < 0:
                return -1
        elif not (value is None or kind is bool or (kind is float and isfinite(value))):
            return -1
    return room
