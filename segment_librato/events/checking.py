"""`check`: what is wrong with a message, going by Segment's spec and a tracking plan.

Owns which part of a message is compared with what. Must not know how values are compared, or the
form of a plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from segment_librato.events.catalog import EVENTS
from segment_librato.events.fields import (
    Context,
    GroupTraits,
    PageProperties,
    ScreenProperties,
    TrackProperties,
    UserTraits,
)
from segment_librato.events.kinds import is_object
from segment_librato.events.names import find_similar, in_snake_case, is_camel_case
from segment_librato.events.problems import Problem, describe, shorten
from segment_librato.events.values import check_object, keys_of

if TYPE_CHECKING:
    from segment_librato.events.tracking_plan import TrackingPlan

__all__ = ["check"]

FIELDS: dict[str, tuple[str, Any]] = {
    "track": ("properties", TrackProperties),
    "identify": ("traits", UserTraits),
    "group": ("traits", GroupTraits),
    "page": ("properties", PageProperties),
    "screen": ("properties", ScreenProperties),
}
NEEDED = {"track": "event", "group": "groupId", "alias": "previousId"}


def check(message: Mapping[str, Any], plan: TrackingPlan | None = None) -> list[Problem]:
    """Return what is wrong with a message; an empty list if nothing is.

    Where the plan has a rule for a message, the rule counts; otherwise, and for the context,
    Segment's spec does. Names of your own are right, unless they look like one of the spec, or are
    camelCase among snake_case.

    Args:
        message: a message as a call returns it, or as it is sent.
        plan: a tracking plan.

    Raises:
        ConfigError: the plan refers to a schema that it does not have.
    """
    if not is_object(message):
        return [Problem("wrong_type", "", f"the message is {describe(message)}, not an object")]
    problems = list(_check_fields(message))
    if problems:  # without them, nothing else means much
        return problems
    planned = plan.check(message) if plan else None
    if planned is None:
        problems += _check_with_spec(message)
    else:
        problems += planned
    if message.get("context") is not None:
        problems += check_object(message["context"], Context, "context")
    return problems


def _check_fields(message: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what keeps a message from being one."""
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in (*FIELDS, "alias"):
        text = "type is not track, identify, group, alias, page or screen"
        yield Problem("wrong_value" if _has(message, "type") else "missing", "type", text)
        return
    if not (_has(message, "userId") or _has(message, "anonymousId")):
        yield Problem("missing", "userId", "userId is missing, and so is anonymousId")
    needed = NEEDED.get(kind)
    if needed and not _has(message, needed):
        yield Problem("missing", needed, f"{needed} is missing")
    elif kind == "track" and not isinstance(message["event"], str):
        text = f"event is {describe(message['event'])}, not a string"
        yield Problem("wrong_type", "event", text)


def _has(message: Mapping[str, Any], name: str) -> bool:
    """Return whether there is a value: an empty text is none. Others may have no truth."""
    value = message.get(name)
    return bool(value) if isinstance(value, str) else value is not None


def _check_with_spec(message: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong going by Segment's spec."""
    kind = message["type"]
    if kind not in FIELDS:
        return
    field, spec = FIELDS[kind]
    found: Any = message.get(field)
    if found is None:
        found = {}
    own = spec
    if kind == "track":
        event = message["event"]
        if similar := find_similar(event, EVENTS, with_plurals=True):
            text = f'event "{shorten(event)}" looks like "{similar}"'
            yield Problem("event_name", "event", text, similar)
        own = EVENTS.get(event, spec)
    yield from check_object(found, own, field)
    if not is_object(found):
        return
    known = keys_of(own)
    general = {key: found[key] for key in keys_of(spec) if key in found and key not in known}
    yield from check_object(general, spec, field)
    yield from _check_case(found, known, field)


def _check_case(found: Mapping[Any, Any], known: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """Yield the names of the user's own that are camelCase although others are snake_case."""
    names = [name for name in found if isinstance(name, str)]
    if not any("_" in name.strip("_") for name in names):
        return
    for name in names:
        if is_camel_case(name) and name not in known and not find_similar(name, known):
            inside = f"{path}.{shorten(name)}"
            right = in_snake_case(name)
            text = f"{inside} is camelCase among snake_case: {shorten(right)}"
            yield Problem("mixed_case", inside, text, right)
