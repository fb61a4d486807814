"""A built message becomes bytes: by the fastest encoder if it is usual, by that for all if not.

What is usual is proven without a look at each value. Knows how a built message looks; nothing of
threads or the network.
"""

from __future__ import annotations

from functools import cache
from gc import get_referents
from typing import TYPE_CHECKING, Any, TypeAlias

from segment_librato.encoding.flat import spell
from segment_librato.encoding.plain import (
    MAY_HIDE,
    check_keys,
    check_nones,
    hides,
    is_tracked,
    look_into,
)
from segment_librato.encoding.strict import encode, to_json
from segment_librato.message.build import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.message.build import Message

__all__ = ["message_encoder"]

FEW_VALUES = 100  # an encoder may write the largest of them as often

EncodeMessage: TypeAlias = "Callable[[Message], tuple[bytes, Message]]"


@cache
def message_encoder() -> EncodeMessage:
    """Return what encodes messages: with orjson, if it is installed.

    It takes a message that was built, returns its bytes and the message they spell, and raises
    MessageTooLargeError if there are more than 32 KB. The first client imports orjson, as not
    every program that imports this library has one, and it takes as long as half the library.
    """
    if not is_tracked:
        return lambda message: encode(message, MAX_MESSAGE_BYTES)
    try:
        import orjson  # noqa: PLC0415  see above
    except ImportError:
        return _make_encoder(None, 0)
    options = (
        orjson.OPT_APPEND_NEWLINE  # to be cut off: a slice of all bytes would be no copy
        | orjson.OPT_PASSTHROUGH_DATACLASS
        | orjson.OPT_PASSTHROUGH_DATETIME
        | orjson.OPT_PASSTHROUGH_SUBCLASS
    )
    return _make_encoder(orjson.dumps, options)


def _make_encoder(dumps: Callable[..., bytes] | None, options: int) -> EncodeMessage:
    """Return what encodes usual messages with the `dumps` of orjson, or without it.

    It is written in one piece, as each function costs 2 % of a call.
    """

    def encode_message(message: Message) -> tuple[bytes, Message]:
        try:
            own = message.get("properties") or message.get("traits") or {}
            context, integrations = message["context"], message["integrations"]
            values: list[Any] = []  # in dicts that are not flat, and in containers among them
            below: list[Any] = []
            if len(context) > 1 or integrations or is_tracked(own):  # 1: the library
                values = get_referents(own, context, integrations)
                below = get_referents(*values[:FEW_VALUES])
                is_deep = len(values) + len(below) > FEW_VALUES
                is_deep = is_deep or (MAY_HIDE and any(map(hides, values)))
                for one in below[:FEW_VALUES]:  # with `any` and `map` a call takes 3 % longer
                    # An object of a class in Python is met with its class, which is tracked.
                    is_deep = is_deep or is_tracked(one)
                if is_deep:
                    values, below = look_into(values, MAX_MESSAGE_BYTES), []
            if dumps:
                # What it returns keeps the buffer it was written to, of over 1,000 bytes.
                data = dumps(message, None, options)[:-1]
                # It spells NaN as null: there are more of them then than there are None.
                nones = [message["userId"], message["anonymousId"], *values].count(None)
                if (nulls := data.count(b"null")) != nones:
                    check_nones(nulls, message)
            elif values:
                check_keys([own, context, integrations, *values, *below])  # json would take others
                data = to_json(message).encode()
            else:
                data = spell(message)
            if len(data) <= MAX_MESSAGE_BYTES:
                return data, message
        except Exception:  # noqa: BLE001, S110  something is not as usual
            pass
        return encode(message, MAX_MESSAGE_BYTES)

    return encode_message
