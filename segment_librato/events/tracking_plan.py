"""A tracking plan: rules for the messages of a workspace, each a JSON Schema.

Reads both forms in which Segment's APIs hand one out. The Public API has a list of rules, each with
`type`, `key`, `version` and `jsonSchema`: https://docs.segmentapis.com/tag/Tracking-Plans/. The one
of the Config API is what Typewriter keeps as `plan.json`:
https://segment.com/docs/protocols/apis-and-extensions/typewriter/. What a rule applies to, and how
versions are chosen: https://segment.com/docs/protocols/tracking-plan/create/.

Needs jsonschema (`pip install "segment-librato[plan]"`). Nothing is loaded from the network: a
reference leads into its own schema. Must not know Segment's standard events.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from segment_librato.errors import ConfigError, ValidationError
from segment_librato.events.kinds import is_object
from segment_librato.events.names import find_similar
from segment_librato.events.problems import Problem, describe, shorten
from segment_librato.foreign.interruption import being_handled, let_through
from segment_librato.foreign.printable import printable
from segment_librato.message.timestamp import format_timestamp

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

__all__ = ["TrackingPlan"]

NEEDS = 'a tracking plan needs jsonschema; pip install "segment-librato[plan]"'
UNKNOWN_FORM = (
    "this is not a tracking plan: expected the rules of Segment's Public API, or the plan of its "
    "Config API"
)
KINDS = {"COMMON", "TRACK", "IDENTIFY", "GROUP", "PAGE", "SCREEN"}
OF_CONFIG_API = {"global": "COMMON", "identify": "IDENTIFY", "group": "GROUP"}
NAMED_BY = {"TRACK": "event", "PAGE": "name", "SCREEN": "name"}
ARTICLES = {
    "string": "a string",
    "number": "a number",
    "integer": "an integer",
    "boolean": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


class _Rule(NamedTuple):
    """A rule of a plan: what it is for, its version, and the schema of a whole message."""

    kind: str
    key: str
    version: int
    schema: dict[str, Any]


class TrackingPlan:
    """The rules of a tracking plan; `check` compares messages with it."""

    def __init__(self, document: object) -> None:
        """Take a plan as `json.load` returns it.

        Raises:
            ConfigError: it is not a tracking plan, one of its schemas is wrong, or jsonschema is
                not installed.
        """
        self._validators: dict[tuple[str, str], dict[int, Validator]] = {}
        try:
            rules = list(_read_rules(document))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ConfigError(UNKNOWN_FORM) from None
        if not rules:
            raise ConfigError("the tracking plan has no rules")
        for rule in rules:
            versions = self._validators.setdefault((rule.kind, rule.key), {})
            versions[rule.version] = _make_validator(rule)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TrackingPlan:
        """Read a plan from a file of JSON.

        Raises:
            ConfigError: the file cannot be read, or see the constructor.
        """
        file = printable(os.fspath(path))
        try:
            document = json.loads(Path(path).read_bytes())
        except OSError as error:
            raise ConfigError(f"cannot read the tracking plan: {file}: {error.strerror}") from None
        except (ValueError, RecursionError):
            raise ConfigError(f"cannot use {file}: the tracking plan is not JSON") from None
        try:
            return cls(document)
        except ConfigError as error:
            raise ConfigError(f"cannot use {file}: {error.message}") from None

    @property
    def events(self) -> list[str]:
        """The names of the events of `track` that it has."""
        return [key for kind, key in self._validators if kind == "TRACK"]

    def check(self, message: Mapping[str, Any]) -> list[Problem] | None:
        """Return what is against the plan; None if it has no rule for such a message.

        An event that is not in the plan is against it, if the plan has any.
        """
        kind: str = message["type"].upper()
        name: Any = message.get(NAMED_BY[kind]) if kind in NAMED_BY else ""
        problems = list(self._violations("COMMON", "", message))
        if isinstance(name, str) and (kind, name) in self._validators:
            return problems + list(self._violations(kind, name, message))
        events = self.events
        if kind == "TRACK" and events:
            similar = find_similar(name, events, with_plurals=True)
            hint = f', which has "{shorten(similar)}"' if similar else ""
            text = f'event "{shorten(name)}" is not in the tracking plan{hint}'
            return [*problems, Problem("not_planned", "event", text, similar)]
        return problems or None

    def _violations(self, kind: str, key: str, message: Mapping[str, Any]) -> Iterator[Problem]:
        versions = self._validators.get((kind, key))
        if not versions:
            return
        from referencing.exceptions import Unresolvable  # loaded with the validators

        validator = versions.get(_version_of(message)) or versions[min(versions)]
        handled = being_handled()
        try:
            violations = sorted(validator.iter_errors(message), key=lambda one: one.json_path)
        except Unresolvable:
            where = key or kind.lower()
            raise ConfigError(f"the tracking plan refers to a missing schema: {where}") from None
        except Exception as error:  # noqa: BLE001  jsonschema takes no number or depth for too large
            let_through(error, handled)
            text = f"the message cannot be compared with the plan: {type(error).__name__}"
            yield Problem("not_as_planned", "", text)
            return
        # There is a violation for each name that is missing, and each has all that is required.
        yield from dict.fromkeys(one for each in violations for one in _describe(each))


def _version_of(message: Mapping[str, Any]) -> Any:  # noqa: ANN401  whatever stands there
    context = message.get("context")
    protocols = context.get("protocols") if is_object(context) else None
    version = protocols.get("event_version") if is_object(protocols) else None
    return version if isinstance(version, int) else None


def _read_rules(document: Any) -> Iterator[_Rule]:  # noqa: ANN401  whatever a file has
    """Yield the rules of a document. Raises whatever its wrong form leads to."""
    for wrapper in ("data", "tracking_plan", "trackingPlan"):
        if is_object(document) and wrapper in document:
            document = document[wrapper]
    rules = document["rules"] if is_object(document) else document
    if is_object(rules):  # as in the Config API
        for one in rules["events"]:
            yield _Rule("TRACK", str(one["name"]), int(one.get("version") or 1), dict(one["rules"]))
        for name, kind in OF_CONFIG_API.items():
            if rules.get(name):
                yield _Rule(kind, "", 1, dict(rules[name]))
        return
    for one in rules:
        kind = str(one["type"]).upper()
        if kind in KINDS:
            version = int(one.get("version") or 1)
            yield _Rule(kind, str(one.get("key") or ""), version, dict(one["jsonSchema"]))


def _make_validator(rule: _Rule) -> Validator:
    """Return what compares a message with a rule. Raises ConfigError: its schema is wrong."""
    try:
        from jsonschema import Draft7Validator, FormatChecker
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import validator_for
        from referencing import Registry
    except ImportError:
        raise ConfigError(NEEDS) from None
    checker = FormatChecker(())
    checker.checks("date-time", ValidationError)(_is_time)
    kind = validator_for(rule.schema, default=Draft7Validator)
    try:
        kind.check_schema(rule.schema)
    except SchemaError as error:
        where = f"{rule.key or rule.kind.lower()}, {error.json_path}"
        raise ConfigError(f"the tracking plan has a wrong schema: {where}") from None
    validator: Validator = kind(rule.schema, registry=Registry(), format_checker=checker)
    return validator


def _is_time(value: object) -> bool:
    return not isinstance(value, str) or format_timestamp(value, 0.0) is not None


def _describe(violation: Any) -> Iterator[Problem]:  # noqa: ANN401  an error of jsonschema
    """Yield what a violation means, without the value: it may be a secret."""
    path = shorten(violation.json_path.removeprefix("$").removeprefix("."))
    rule, expected, value = violation.validator, violation.validator_value, violation.instance
    if rule == "required":
        for name in expected:
            if name not in value:
                inside = f"{path}.{shorten(name)}".removeprefix(".")
                yield Problem("missing", inside, f"{inside} is missing")
        return
    if rule == "additionalProperties" and expected is False:
        known = violation.schema.get("properties", {})
        for name in value:
            if name not in known:
                yield _unplanned(f"{path}.{shorten(name)}".removeprefix("."), name, known)
        return
    where = path or "the message"
    if rule == "type":
        kinds = [expected] if isinstance(expected, str) else expected
        words = " or ".join(ARTICLES.get(one, str(one)) for one in kinds)
        yield Problem("wrong_type", path, f"{where} is {describe(value)}, not {words}")
    else:
        limit = shorten(json.dumps(expected, ensure_ascii=False))
        yield Problem("not_as_planned", path, f"{where} is against the plan: {rule} {limit}")


def _unplanned(path: str, name: object, known: Mapping[str, Any]) -> Problem:
    similar = find_similar(name, known, with_plurals=True) if isinstance(name, str) else None
    hint = f", which has {shorten(similar)}" if similar else ""
    return Problem("not_planned", path, f"{path} is not in the tracking plan{hint}", similar)
