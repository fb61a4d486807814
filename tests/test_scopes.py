"""Scopes: what calls inside take from them, how they nest, and who is in one."""

from __future__ import annotations

import asyncio
import contextvars
import random
import threading
from collections import UserDict
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from support.stand_ins import STAND_INS, Lazy, LocalProxy, Wrapped

import segment_librato as analytics
from segment_librato import Client, ValidationError, import_rows
from segment_librato.librato import map_message
from segment_librato.message.fields import LIBRARY
from segment_librato.message.scope import current_scope, scopes_in_use
from segment_librato.scopes import scope_to_carry
from segment_librato.testing import capture

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator

    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]
    Message = dict[str, Any]

CALLS: dict[str, dict[str, Any]] = {
    "track": {"event": "Signed Up"},
    "identify": {"traits": {"plan": "pro"}},
    "group": {"group_id": "group-1"},
    "alias": {"previous_id": "previous-1"},
    "page": {},
    "screen": {},
}

client = Client("test-key", send=False)


def sent(name: str = "track", /, **arguments: Any) -> Message:
    accepted, message = getattr(client, name)(**{**CALLS[name], **arguments})
    assert accepted
    return message  # type: ignore[no-any-return]


def ids(name: str = "track", /, **arguments: Any) -> tuple[str | None, str | None]:
    message = sent(name, **arguments)
    return message["userId"], message["anonymousId"]


def context(name: str = "track", /, **arguments: Any) -> Message:
    found = sent(name, **arguments)["context"]
    assert found.pop("library") == LIBRARY
    return found  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def no_scope_is_left() -> Iterator[None]:
    yield
    assert current_scope.get() is None


# What a call takes


@pytest.mark.parametrize("name", CALLS)
def test_a_call_may_leave_out_the_user(name: str) -> None:
    with analytics.scope(user_id="user-1", context={"locale": "de"}):
        message = sent(name)
    assert (message["userId"], message["anonymousId"]) == ("user-1", None)
    assert message["context"] == {"locale": "de", "library": LIBRARY}


@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"alias"}))
def test_a_call_may_leave_out_who_is_not_known_yet(name: str) -> None:
    with analytics.scope(anonymous_id="visitor-1"):
        assert ids(name) == (None, "visitor-1")


@pytest.mark.parametrize("name", CALLS)
def test_without_an_id_in_the_scope_a_call_needs_its_own(name: str) -> None:
    with analytics.scope(context={"locale": "de"}), pytest.raises(ValidationError) as caught:
        sent(name)
    ids = "user_id or anonymous_id: neither the call nor its scope has one"
    user = "user_id: expected a str or a number, got NoneType"
    assert str(caught.value) == (user if name == "alias" else ids)
    with analytics.scope(context={"locale": "de"}):
        assert sent(name, user_id="user-1")["context"]["locale"] == "de"


def test_an_alias_needs_the_previous_id_and_a_user() -> None:
    with analytics.scope(user_id="user-1"), pytest.raises(ValidationError, match="previous_id: "):
        client.alias()
    with (
        analytics.scope(anonymous_id="visitor-1"),
        pytest.raises(ValidationError, match="user_id"),
    ):
        client.alias("previous-1")


@pytest.mark.parametrize(
    "own, expected",
    [
        ({}, ("user-1", "visitor-1")),
        ({"user_id": "user-1"}, ("user-1", "visitor-1")),
        ({"user_id": "user-2"}, ("user-2", None)),
        ({"anonymous_id": "visitor-2"}, (None, "visitor-2")),
        ({"user_id": "user-1", "anonymous_id": "visitor-2"}, ("user-1", "visitor-2")),
    ],
)
def test_a_call_that_names_somebody_else_gets_neither_id(
    own: dict[str, str], expected: tuple[str | None, str | None]
) -> None:
    """Segment takes two ids of one message for the same person, and never forgets it."""
    with analytics.scope(user_id="user-1", anonymous_id="visitor-1"):
        assert ids(**own) == expected


def test_a_user_who_was_not_known_to_the_scope_does_not_get_its_anonymous_id() -> None:
    with analytics.scope(anonymous_id="visitor-1"):
        assert ids(user_id="user-1") == ("user-1", None)


def test_an_empty_id_is_not_one_that_is_left_out() -> None:
    with analytics.scope(user_id="user-1"), pytest.raises(ValidationError, match="an empty str"):
        sent(user_id="")


@pytest.mark.parametrize(
    "value, text",
    [
        (7, "7"),
        (Decimal("1.5"), "1.5"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_an_id_may_be_what_it_may_be_in_a_call(value: Any, text: str) -> None:
    with analytics.scope(value):
        assert ids() == (text, None)
        assert ids(user_id=value) == (text, None)
    with analytics.scope(anonymous_id=value):
        assert ids() == (None, text)


@pytest.mark.parametrize("stand_in", STAND_INS)
def test_an_id_may_be_what_stands_for_one(stand_in: Any) -> None:
    with analytics.scope(stand_in("user-1")):
        assert ids() == ("user-1", None)
    with analytics.scope(anonymous_id=stand_in("visitor-1")):
        assert ids() == (None, "visitor-1")


@pytest.mark.parametrize("stand_in", [Wrapped, LocalProxy, Lazy])
def test_what_stands_for_none_is_left_out(stand_in: Any) -> None:
    nobody = stand_in(None)
    with analytics.scope(nobody), pytest.raises(ValidationError):
        sent()
    with analytics.scope("user-1"):
        assert ids(user_id=nobody) == ("user-1", None)


def test_the_context_is_under_that_of_the_call() -> None:
    given = {"app": {"name": "shop", "version": "2"}, "Librato": {"source": "web-1"}, "ip": "::1"}
    with analytics.scope("user-1", context=given):
        assert context() == given
        own = {"app": {"name": "admin"}, "Librato": {"other": 1}, "library": {"name": "x"}}
        assert context(context=own) == {
            "app": {"name": "admin"},
            "Librato": {"source": "web-1", "other": 1},
            "ip": "::1",
        }
        assert context(context=UserDict({"ip": "::2"}))["ip"] == "::2"
    assert own["library"] == {"name": "x"}


def test_a_scope_does_not_name_the_library() -> None:
    with analytics.scope("user-1", context={"library": {"name": "x"}}):
        assert sent()["context"] == {"library": LIBRARY}


def test_the_context_is_a_snapshot_and_of_each_message_its_own() -> None:
    given = {"app": {"tags": ["a", {"b": 1}]}}
    scope = analytics.scope("user-1", context=given)
    given["app"]["tags"].append("c")
    with scope:
        first = context()
        assert first == {"app": {"tags": ["a", {"b": 1}]}}
        first["app"]["tags"][1]["b"] = 2
        assert context() == {"app": {"tags": ["a", {"b": 1}]}}


@pytest.mark.parametrize("stand_in", STAND_INS)
def test_values_of_the_context_are_read_as_those_of_a_call(stand_in: Any) -> None:
    with analytics.scope("user-1", context={"app": stand_in("shop"), "x": {1.5}}):
        assert context() == {"app": "shop", "x": [1.5]}


# Gauges


def test_a_gauge_is_of_nobody_in_the_scope_but_of_its_source() -> None:
    with analytics.scope("user-1", "visitor-1", {"Librato": {"source": "web-1"}, "ip": "::1"}):
        _, message = client.gauge("queue.depth", 42)
        assert (message["userId"], message["anonymousId"]) == (None, "queue.depth")
        assert message["context"]["ip"] == "::1"
        measurement = map_message(message)
        assert measurement
        assert measurement.source == "web-1"
        _, message = client.increment("jobs.failed", source="worker-1")
        measurement = map_message(message)
        assert measurement
        assert measurement.source == "worker-1"
        assert (message["userId"], message["anonymousId"]) == (None, "worker-1")


# Wrong arguments


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"user_id": ""}, "user_id: expected a non-empty str, a number or None, got an empty str"),
        ({"user_id": True}, "user_id: expected a str or a number, got bool"),
        ({"anonymous_id": []}, "anonymous_id: expected a str or a number, got list"),
        (
            {"anonymous_id": ""},
            "anonymous_id: expected a non-empty str, a number or None, got an empty str",
        ),
        ({"context": ["x"]}, "context: expected a dict or None, got list"),
        ({"context": {"x": "y" * 33_000}}, "context: expected at most 32768 bytes of JSON"),
    ],
)
def test_wrong_arguments_are_rejected_at_once(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        analytics.scope(**arguments)
    assert str(caught.value) == text


# A function for the user


def test_a_function_returns_the_user_for_each_call_that_leaves_it_out() -> None:
    users = iter([None, "user-1"])
    with analytics.scope(lambda: next(users), "visitor-1"):
        assert ids() == (None, "visitor-1")
        assert ids(anonymous_id="visitor-2") == (None, "visitor-2")
        client.gauge("queue.depth", 1)
        assert ids() == ("user-1", "visitor-1")
        assert ids(user_id=2) == ("2", None)
    assert next(users, "none is left") == "none is left"


@pytest.mark.parametrize("name", CALLS)
def test_a_function_that_returns_an_empty_text_knows_no_user(name: str) -> None:
    with analytics.scope(str), pytest.raises(ValidationError):
        sent(name)


def test_a_function_that_raises_is_named_with_its_error() -> None:
    def ask() -> str:
        raise LookupError("no session")

    with analytics.scope(ask, "visitor-1"):
        with analytics.scope("user-1"):
            assert ids() == ("user-1", None)
        with pytest.raises(ValidationError, match="user_id: the function of the scope") as caught:
            sent()
        assert str(caught.value).endswith("raised LookupError")
        assert isinstance(caught.value.__cause__, LookupError)
        assert ids(user_id="user-1") == ("user-1", None)
    with analytics.scope(lambda: True), pytest.raises(ValidationError, match="got bool"):
        sent()


# Nesting


def test_nested_scopes_add_to_one_another() -> None:
    with analytics.scope(anonymous_id="visitor-1", context={"ip": "::1", "Librato": {"a": 1}}):
        with analytics.scope("user-1", context={"locale": "de", "Librato": {"b": 2}}) as inner:
            assert ids() == ("user-1", "visitor-1")
            assert context() == {"ip": "::1", "locale": "de", "Librato": {"a": 1, "b": 2}}
        assert isinstance(inner, analytics.Scope)
        assert ids() == (None, "visitor-1")
        assert context() == {"ip": "::1", "Librato": {"a": 1}}
        with analytics.scope(context={"ip": "::2"}):
            assert (ids(), context()["ip"]) == ((None, "visitor-1"), "::2")
    assert current_scope.get() is None


@pytest.mark.parametrize("outer", ["user-1", lambda: "user-1"])
def test_another_user_has_another_anonymous_id(outer: Any) -> None:
    with analytics.scope(outer, "visitor-1"):
        with analytics.scope("user-2"):
            assert ids() == ("user-2", None)
        with analytics.scope("user-2", "visitor-2"):
            assert ids() == ("user-2", "visitor-2")
        with analytics.scope("user-1"):
            assert ids() == ("user-1", "visitor-1")
        with analytics.scope(lambda: "user-2"):
            assert ids() == ("user-2", None)
        with analytics.scope(anonymous_id="visitor-2"):
            assert ids() == ("user-1", "visitor-2")


def test_a_scope_ends_with_an_exception() -> None:
    with pytest.raises(KeyError), analytics.scope("user-1"):
        raise KeyError
    assert current_scope.get() is None


def test_a_scope_can_be_used_again_and_inside_itself() -> None:
    scope = analytics.scope("user-1")
    for _ in range(2):
        with scope, scope:
            assert ids() == ("user-1", None)
        assert current_scope.get() is None


def test_a_scope_ends_what_a_generator_has_left_open_inside() -> None:
    def numbers() -> Generator[int]:
        with analytics.scope("user-2"):
            yield 1

    left = numbers()
    with analytics.scope("user-1"):
        next(left)
        assert ids() == ("user-2", None)
    assert current_scope.get() is None
    left.close()
    assert current_scope.get() is None


def test_a_scope_may_be_closed_by_a_task_that_never_was_in_it() -> None:
    async def numbers() -> AsyncGenerator[int]:
        with analytics.scope("user-1"):
            yield 1

    async def main() -> None:
        generator = numbers()
        await asyncio.create_task(generator.asend(None))
        await asyncio.create_task(generator.aclose())
        assert current_scope.get() is None

    asyncio.run(main())


# Threads and tasks


def test_a_thread_starts_without_a_scope_unless_it_is_given_one() -> None:
    found: list[object] = []
    with analytics.scope("user-1"), ThreadPoolExecutor(1) as pool:
        thread = threading.Thread(target=lambda: found.append(scope_to_carry()))
        thread.start()
        thread.join()
        run = contextvars.copy_context().run
        assert pool.submit(run, ids).result() == ("user-1", None)
        assert pool.submit(scope_to_carry).result() == {}
    assert found == [{}]


def test_tasks_inherit_the_scope_and_keep_their_own_to_themselves() -> None:
    async def work(number: int) -> None:
        assert ids() == ("user-0", None)
        with analytics.scope(f"user-{number}", context={"number": number}):
            for _ in range(3):
                await asyncio.sleep(random.random() / 1_000)  # noqa: S311  no secret
                assert (ids(), context()["number"]) == ((f"user-{number}", None), number)
                assert await asyncio.to_thread(ids) == (f"user-{number}", None)

    async def main() -> None:
        with analytics.scope("user-0"):
            await asyncio.gather(*(work(number) for number in range(1, 200)))
            assert ids() == ("user-0", None)

    asyncio.run(main())


def test_threads_use_one_scope_at_the_same_time() -> None:
    scope = analytics.scope("user-1")
    barrier = threading.Barrier(20)

    def work(number: int) -> tuple[tuple[str | None, str | None], ...]:
        barrier.wait(10)
        with analytics.scope(f"user-{number}"):
            before = ids()
            with scope:
                inside = ids()
            return before, inside, ids()

    with ThreadPoolExecutor(20) as pool:
        for number, found in enumerate(pool.map(work, range(20))):
            own = (f"user-{number}", None)
            assert found == (own, ("user-1", None), own)


# Beside the rest


def test_hooks_see_what_the_scope_adds(make_client: MakeClient, server: LocalSegment) -> None:
    seen: list[Message] = []

    def before_send(message: Message) -> Message:
        seen.append(message)
        return message

    default = {"ip": "::1", "locale": "en", "Librato": {"source": "web-1", "a": 1}}
    hooked = make_client(default_context=default, before_send=before_send)
    with analytics.scope("user-1", context={"locale": "de", "Librato": {"source": "web-2"}}):
        hooked.track(event="Signed Up", context={"page": {"path": "/"}, "Librato": {"b": 2}})
    assert hooked.flush(10)
    expected = {
        "ip": "::1",
        "locale": "de",
        "page": {"path": "/"},
        "Librato": {"source": "web-2", "a": 1, "b": 2},
        "library": LIBRARY,
    }
    assert (seen[0]["userId"], seen[0]["context"]) == ("user-1", expected)
    assert server.messages[0]["context"] == expected


def test_the_calls_of_the_module_and_of_a_recording_test_are_in_the_scope() -> None:
    with capture() as segment, analytics.scope("user-1"):
        analytics.track(event="Signed Up")
        analytics.identify(traits={"plan": "pro"})
    segment.assert_tracked("Signed Up", user_id="user-1")
    segment.assert_identified("user-1", plan="pro")


def test_rows_of_history_are_of_those_whom_they_name(server: LocalSegment) -> None:
    rows = [
        {"type": "track", "userId": "user-2", "event": "Signed Up", "timestamp": "2026-01-01"},
        {"type": "track", "event": "Signed Up", "timestamp": "2026-01-01"},
    ]
    with analytics.scope("user-1", "visitor-1", {"ip": "::1"}):
        report = import_rows(rows, "test-key", host=server.host)
    assert (report.delivered, report.rejected) == (1, 1)
    assert server.messages[0]["userId"] == "user-2"
    assert server.messages[0]["context"] == {"library": LIBRARY}


def test_what_is_carried_makes_the_same_scope() -> None:
    assert scope_to_carry() == {}
    with analytics.scope(lambda: "user-1", "visitor-1"), analytics.scope(context={"ip": ("a",)}):
        carried = scope_to_carry()
        expected = ids(), context()
    assert carried == {
        "user_id": "user-1",
        "anonymous_id": "visitor-1",
        "context": {"ip": ["a"]},
    }
    with analytics.scope(**carried):
        assert (ids(), context()) == expected


def test_a_program_without_scopes_does_not_ask_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert scopes_in_use
    monkeypatch.setattr("segment_librato.message.build.scopes_in_use", [])
    monkeypatch.setattr("segment_librato.message.build.current_scope", None)
    assert ids(user_id="user-1") == ("user-1", None)
