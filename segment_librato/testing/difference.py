"""Where what a test expects differs from what was recorded, field by field.

Must not know what was recorded, or which assertion asks.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from segment_librato.encoding.coerce import coerce
from segment_librato.encoding.kinds import conversions, dump_method, field_names
from segment_librato.foreign.narrowing import is_dict, is_list, is_tuple
from segment_librato.message.fields import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.events import Problem
    from segment_librato.message.fields import Message

__all__ = ["Expected", "nearest", "overview", "problems"]

MAX_SHOWN = 10  # messages
MAX_LENGTH = 200  # characters of a value
MAX_BEFORE = 20  # of them before the first that differs


class _Missing:
    """What a field has that is not there."""

    def __repr__(self) -> str:
        return "(missing)"


MISSING = _Missing()


class Difference(NamedTuple):
    """A field of what is expected, and what was recorded in its place."""

    path: str
    expected: object
    recorded: object


class Expected:
    """The fields that a message should have; it may have others.

    Attributes:
        fields: their names and values.
        part: the name of the field that holds what the application sends; of its fields, too, a
            message may have others.
    """

    def __init__(self, fields: dict[str, Any], part: str = "") -> None:
        self.fields: dict[str, Any] = fields
        self.part: str = part

    def fits(self, message: Mapping[str, Any]) -> bool:
        """Return whether a message has all these fields."""
        return not any(_differ(*one[1:]) for one in self.compare(message))

    def compare(self, message: Mapping[str, Any]) -> Iterator[Difference]:
        """Yield the fields with what the message has: those that differ, and those that do not."""
        for name, value in self.fields.items():
            recorded = message.get(name, MISSING)
            if name != self.part:
                yield Difference(name, value, recorded)
                continue
            parts = recorded if is_dict(recorded) else {}
            for key, one in value.items():
                yield from _descend(_join(name, key), one, parts.get(key, MISSING))


def nearest(expected: Expected, messages: Sequence[Mapping[str, Any]], kind: str) -> str:
    """Show the nearest of these messages, and where it differs from what is expected."""
    best = max(messages, key=lambda message: _likeness(expected, message))
    compared = [one for one in expected.compare(best) if one.path != "type"]
    width = max(len(one.path) for one in compared)
    lines: list[str] = []
    for path, wanted, recorded in compared:
        shown = path.ljust(width)
        if _differ(wanted, recorded):
            texts = _show_both(wanted, recorded)
            lines += [f"- {shown}  {texts[0]}", f"+ {shown}  {texts[1]}"]
        else:
            lines.append(f"  {shown}  {_show(recorded)}")
    which = f"the only {kind}" if len(messages) == 1 else f"the nearest of {len(messages)} {kind}s"
    head = f"; {which} (- expected, + recorded):"
    known = expected.fields.get(expected.part, ())
    others = [_quoted(key) for key in best.get(expected.part) or () if key not in known]
    tail = [f"  its other {expected.part}: {', '.join(others)}"] if others else []
    return "\n".join([head, *lines, *tail])


def overview(messages: Sequence[Message]) -> str:
    """Show track messages, each in a line."""
    lines = [f"  {_user_of(one)}  {_show(one['properties'])}" for one in messages[:MAX_SHOWN]]
    return "\n".join([":", *lines, *_more(messages)])


def problems(wrong: Sequence[tuple[Message, list[Problem]]]) -> str:
    """Show messages, each in a line, and below it what is wrong with it."""
    lines: list[str] = []
    for message, found in wrong[:MAX_SHOWN]:
        event = f" {_show(message['event'])}" if "event" in message else ""
        lines.append(f"  {message['type']}{event} of {_user_of(message)}")
        lines += [f"    {problem}" for problem in found]
    return "\n".join([":", *lines, *_more(wrong)])


def _user_of(message: Message) -> object:
    return message.get("userId") or message.get("anonymousId")


def _more(messages: Sequence[object]) -> list[str]:
    more = len(messages) - MAX_SHOWN
    return [f"  and {more} more"] if more > 0 else []


def as_sent(value: object) -> object:
    """Return what a call would send for a value; what nobody sends, such as a matcher, itself."""
    kinds = [kind for kind, _ in conversions()]
    is_sent = isinstance(value, (Enum, Collection, *kinds))
    if is_sent or field_names(value) is not None or dump_method(type(value)):
        return coerce(value, MAX_MESSAGE_BYTES)
    return value


def _descend(path: str, expected: object, recorded: object) -> Iterator[Difference]:
    """Yield the fields of a value, or the value itself if it has none, or nothing like them."""
    if not _differ(expected, recorded):
        yield Difference(path, expected, recorded)
        return
    wanted = expected if is_dict(expected) or is_list(expected) else as_sent(expected)
    wanted = _with_sent_keys(wanted) if is_dict(wanted) else wanted
    keys: list[Any]
    if is_dict(wanted) and is_dict(recorded):
        keys = [*dict.fromkeys([*wanted, *recorded])]
        pairs = [(key, wanted.get(key, MISSING), recorded.get(key, MISSING)) for key in keys]
    elif is_list(wanted) and is_list(recorded):
        keys = [*range(max(len(wanted), len(recorded)))]
        pairs = [(key, _item(wanted, key), _item(recorded, key)) for key in keys]
    else:
        pairs = []
        yield Difference(path, expected, recorded)
    for key, one, other in pairs:
        if _differ(one, other):
            yield from _descend(_join(path, key), one, other)


def _differ(expected: object, recorded: object) -> bool:
    """Return whether two values differ, the first of which may be anything that a call takes."""
    if is_dict(expected) and is_dict(recorded):
        expected = _with_sent_keys(expected)
        keys = expected.keys() | recorded.keys()
        return any(_differ(expected.get(key, MISSING), recorded.get(key, MISSING)) for key in keys)
    if (is_list(expected) or is_tuple(expected)) and is_list(recorded):
        pairs = zip(expected, recorded, strict=False)
        return len(expected) != len(recorded) or any(_differ(*pair) for pair in pairs)
    if isinstance(expected, (int, float)) and isinstance(recorded, (int, float)):
        return isinstance(expected, bool) != isinstance(recorded, bool) or expected != recorded
    return not (_equal(expected, recorded) or _equal(as_sent(expected), recorded))


def _with_sent_keys(expected: dict[Any, Any]) -> dict[str, Any]:
    """Return a dict with its keys as a call would send them: JSON has only text there."""
    if all(isinstance(key, str) for key in expected):
        return expected
    sent = coerce(dict.fromkeys(expected), MAX_MESSAGE_BYTES)
    return dict(zip(sent, expected.values(), strict=True))


def _equal(expected: object, recorded: object) -> bool:
    try:
        return bool(expected == recorded)
    except (TypeError, ValueError):  # an array, of which each element is compared
        return False


def _item(items: Sequence[object], index: int) -> object:
    return items[index] if index < len(items) else MISSING


def _join(path: str, key: object) -> str:
    if isinstance(key, str):
        return f"{path}.{key}" if key.isidentifier() else f"{path}[{_quoted(key)}]"
    return f"{path}[{key}]"


def _likeness(expected: Expected, message: Mapping[str, Any]) -> float:
    """Return how near a message is: what names it counts most."""
    from difflib import SequenceMatcher  # a test that passes needs none

    score = 0.0
    for path, wanted, recorded in expected.compare(message):
        weight = 3 if path in {"event", "userId", "name"} else 1
        if not _differ(wanted, recorded):
            score += weight
        elif isinstance(wanted, str) and isinstance(recorded, str):
            score += weight * SequenceMatcher(None, wanted, recorded).ratio() / 2
    return score


def _quoted(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def _show(value: object) -> str:
    return _cut(_as_json(value))


def _show_both(expected: object, recorded: object) -> tuple[str, str]:
    """Return two values as JSON; if they are long, from where they begin to differ."""
    one, other = _as_json(expected), _as_json(recorded)
    pairs = enumerate(zip(one, other, strict=False))
    start = next((at for at, (a, b) in pairs if a != b), 0)
    start = max(0, start - MAX_BEFORE)
    return _cut(one, start), _cut(other, start)


def _as_json(value: object) -> str:
    """Return a value as JSON, if it is one, on one line."""
    text = repr(value)
    with suppress(TypeError):  # of a matcher
        text = json.dumps(as_sent(value), ensure_ascii=False)
    return text


def _cut(text: str, start: int = 0) -> str:
    """Return a text without what is too much, which may be its beginning."""
    if len(text) <= MAX_LENGTH:
        return text
    end = start + MAX_LENGTH
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"
