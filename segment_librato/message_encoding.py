"""A built message becomes bytes: by the fastest encoder if it is usual, by that for all if not.

What is usual is proven without a look at each value. Knows how a built message looks; nothing of
threads or the network.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from segment_librato.encoding import encode
from segment_librato.message import MAX_MESSAGE_BYTES
from segment_librato.plain import count_none, dicts_in, is_tracked, look_into
from segment_librato.spelling import spell

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.message import Message

__all__ = ["encode_message"]

_encoder = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
)
_TEXT = frozenset({str})


def _encode_with_orjson(message: Message) -> tuple[bytes, Message]:
    """Have orjson encode a usual message, any other be encoded by the encoder for all.

    orjson spells NaN as null: there are more of them then than there are None.
    """
    try:
        if _is_flat(message):
            nones = (message["userId"] is None) + (message["anonymousId"] is None)
        else:
            nones = look_into(message)
        data = orjson.dumps(message, None, _OPTIONS)
        nulls = data.count(b"null")
        is_usual = nulls == nones or nulls == count_none(message)
        if is_usual and len(data) <= MAX_MESSAGE_BYTES:
            # What orjson returns keeps the buffer that it was written to, of over 1,000 bytes.
            return b"".join((data, b"")), message
    except Exception:  # noqa: BLE001, S110  something is not as usual
        pass
    return encode(message, MAX_MESSAGE_BYTES)


def _encode_with_json(message: Message) -> tuple[bytes, Message]:
    """Have a usual message spelled, any other be encoded by the encoder for all.

    The encoder of `json` refuses NaN, but makes texts of keys that are something else.
    """
    try:
        if _is_flat(message):
            data = spell(message)
        else:
            look_into(message)
            _check_keys(message)
            data = _encoder.encode(message).encode()
        if len(data) <= MAX_MESSAGE_BYTES:
            return data, message
    except Exception:  # noqa: BLE001, S110  something is not as usual
        pass
    return encode(message, MAX_MESSAGE_BYTES)


def _is_flat(message: Message) -> bool:
    """Return whether there are only texts, numbers, None and what encoders refuse, but NaN.

    CPython does not track a dict of nothing else. (Since 3.14 it tracks all of them.)
    """
    return (
        len(message["context"]) == 1  # the library
        and not message["integrations"]
        and not is_tracked(message.get("properties") or message.get("traits"))
    )


def _check_keys(message: Message) -> None:
    keys = set().union(*dicts_in(message))
    if not _TEXT.issuperset(map(type, keys)):
        raise TypeError("not plain")


encode_message: Callable[[Message], tuple[bytes, Message]] = _encode_with_json
"""Encode a message that was built; return the bytes and the message they spell.

Raises:
    MessageTooLargeError: the message exceeds 32 KB.
"""

if orjson:
    _OPTIONS = (
        orjson.OPT_PASSTHROUGH_DATACLASS
        | orjson.OPT_PASSTHROUGH_DATETIME
        | orjson.OPT_PASSTHROUGH_SUBCLASS
    )
    encode_message = _encode_with_orjson
