"""A built message becomes bytes: by the fastest encoder if it is usual, by that for all if not.

What is usual is proven without a look at each value. Knows how a built message looks; nothing of
threads or the network.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from segment_librato.encoding import encode, to_json
from segment_librato.message import MAX_MESSAGE_BYTES
from segment_librato.plain import count_none, is_tracked, look_into
from segment_librato.spelling import spell

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.message import Message

__all__ = ["message_encoder"]

_TEXT = frozenset({str})

EncodeMessage: TypeAlias = "Callable[[Message], tuple[bytes, Message]]"


@cache
def message_encoder() -> EncodeMessage:
    """Return what encodes messages: with orjson, if it is installed.

    It takes a message that was built, returns its bytes and the message they spell, and raises
    MessageTooLargeError if there are more than 32 KB. The first client imports orjson, as not
    every program that imports this library has one, and it takes as long as half the library.
    """
    try:
        return _make_orjson_encoder()
    except ImportError:
        return _encode_with_json


def _make_orjson_encoder() -> EncodeMessage:
    import orjson  # noqa: PLC0415  see `message_encoder`

    dumps = orjson.dumps
    options = (
        orjson.OPT_PASSTHROUGH_DATACLASS
        | orjson.OPT_PASSTHROUGH_DATETIME
        | orjson.OPT_PASSTHROUGH_SUBCLASS
    )

    def encode_with_orjson(message: Message) -> tuple[bytes, Message]:
        """Have orjson encode a usual message, any other be encoded by the encoder for all.

        orjson spells NaN as null: there are more of them then than there are None.
        """
        try:
            nones = (message["userId"] is None) + (message["anonymousId"] is None)
            if nested := _nested(message):
                nones += look_into(*nested).count(None)
            data = dumps(message, None, options)
            nulls = data.count(b"null")
            is_usual = nulls == nones or nulls == count_none(message)
            if is_usual and len(data) <= MAX_MESSAGE_BYTES:
                # What orjson returns keeps the buffer it was written to, of over 1,000 bytes.
                return b"".join((data, b"")), message
        except Exception:  # noqa: BLE001, S110  something is not as usual
            pass
        return encode(message, MAX_MESSAGE_BYTES)

    return encode_with_orjson


def _encode_with_json(message: Message) -> tuple[bytes, Message]:
    """Have a usual message spelled, any other be encoded by the encoder for all.

    The encoder of `json` refuses NaN, but makes texts of keys that are something else.
    """
    try:
        if nested := _nested(message):
            dicts = [one for one in look_into(*nested) if type(one) is dict]
            if not _TEXT.issuperset(map(type, set().union(*nested, *dicts))):
                raise TypeError("not plain")  # noqa: TRY301  as what json itself refuses
            data = to_json(message).encode()
        else:
            data = spell(message)
        if len(data) <= MAX_MESSAGE_BYTES:
            return data, message
    except Exception:  # noqa: BLE001, S110  something is not as usual
        pass
    return encode(message, MAX_MESSAGE_BYTES)


def _nested(message: Message) -> tuple[Message, ...]:
    """Return what may hold more than texts, numbers, None and what encoders refuse, but NaN.

    CPython does not track a dict of nothing else. (Since 3.14 it tracks all of them.)
    """
    own = message.get("properties") or message.get("traits") or {}
    context, integrations = message["context"], message["integrations"]
    if len(context) == 1 and not integrations and not is_tracked(own):  # 1: the library
        return ()
    return own, context, integrations
