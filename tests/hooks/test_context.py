"""`default_context` and `trace_context`: what every message gets under the context of its call."""

from __future__ import annotations

from collections import UserDict
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from support.stand_ins import STAND_INS

from segment_librato import Client, ConfigError, HookError, LibratoConfig, MessageTooLargeError
from segment_librato.librato import map_message
from segment_librato.message.fields import LIBRARY

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]
    Message = dict[str, Any]

SHOP = {"app": {"name": "shop"}, "ip": "192.0.2.1"}


def context_of(client: Client, context: Message | None = None) -> Message:
    accepted, message = client.track("u", "event", context=context)
    assert accepted
    sent: Message = message["context"]
    return sent


@pytest.mark.parametrize("default", [SHOP, UserDict(SHOP), lambda: SHOP, lambda: UserDict(SHOP)])
def test_it_is_under_the_context_of_the_call(
    server: LocalSegment, make_client: MakeClient, default: Any
) -> None:
    client = make_client(default_context=default)
    assert context_of(client) == {**SHOP, "library": LIBRARY}
    own = {"app": {"version": "2"}, "locale": "de"}
    assert context_of(client, own) == {
        "app": {"version": "2"},
        "ip": "192.0.2.1",
        "locale": "de",
        "library": LIBRARY,
    }
    assert own == {"app": {"version": "2"}, "locale": "de"}
    assert client.flush(10)
    assert [message["context"]["ip"] for message in server.messages] == ["192.0.2.1"] * 2


@pytest.mark.parametrize("default", [{"library": {"name": "x"}}, lambda: {"library": None}])
def test_it_does_not_name_the_library(make_client: MakeClient, default: Any) -> None:
    assert context_of(make_client(default_context=default)) == {"library": LIBRARY}


@pytest.mark.parametrize("nothing", [None, {}, False])
def test_there_may_be_none_for_a_call(make_client: MakeClient, nothing: Any) -> None:
    client = make_client(default_context=lambda: nothing or None)
    assert context_of(client, {"ip": "192.0.2.1"}) == {"ip": "192.0.2.1", "library": LIBRARY}


@pytest.mark.parametrize(
    "own, source",
    [
        (None, "web-1"),
        ({"Librato": {}}, "web-1"),
        ({"Librato": {"other": 1}}, "web-1"),
        ({"librato": {"other": 1}}, "web-1"),
        ({"Librato": {"source": "web-2"}}, "web-2"),
        ({"librato": {"source": "web-2"}}, "web-2"),
        ({"Librato": None}, "event"),
        ({"Librato": UserDict({"source": "web-2"})}, "web-2"),
    ],
)
def test_what_is_for_librato_is_merged(
    make_client: MakeClient, own: Message | None, source: str
) -> None:
    client = make_client(default_context={"Librato": {"source": "web-1"}})
    _, message = client.track("u", "event", context=own)
    measurement = map_message(message)
    assert measurement
    assert measurement.source == source
    assert client.gauge("depth", 1, source="web-3")[1]["context"]["Librato"] == {"source": "web-3"}


def test_it_is_the_source_of_gauges(server: LocalSegment, make_client: MakeClient) -> None:
    account = LibratoConfig("ada@example.com", "token", host=server.host)
    client = make_client(default_context={"Librato": {"source": "web-1"}}, gauges=account)
    client.gauge("depth", 1)
    assert client.flush(10)
    assert [one.source for one in server.librato.samples] == ["web-1"]


def test_a_mapping_is_a_snapshot_and_of_each_message_its_own(make_client: MakeClient) -> None:
    default = {"app": {"name": "shop"}}
    client = make_client(default_context=default)
    default["app"]["name"] = "changed"
    first = context_of(client)
    assert first["app"] == {"name": "shop"}
    first["app"]["name"] = "changed"
    assert context_of(client)["app"] == {"name": "shop"}


@pytest.mark.parametrize("stand_in", STAND_INS)
def test_values_of_a_mapping_are_read_as_those_of_a_call(
    make_client: MakeClient, stand_in: Any
) -> None:
    client = make_client(default_context={"app": stand_in("shop")})
    assert context_of(client)["app"] == "shop"


def test_a_mapping_that_fits_in_no_message_is_rejected() -> None:
    with pytest.raises(ConfigError, match=r"^default_context: expected at most 32768 bytes of JS"):
        Client("test-key", default_context={"text": "x" * 33_000})


def test_a_repr_does_not_show_it() -> None:
    client = Client("test-key", default_context={"ip": "192.0.2.1"})
    assert "192.0.2.1" not in f"{client!r} {client.config!r}"
    assert isinstance(hash(client.config), int)


def raise_one() -> Message:
    raise LookupError("outside of a request")


WRONG = [
    (raise_one, "default_context raised LookupError at "),
    (lambda: ["ip"], "default_context: expected a mapping or None, got list"),
    (lambda: {"text": "x" * 33_000}, "default_context: message: expected at most 32768 bytes of"),
]


@pytest.mark.parametrize("default, text", WRONG, ids=["raises", "list", "too large"])
@pytest.mark.parametrize("before_send", [None, dict])
def test_what_it_does_wrong_is_told_of(
    make_client: MakeClient,
    errors: Errors,
    default: Any,
    text: str,
    before_send: Any,
) -> None:
    client = make_client(default_context=default, before_send=before_send)
    accepted, message = client.track("u", "event", {"n": 1}, {"ip": "192.0.2.1"})
    assert not accepted
    ((error, messages),) = errors.calls
    assert type(error) is HookError
    if "too large" not in text and before_send is None:
        assert str(error).startswith(text)
    assert messages == [message]
    assert message["context"] == {"ip": "192.0.2.1", "library": LIBRARY}
    assert (client.stats.rejected, client.stats.accepted) == (1, 0)


def test_a_call_that_is_too_large_by_itself_raises(make_client: MakeClient, errors: Errors) -> None:
    client = make_client(default_context=SHOP)
    for size in (33_000, 1_100_000):
        with pytest.raises(MessageTooLargeError, match=r"the largest part is properties\.text$"):
            client.track("u", "event", {"text": "x" * size})
    assert errors.calls == []


def test_before_send_sees_it(make_client: MakeClient) -> None:
    client = make_client(default_context=SHOP, before_send=lambda message: message)
    assert context_of(client)["app"] == SHOP["app"]


# Traces


TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("test")


def test_a_message_has_the_ids_of_the_active_span(make_client: MakeClient) -> None:
    client = make_client(trace_context=True)
    with TRACER.start_as_current_span("request") as span:
        ids = span.get_span_context()
        sent = context_of(client)["trace"]
    assert sent == {
        "traceId": trace.format_trace_id(ids.trace_id),
        "spanId": trace.format_span_id(ids.span_id),
    }
    assert (len(sent["traceId"]), len(sent["spanId"])) == (32, 16)


def test_without_a_span_a_message_has_none(make_client: MakeClient) -> None:
    assert context_of(make_client(trace_context=True)) == {"library": LIBRARY}


def test_a_span_is_above_the_default_context_and_below_that_of_the_call(
    make_client: MakeClient,
) -> None:
    client = make_client(trace_context=True, default_context={"trace": "default"})
    assert context_of(client)["trace"] == "default"
    with TRACER.start_as_current_span("request"):
        assert context_of(client)["trace"].keys() == {"traceId", "spanId"}
        assert context_of(client, {"trace": "own"})["trace"] == "own"


def test_without_opentelemetry_no_client_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.trace", None)
    with pytest.raises(ConfigError, match=r"^trace_context: OpenTelemetry is not installed; pip"):
        Client("test-key", trace_context=True)


def test_a_span_that_cannot_be_read_is_told_of(make_client: MakeClient, errors: Errors) -> None:
    class Broken(trace.NonRecordingSpan):
        def get_span_context(self) -> Any:
            raise RuntimeError

    client = make_client(trace_context=True)
    with trace.use_span(Broken(trace.INVALID_SPAN_CONTEXT)):
        assert not client.track("u", "event")[0]
    assert str(errors.calls[0][0]).startswith("trace_context raised RuntimeError at ")
