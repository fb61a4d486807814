"""A built message becomes bytes, once: the fast paths, and the proof that they may be taken.

An encoder writes a value as often as it meets it, a million times if need be, and accepts values
that JSON does not have. So before a message goes to a fast encoder it has to be *plain*: nothing
but dicts with str keys, lists, tuples, str, int, float, bool and None, not too many of them, and
none of them too deep. Anything else goes to `strict.encode`, which looks at each value.

The proof costs a fraction of the encoding, because CPython's garbage collector has done most of
it. `gc.is_tracked(dict)` is False only if the dict has never held a container or an object of a
Python class; `gc.get_referents` lists the values of a dict (and its keys, unless all are str) in
one C call. Per version of CPython:

- 3.10 to 3.12: an untracked dict is flat. It holds str, numbers, None, tuples of these, and objects
  of other C types, which every encoder rejects by itself; but orjson writes what an
  `orjson.Fragment` holds. Tracked dicts are looked into.
- 3.13: the collector does not see the values that an object keeps inline for its `__dict__`, so
  such a dict has fewer referents than entries (`is_partly_hidden`) and counts as not plain.
- 3.14: all dicts are tracked, and so all are looked into. `is_partly_hidden` holds as well.
- PyPy has no `gc.is_tracked`: every message goes to `strict.encode`.

Three things the collector cannot tell. NaN, which orjson writes as null, is found by counting the
nulls in the result. A text that is longer than a message may be would be copied several times,
six-fold if it is full of control characters: so all lengths are added up before anything is
written. And so the keys are at hand, to see whether all are str.

Must not know threads or the network.
"""

from __future__ import annotations

import gc
import sys
from functools import cache
from gc import get_referents
from itertools import chain
from operator import length_hint
from typing import TYPE_CHECKING, Any, TypeAlias

from segment_librato.encoding.flat import encode_flat
from segment_librato.encoding.strict import encode, to_json
from segment_librato.foreign.interruption import being_handled, is_interruption, let_through
from segment_librato.foreign.narrowing import DICT, type_of
from segment_librato.log import log
from segment_librato.message.fields import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.message.fields import Message

__all__ = ["EncodeMessage", "encoder_of_plain", "load_encoder", "message_encoder"]

MAX_LEVELS = 8

_ATOMS = frozenset({int, bool, type(None)})
LIBRARY_ONLY = ["library"]  # the keys of a usual context

MAY_HIDE = sys.version_info >= (3, 13)  # see above

is_tracked: Any = getattr(gc, "is_tracked", None)  # PyPy has none, and needs nothing below

EncodeMessage: TypeAlias = "Callable[[Message], tuple[bytes, Message]]"

_warned: list[bool] = []  # not empty once the log says that orjson cannot be imported


def message_encoder(limit: int = MAX_MESSAGE_BYTES) -> EncodeMessage:
    """Return the function that encodes messages: with orjson, if it is installed.

    It takes a built message, returns its bytes and the message they encode, and raises
    MessageTooLargeError if there are more than `limit`, which is at least 32 KB. If orjson is
    installed but cannot be imported, as without a file descriptor left, messages are encoded
    without it, and the next client tries again.
    """
    handled = being_handled()
    try:
        return load_encoder(limit)
    except Exception as error:  # noqa: BLE001  the import of a module may raise anything
        let_through(error, handled)
        if not _warned:
            _warned.append(True)
            log.warning("orjson cannot be imported, and is not used: %s", type(error).__name__)
    return _make_encoder(None, 0, limit)


@cache
def load_encoder(limit: int = MAX_MESSAGE_BYTES) -> EncodeMessage:
    """Make the function that `message_encoder` returns, once.

    The first client imports orjson, because not every program that imports this library makes
    one: 7 ms on top of the library's 56.

    Raises:
        Exception: orjson is installed, but cannot be imported.
    """
    if not is_tracked:
        return lambda message: encode(message, limit)
    return _make_encoder(*_load_orjson(), limit)


def encoder_of_plain() -> Callable[[Message], bytes] | None:
    """Return a function that encodes messages that are known to be plain, but perhaps for keys.

    It raises TypeError for keys that are not str, or for an int of more than 64 bits. None if
    orjson is not there.
    """
    message_encoder()  # it logs why orjson cannot be imported
    dumps, options = (None, 0) if _warned else _load_orjson()
    return (lambda message: dumps(message, None, options)[:-1]) if dumps else None


def _load_orjson() -> tuple[Callable[..., bytes] | None, int]:
    """Return the `dumps` of orjson and its options; None without it.

    Raises:
        Exception: it is installed, but cannot be imported.
    """
    handled = being_handled()
    try:
        import orjson  # see `load_encoder`
    except ImportError as error:
        let_through(error, handled)
        return None, 0
    return orjson.dumps, (
        orjson.OPT_APPEND_NEWLINE  # to be cut off: a slice of all bytes would be no copy
        | orjson.OPT_PASSTHROUGH_DATACLASS
        | orjson.OPT_PASSTHROUGH_DATETIME
        | orjson.OPT_PASSTHROUGH_SUBCLASS
    )


def _make_encoder(  # noqa: C901  see below
    dumps: Callable[..., bytes] | None, options: int, limit: int = MAX_MESSAGE_BYTES
) -> EncodeMessage:
    """Return the function that encodes plain messages with the `dumps` of orjson, or without it.

    It is written in one piece, because each function costs 2 % of a call.
    """

    def encode_message(message: Message) -> tuple[bytes, Message]:  # noqa: C901  see above
        try:
            own = message["properties"] if "properties" in message else message.get("traits", {})
            context, integrations = message["context"], message["integrations"]
            is_flat = [*context] == LIBRARY_ONLY and not (integrations or is_tracked(own))
            values = [] if is_flat else check_nested([own, context, integrations], keys=not dumps)
            if not dumps:
                data = encode_flat(message) if is_flat else to_json(message).encode()
            else:
                room = MAX_MESSAGE_BYTES - sum(map(len, own)) if is_flat else 0
                for key in own if is_flat and room >= 0 else ():
                    one = own[key]
                    kind = type_of(one)
                    if kind is str:
                        room -= len(one)
                    elif kind not in _ATOMS and not (kind is float and one - one == 0):
                        room = -1  # NaN, a tuple that is not tracked, ...
                        break
                if room < 0:
                    raise ValueError("not plain, or too long")  # noqa: TRY301  a call would cost
                # A copy: the bytes orjson returns keep their buffer of over 1,000 bytes.
                data = dumps(message, None, options)[:-1]
                if not is_flat:  # it writes NaN as null: there are more nulls than None then
                    nones = [message["userId"], message["anonymousId"], *values].count(None)
                    if not has_nulls(data, nones):
                        check_nones(data.count(b"null"), message)
            if len(data) <= MAX_MESSAGE_BYTES:
                return data, message
        except Exception as error:  # the message is not plain
            if is_interruption(error):
                raise
        return encode(message, limit)

    return encode_message


def check_nested(dicts: list[dict[str, Any]], *, keys: bool) -> list[Any]:
    """Check that what some dicts hold is plain, and not too much.

    Args:
        dicts: the dicts.
        keys: check that all keys are str, too: json accepts others.

    Returns:
        The values in them and in what is nested in them, except those in dicts and tuples that are
        not tracked.

    Raises:
        ValueError: there are too many values, characters or levels.
        TypeError: they are not plain.
    """
    inside = get_referents(*dicts)
    values, tracked_dicts = inside, [*dicts]
    room = MAX_MESSAGE_BYTES
    for _ in range(MAX_LEVELS):
        level = [*filter(is_tracked, inside)]
        if not level:
            break
        for one in level:
            kind = type_of(one)
            if kind is dict:
                tracked_dicts.append(one)
            elif kind is not list and kind is not tuple:  # an object of a Python class, or a set
                raise TypeError("not plain")
            room -= len(one)
        if room < 0:
            raise ValueError("many values")
        inside = get_referents(*level)
        values += inside
    else:
        raise ValueError("many levels")
    if MAY_HIDE and any(map(is_partly_hidden, values)):
        raise TypeError("not plain")
    all_keys = check_lengths(tracked_dicts, values, room)
    if keys and not {str}.issuperset(map(type, all_keys)):
        raise TypeError("not plain")
    return values


def check_lengths(tracked_dicts: list[dict[str, Any]], values: list[Any], room: int) -> set[Any]:
    """Check that the texts and keys of what is encoded are not too long; return the keys.

    A text of megabytes would be copied several times before the message is found to be too large.

    Args:
        tracked_dicts: the dicts whose values are among `values`.
        values: all but those in dicts and tuples that are not tracked.
        room: how many characters there may be, and values in dicts and tuples that are not tracked.

    Raises:
        ValueError: there are more, or a tuple is in a dict or tuple that is not tracked.
        TypeError: a key has no length.
    """
    flat_dicts: list[dict[str, Any]] = []
    flat_tuples: list[tuple[Any, ...]] = []
    for one in values:
        kind = type_of(one)
        if kind is str:
            room -= len(one)
        elif kind is dict and not is_tracked(one):
            flat_dicts.append(one)
            room -= len(one)
        else:
            room -= length_hint(one)  # of a subclass of str, too
            if kind is tuple and not is_tracked(one):
                flat_tuples.append(one)
    if room < 0:
        raise ValueError("many values")
    dicts = [*tracked_dicts, *flat_dicts]
    inside = get_referents(*flat_dicts, *flat_tuples)
    keys: set[Any] = set()
    keys.update(*dicts)
    length = sum(map(len, keys))
    if length * len(dicts) > room:  # a key counts as often as it is met
        length = sum(map(len, chain.from_iterable(dicts)))
    if get_referents(*inside) or length + sum(map(length_hint, inside)) > room:
        raise ValueError("many bytes")
    return keys


def has_nulls(data: bytes, count: int) -> bool:
    """Return whether "null" is in some JSON this often; sooner than `data.count` would."""
    end = len(data)
    while count >= 0 and (end := data.rfind(b"null", 0, end)) >= 0:
        count -= 1
    return count == 0


def is_partly_hidden(value: object) -> bool:
    """Return whether it is a dict some of whose values the collector does not see."""
    return type(value) is DICT and len(get_referents(value)) < len(value)


def check_nones(count: int, value: dict[str, Any]) -> None:
    """Check that there are `count` None in a dict that was looked into.

    Raises:
        ValueError: there are more, or fewer.
    """
    values = get_referents(value)
    for _ in range(MAX_LEVELS + 2):  # two above those that were looked into; more if it changes
        count -= values.count(None)
        values = get_referents(*values)
    if count or values:
        raise ValueError("not plain")
