"""The public surface, compared with the recorded one of segment-analytics-python 2.4.0."""

from __future__ import annotations

import inspect
import json
import pickle
import pydoc
import subprocess
import sys
import typing
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import pydantic
import pytest

import segment_librato as analytics
from segment_librato import Client, Stats
from segment_librato.config.client import Config
from segment_librato.config.options import Options
from segment_librato.testing import Capture, capture

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "data" / "signatures.json").read_text(encoding="utf-8")
)
MESSAGE_CALLS = ("track", "identify", "group", "alias", "page", "screen")
CALLS = (
    *MESSAGE_CALLS,
    *("gauge", "increment", "timer", "configure_gauge", "flush", "join", "shutdown"),
)


def parameters_of(function: Any) -> list[inspect.Parameter]:
    parameters = inspect.signature(function).parameters.values()
    return [parameter for parameter in parameters if parameter.name != "self"]


def names_and_defaults(parameters: list[inspect.Parameter]) -> list[tuple[str, Any]]:
    return [(parameter.name, parameter.default) for parameter in parameters]


def test_the_constructor_starts_with_the_recorded_parameters() -> None:
    parameters = parameters_of(Client.__init__)
    recorded = list(RECORDED["Client"].items())
    assert names_and_defaults(parameters[: len(recorded)]) == recorded
    kinds = {parameter.kind for parameter in parameters[: len(recorded)]}
    assert kinds == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


def test_new_options_of_the_constructor_are_keyword_only_and_have_defaults() -> None:
    for parameter in parameters_of(Client.__init__)[len(RECORDED["Client"]) :]:
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default is not inspect.Parameter.empty


@pytest.mark.parametrize("call", MESSAGE_CALLS)
def test_a_call_has_exactly_the_recorded_parameters(call: str) -> None:
    parameters = parameters_of(getattr(Client, call))
    assert names_and_defaults(parameters) == list(RECORDED["calls"][call].items())
    assert {p.kind for p in parameters} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


@pytest.mark.parametrize("call", ["flush", "join", "shutdown"])
def test_what_finishes_takes_a_timeout_on_top_of_the_recorded_parameters(call: str) -> None:
    assert RECORDED["calls"][call] == {}
    assert names_and_defaults(parameters_of(getattr(Client, call))) == [("timeout", None)]


@pytest.mark.parametrize("call", CALLS)
def test_a_function_of_the_module_has_the_signature_of_the_method(call: str) -> None:
    function, method = getattr(analytics, call), getattr(Client, call)
    own = inspect.signature(function)
    assert list(own.parameters.values()) == parameters_of(method)
    assert own.return_annotation == inspect.signature(method).return_annotation


@pytest.mark.parametrize("call", [*CALLS, "scope"])
def test_a_function_of_the_module_can_be_pickled_and_is_found_by_its_name(call: str) -> None:
    function = getattr(analytics, call)
    assert pickle.loads(pickle.dumps(function)) is function  # noqa: S301  our own pickle
    assert (function.__module__, function.__qualname__) == ("segment_librato", call)
    assert function.__doc__


def test_the_default_config_has_the_recorded_defaults() -> None:
    recorded = RECORDED["DefaultConfig"]
    assert {name: getattr(Client.DefaultConfig, name) for name in recorded} == recorded


def test_the_constructor_takes_exactly_the_options_with_their_defaults() -> None:
    ours, options = parameters_of(Client), parameters_of(Config)
    assert ours == options, "run `make options`"
    assert [type(one.default) for one in ours] == [type(one.default) for one in options]


@pytest.mark.parametrize("name", [*CALLS, "Client", "__version__", "install_as_segment_analytics"])
def test_the_public_names_are_exported(name: str) -> None:
    assert name in analytics.__all__
    assert getattr(analytics, name)


def test_the_exported_names_are_sorted_and_exist() -> None:
    assert analytics.__all__ == sorted(analytics.__all__)
    assert all(hasattr(analytics, name) for name in analytics.__all__)


@pytest.mark.parametrize(
    "function",
    [Client.__init__, Client.__enter__, Client.__exit__]
    + [getattr(Client, call) for call in CALLS]
    + [getattr(analytics, call) for call in (*CALLS, "install_as_segment_analytics")],
)
def test_every_parameter_and_result_is_annotated(function: Any) -> None:
    assert all(p.annotation is not inspect.Parameter.empty for p in parameters_of(function))
    assert inspect.signature(function).return_annotation is not inspect.Signature.empty


def test_the_typing_marker_ships_in_the_package() -> None:
    assert files("segment_librato").joinpath("py.typed").is_file()


@pytest.mark.parametrize("name", Config.names())
def test_a_client_shows_an_option_that_cannot_be_set(name: str) -> None:
    client = Client("test-key", send=False)
    assert getattr(client, name) == getattr(client.config, name)
    with pytest.raises(AttributeError, match=name):
        setattr(client, name, getattr(client, name))


def test_a_client_has_what_applications_watch() -> None:
    client = Client("test-key", host="http://127.0.0.1:9")
    assert client.queue.qsize() == 0
    assert client.queue.empty()
    assert [consumer.is_alive() for consumer in client.consumers] == [False]
    assert client.shutdown()


@pytest.mark.parametrize("name", RECORDED["settings"])
def test_a_recorded_setting_of_the_module_has_its_default(name: str) -> None:
    assert getattr(analytics, name) == RECORDED["settings"][name]


@pytest.mark.parametrize("name", Config.names())
def test_every_option_is_a_setting_of_the_module_with_the_same_default(name: str) -> None:
    assert name in vars(analytics), "run `make options`"
    assert getattr(analytics, name) == getattr(Config, name)


def in_a_new_interpreter(code: str) -> str:
    done = subprocess.run(  # noqa: S603  our own code
        [sys.executable, "-c", f"import segment_librato as analytics\n{code}"],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_the_module_lists_what_is_for_users_and_nothing_else() -> None:
    late = {"librato", "devserver", "events", "testing", "import_rows", "ImportReport"}
    others = {"default_client", "stats", *late}
    assert set(dir(analytics)) == {*analytics.__all__, *Config.names(), *others}
    assert all(hasattr(analytics, name) for name in dir(analytics))
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        analytics.nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_the_packages_for_users_are_imported_when_they_are_used() -> None:
    code = """
import sys
print("segment_librato.devserver" in sys.modules)
print(analytics.librato.map_message.__name__, analytics.devserver.LocalSegment.__name__)
"""
    assert in_a_new_interpreter(code) == "False\nmap_message LocalSegment\n"


def test_the_counters_of_no_client_are_zero_and_reading_them_makes_none() -> None:
    code = "print(analytics.stats == analytics.Stats(), analytics.default_client)"
    assert in_a_new_interpreter(code) == "True None\n"


def test_the_counters_are_those_of_the_default_client(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client("test-key")
    client.shutdown()
    monkeypatch.setattr(analytics, "default_client", client)
    before: Stats = analytics.stats
    client.track("user", "too late")
    assert (before.rejected, analytics.stats.rejected) == (0, 1)
    assert analytics.stats == client.stats


def test_the_counters_cannot_be_assigned() -> None:
    with pytest.raises(AttributeError, match=r"^stats cannot be set"):
        analytics.stats = Stats()


FUNCTIONS = [
    getattr(analytics, name)
    for name in analytics.__all__
    if inspect.isfunction(getattr(analytics, name))
]
METHODS = [
    member
    for kind in (Client, Options, Capture, analytics.Scope)
    for name, member in inspect.getmembers(kind, inspect.isfunction)
    if name in vars(kind)
]


@pytest.mark.parametrize(
    "function", [*FUNCTIONS, *METHODS, capture], ids=lambda one: one.__qualname__
)
def test_the_type_hints_of_the_public_surface_resolve(function: Any) -> None:
    hints = typing.get_type_hints(function)
    assert hints.keys() >= {one.name for one in parameters_of(function)} | {"return"}
    assert not [hint for hint in hints.values() if "ForwardRef" in str(hint)]


def test_the_type_hints_of_options_resolve() -> None:
    assert typing.get_type_hints(Client).keys() >= set(Config.names())
    for kind in (Config, analytics.LibratoConfig, analytics.OpenTelemetryConfig):
        assert typing.get_type_hints(kind).keys() >= set(kind.names())


def test_a_user_may_name_the_types_of_the_surface() -> None:
    def wrapper(user: analytics.Identifier, at: analytics.Timestamp | None) -> analytics.Message:
        return {"user": user, "at": at}

    hints = typing.get_type_hints(wrapper)
    assert set(typing.get_args(hints["user"])) == {str, int, float, Decimal, UUID}


@pytest.mark.parametrize("owner", ["client", "module"])
def test_pydantic_validates_calls(owner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client("test-key", send=False)
    monkeypatch.setattr(analytics, "default_client", client)
    surface: Any = client if owner == "client" else analytics
    for call in CALLS:
        pydantic.validate_call(getattr(surface, call))
    track = pydantic.validate_call(surface.track)
    user = UUID("12345678123456781234567812345678")
    accepted, message = track(user, "event", {"value": 1}, timestamp="2026-11-20T21:17:00Z")
    assert accepted
    assert message["userId"] == str(user)
    with pytest.raises(pydantic.ValidationError):
        track([], "event")


def test_pydantic_validates_the_options_of_a_client() -> None:
    validate = pydantic.validate_call(config={"arbitrary_types_allowed": True})

    class Validated(Client):
        __init__ = validate(Client.__init__)

    assert Validated("test-key", send=False, timeout=(1, 2)).timeout == (1, 2)
    wrong: Any = "many"
    with pytest.raises(pydantic.ValidationError, match="max_retries"):
        Validated("test-key", max_retries=wrong)


def test_the_help_describes_every_setting_and_nothing_private() -> None:
    text = pydoc.plain(pydoc.render_doc(analytics))
    for name in Config.names():
        assert f" {name}: " in text, name
    for name in ("_SettingsModule", "_Option", "_on_default_client", "make options"):
        assert name not in text


def test_the_mapper_shows_what_is_for_users() -> None:
    assert dir(analytics.librato) == ["Measurement", "explain", "map_message"]
