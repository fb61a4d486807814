"""A capture: what is tracked while it lasts, as lists to look at and as assertions.

Must not know how a message comes here (`recording`), or how two of them differ (`difference`).
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from segment_librato.errors import unexpected
from segment_librato.global_client import keep_default_client
from segment_librato.librato.mapper import Measurement, explain, gauge_name
from segment_librato.message.fields import Identifier, Message
from segment_librato.recording import Recording, recordings
from segment_librato.testing.difference import Expected, nearest, overview, problems

if TYPE_CHECKING:
    from segment_librato.events import TrackingPlan
else:
    TrackingPlan = object  # for `typing.get_type_hints`, without an import of the events

__all__ = ["Capture", "capture"]

ONCE = 1


@contextmanager
def capture() -> Generator[Capture, None, None]:
    """Record what every client of this process and the calls of the module track; send nothing.

    It holds for clients that were made before, for those of other hosts, and on all threads.
    Calls check their arguments as ever, but need no write key; `flush` and `shutdown` have nothing
    to wait for. Captures nest: the innermost one records.

    At the end, all is as it was: clients that were shut down meanwhile go on, and the module has
    its former default client. A client that was made meanwhile sends nothing for good.
    """
    recording = Recording()
    bring_back = keep_default_client()
    recordings.append(recording)
    try:
        yield Capture(recording)
    finally:
        recordings.remove(recording)
        recording.closed.clear()
        bring_back()


class Capture:
    """What was recorded so far. Thread-safe; it can be read after its end, too.

    Where it compares values, these may be what a call takes, such as a datetime: they are compared
    as they are sent. What is equal to anything, such as `unittest.mock.ANY`, does what it says.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def __repr__(self) -> str:
        """Say how much there is."""
        return f"<Capture of messages: {len(self._recording.entries)}>"

    @property
    def messages(self) -> list[Message]:
        """The messages of all types, as they would be sent, in the order of the calls."""
        return [json.loads(data) for data, _ in self._recording.entries.copy()]

    @property
    def measurements(self) -> list[Measurement]:
        """The measurements that these messages make, directly or through Segment's cloud."""
        return [made for _, made in self._recording.entries.copy() if made]

    def clear(self) -> None:
        """Forget what was recorded so far."""
        self._recording.entries.clear()

    def tracked(self, event: str | None = None, **properties: object) -> list[Message]:
        """Return the `track` messages of this event, None for all, that have these properties.

        Those of `gauge` are among them.
        """
        return self._find(_expected_track(event, properties))

    def assert_tracked(
        self,
        event: str,
        *,
        user_id: Identifier | None = None,
        times: int | None = None,
        **properties: object,
    ) -> None:
        """Check that an event was tracked, with these properties and perhaps others.

        Args:
            event: Name of the event.
            user_id: Whose it is; None for anybody's.
            times: How many such messages there are; None for one or more.
            properties: What it has, each with its value.

        Raises:
            AssertionError: It was not; the text shows the nearest message, and where it differs.
        """
        __tracebackhide__ = True
        _check_event(event)
        expected = _expected_track(event, properties, user_id)
        found, name = self._find(expected), _quoted(event)
        like_this = " like this" if properties or user_id is not None else ""
        if times is None and not found:
            raise AssertionError(f"{name} was not tracked{like_this}{self._rest(expected, found)}")
        if times is not None and len(found) != times:
            seen = f"{name} was tracked {_count(len(found))}{like_this}, not {_count(times)}"
            rest = self._rest(expected, found) if len(found) < times else overview(found)
            raise AssertionError(f"{seen}{rest}")

    def assert_not_tracked(self, event: str) -> None:
        """Check that an event was not tracked by anybody.

        Raises:
            AssertionError: It was; the text shows the messages.
        """
        __tracebackhide__ = True
        _check_event(event)
        found = self.tracked(event)
        if found:
            times = _count(len(found))
            raise AssertionError(f"{_quoted(event)} was tracked {times}{overview(found)}")

    def assert_identified(self, user_id: Identifier, **traits: object) -> None:
        """Check that a user was identified, with these traits and perhaps others.

        Raises:
            AssertionError: The user was not; the text shows the nearest message, and where it
                differs.
        """
        __tracebackhide__ = True
        fields = {"type": "identify", "userId": str(user_id), "traits": traits}
        expected = Expected(fields, part="traits")
        found = self._find(expected)
        if not found:
            seen = f"{_quoted(str(user_id))} was not identified{' like this' if traits else ''}"
            raise AssertionError(f"{seen}{self._rest(expected, found)}")

    def assert_gauge(self, name: str, value: object = None, source: str | None = None) -> None:
        """Check that a gauge got a value, by a call of `gauge` or by an event with a `value`.

        Args:
            name: Name of the gauge, or of the event behind it.
            value: The number; None for any.
            source: Its source; None for any.

        Raises:
            AssertionError: It did not; the text shows the nearest measurement, and where it
                differs.
        """
        __tracebackhide__ = True
        name = gauge_name(name) or name
        given = {"name": name, "value": value, "source": source}
        fields = {key: one for key, one in given.items() if one is not None}
        expected = Expected(fields)
        measured = [one.as_dict() for one in self.measurements]
        if not any(expected.fits(one) for one in measured):
            like_this = " like this" if len(fields) > 1 else ""
            rest = self._why_unmeasured(name)
            if not rest:
                rest = nearest(expected, measured, "measurement") if measured else self._summary()
            raise AssertionError(f"gauge {_quoted(name)} was not measured{like_this}{rest}")

    def assert_valid(self, plan: TrackingPlan | None = None) -> None:
        """Check that all messages are as Segment's spec wants them; docs/events.md has the rules.

        Args:
            plan: A tracking plan to compare them with, too.

        Raises:
            AssertionError: Some are not; the text shows what is wrong with each.
        """
        __tracebackhide__ = True
        from segment_librato.events import check  # few need it

        messages = self.messages
        wrong = [(message, found) for message in messages if (found := check(message, plan))]
        if wrong:
            head = f"problems in {len(wrong)} of {len(messages)} messages"
            raise AssertionError(f"{head}{problems(wrong)}")

    def _find(self, expected: Expected) -> list[Message]:
        return [message for message in self.messages if expected.fits(message)]

    def _rest(self, expected: Expected, found: list[Message]) -> str:
        """Return the end of the text of a failure: the nearest message of those that do not fit."""
        kind = expected.fields["type"]
        others = [one for one in self.messages if one["type"] == kind and one not in found]
        if others:
            return nearest(expected, others, f"{kind} message")
        return overview(found) if found else self._summary()

    def _summary(self) -> str:
        """Say in a few words what was recorded, as the end of a text."""
        kinds = [message["type"] for message in self.messages]
        counts = [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)]
        return f"; what was recorded: {', '.join(counts)}" if counts else "; nothing was recorded"

    def _why_unmeasured(self, name: str) -> str:
        """Say why the event of this name makes no measurement; nothing if there is none, or one."""
        if any(one.name == name for one in self.measurements):
            return ""
        named = (one for one in self.messages if gauge_name(str(one.get("event") or "")) == name)
        message = next(named, None)
        return f":\n  {explain(message)}" if message else ""


def _check_event(event: object) -> None:
    """Reject None, which `tracked` takes for any event: a test would pass, and test nothing."""
    __tracebackhide__ = True
    if not isinstance(event, str):
        raise TypeError(unexpected("event", "a str", event))


def _expected_track(
    event: str | None, properties: Mapping[str, object], user_id: Identifier | None = None
) -> Expected:
    user = None if user_id is None else str(user_id)
    fields = {"type": "track", "event": event, "userId": user}
    given = {name: one for name, one in fields.items() if one is not None}
    return Expected({**given, "properties": properties}, part="properties")


def _count(times: int) -> str:
    return "once" if times == ONCE else f"{times} times"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
