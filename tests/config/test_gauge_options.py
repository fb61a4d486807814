"""Options of direct delivery: what is rejected, with which text, and what is kept secret."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from segment_librato import ConfigError, LibratoConfig, OpenTelemetryConfig
from segment_librato.config.client import Config

SECRET = "s3cr3t-that-must-not-show"  # noqa: S105  not a real one
EMAIL = "ada@example.com"
EMAIL_EXPECTED = 'the email address of the account, a str; for AppOptics, api="measurements"'
TOKEN_EXPECTED = "the API token of the account, a str"  # noqa: S105  a text
PERIOD = "an int"
ATTRIBUTES = "a dict of str to str, number or bool"

WRONG_TYPES: list[tuple[str, Any, str, str]] = [
    ("email", None, EMAIL_EXPECTED, "NoneType"),
    ("email", "", EMAIL_EXPECTED, "an empty str"),
    ("email", 1, EMAIL_EXPECTED, "int"),
    ("email", b"ada@example.com", EMAIL_EXPECTED, "bytes"),
    ("token", None, TOKEN_EXPECTED, "NoneType"),
    ("token", "", TOKEN_EXPECTED, "an empty str"),
    ("token", 1, TOKEN_EXPECTED, "int"),
    ("token", SECRET.encode(), TOKEN_EXPECTED, "bytes"),
    ("host", None, "a URL such as https://metrics-api.librato.com", "NoneType"),
    ("host", 1, "a URL such as https://metrics-api.librato.com", "int"),
    ("api", None, "'metrics' or 'measurements'", "NoneType"),
    ("api", "v1/metrics", "'metrics' or 'measurements'", "another str"),
    ("api", ["metrics"], "'metrics' or 'measurements'", "list"),
    ("period", "60", PERIOD, "str"),
    ("period", 60.0, PERIOD, "float"),
    ("period", None, PERIOD, "NoneType"),
    ("period", True, PERIOD, "bool"),
    ("attributes", None, ATTRIBUTES, "NoneType"),
    ("attributes", [("aggregate", True)], ATTRIBUTES, "list"),
    ("time_window", "2 h", "a number of seconds", "str"),
]
WRONG_TYPES_OF_BOTH: list[tuple[str, Any, str, str]] = [
    ("aggregate", True, "an int", "bool"),
    ("aggregate", 1.5, "an int", "float"),
    ("segment_too", np.zeros(2), "a bool", "ndarray"),
    ("max_queue_size", None, "an int", "NoneType"),
    ("max_retries", "5", "an int", "str"),
    ("upload_interval", None, "a number of seconds", "NoneType"),
    ("max_total_backoff_duration", "1 h", "a number of seconds", "str"),
    ("max_rate_limit_duration", None, "a number of seconds", "NoneType"),
    ("timeout", "5", "a number of seconds", "str"),
    ("proxies", "http://user:" + SECRET + "@proxy", "a dict of scheme to proxy URL", "str"),
]
WRONG_TYPES_OF_OPEN_TELEMETRY: list[tuple[str, Any, str, str]] = [
    ("endpoint", 1, "a URL such as http://localhost:4318/v1/metrics", "int"),
    ("headers", [("Authorization", SECRET)], "a dict of str to str", "list"),
    ("headers", {"Authorization": SECRET.encode()}, "a dict of str to str", "bytes"),
    ("headers", {1: "x"}, "a dict of str to str", "int"),
    ("resource_attributes", [], ATTRIBUTES, "list"),
    ("gzip", np.zeros(2), "a bool", "ndarray"),
]
WRONG_VALUES: list[tuple[str, Any]] = [
    ("email", "ada@example.com\r\nX-Injected: yes"),
    ("email", "ada:" + SECRET),
    ("email", "ádá@example.com"),
    ("token", SECRET + "\n"),
    ("token", SECRET + "é"),
    ("host", "metrics-api.librato.com"),
    ("host", "https://ada:" + SECRET + "@metrics-api.librato.com"),
    ("host", "https://metrics-api.librato.com?token=" + SECRET),
    ("period", 9),
    ("period", 601),
    ("period", -60),
    ("time_window", -1),
    ("time_window", float("nan")),
    ("aggregate", -1),
    ("aggregate", 3_601),
    ("max_queue_size", -1),
    ("timeout", 0),
]


def librato(**options: Any) -> LibratoConfig:
    return LibratoConfig(**{"email": EMAIL, "token": SECRET, **options})


def rejection(kind: Any, **options: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        kind(**options)
    return caught.value


@pytest.mark.parametrize("name, value, expected, got", WRONG_TYPES + WRONG_TYPES_OF_BOTH)
def test_a_wrong_type_for_librato_is_named(name: str, value: Any, expected: str, got: str) -> None:
    assert str(rejection(librato, **{name: value})) == f"{name}: expected {expected}, got {got}"


@pytest.mark.parametrize(
    "name, value, expected, got", WRONG_TYPES_OF_OPEN_TELEMETRY + WRONG_TYPES_OF_BOTH
)
def test_a_wrong_type_for_open_telemetry_is_named(
    name: str, value: Any, expected: str, got: str
) -> None:
    error = rejection(OpenTelemetryConfig, **{name: value})
    assert str(error) == f"{name}: expected {expected}, got {got}"


@pytest.mark.parametrize(
    "kind, name",
    [(librato, "segment_too"), (OpenTelemetryConfig, "segment_too"), (OpenTelemetryConfig, "gzip")],
)
@pytest.mark.parametrize(
    "value, truth", [("", False), (None, False), (0, False), ("1", True), (1, True), ([0], True)]
)
def test_a_flag_is_the_truth_of_its_value(kind: Any, name: str, value: Any, truth: bool) -> None:
    assert getattr(kind(**{name: value}), name) is truth


@pytest.mark.parametrize("name, value", WRONG_VALUES)
def test_a_wrong_value_for_librato_is_named_and_secrets_are_not_shown(
    name: str, value: Any
) -> None:
    error = rejection(librato, **{name: value})
    assert str(error).startswith(f"{name}: expected ")
    assert SECRET not in f"{error!r} {error.args} {error.__cause__}"


@pytest.mark.parametrize(
    "name, value",
    [
        ("endpoint", "localhost:4318"),
        ("endpoint", "grpc://localhost:4317"),
        ("endpoint", "http://user:" + SECRET + "@localhost:4318"),
        ("headers", {"Authorization": SECRET + "\r\nX-Injected: yes"}),
        ("headers", {"Author ization": SECRET}),
        ("headers", {"": SECRET}),
        ("headers", {"Authorization:": SECRET}),
        ("aggregate", -1),
    ],
)
def test_a_wrong_value_for_open_telemetry_is_named(name: str, value: Any) -> None:
    error = rejection(OpenTelemetryConfig, **{name: value})
    assert str(error).startswith(f"{name}: expected ")
    assert SECRET not in f"{error!r} {error.args} {error.__cause__}"


def test_a_period_that_is_older_than_librato_takes_is_rejected() -> None:
    error = rejection(librato, aggregate=601, time_window=600)
    assert str(error) == "aggregate: expected at most time_window, 600 s"


@pytest.mark.parametrize("value", [[1], None, {"a": 1}])
def test_attributes_hold_plain_values(value: Any) -> None:
    error = rejection(librato, attributes={"display_min": value})
    expected = "a str, a number or a bool"
    assert str(error) == (
        f"attributes: its values: expected {expected}, got {type(value).__name__}"
    )


def test_the_names_of_attributes_are_texts() -> None:
    error = rejection(librato, attributes={1: "x"})
    assert str(error) == "attributes: its keys: expected str, got int"


def test_an_account_without_anything_names_what_is_missing_first() -> None:
    assert str(rejection(LibratoConfig)).startswith("email: expected ")


def test_app_optics_needs_a_token_only() -> None:
    account = LibratoConfig(token=SECRET, host="https://api.appoptics.com", api="measurements")
    assert account.email is None


def test_tagged_measurements_need_a_token_all_the_same() -> None:
    assert str(rejection(LibratoConfig, api="measurements")).startswith("token: expected ")


def test_the_first_options_may_be_given_by_position() -> None:
    account = LibratoConfig(EMAIL, SECRET, "http://127.0.0.1:9", "measurements", 30, {})
    assert (account.host, account.api, account.period) == ("http://127.0.0.1:9", "measurements", 30)
    assert account.attributes == {}


def test_the_defaults_are_those_of_the_client() -> None:
    account = librato()
    budget = account.budget
    assert {name: getattr(Config, name) for name in budget} == budget
    assert (account.period, account.attributes, account.aggregate) == (60, {"aggregate": True}, 0)


@pytest.mark.parametrize(
    "account",
    [
        librato(proxies={"https": f"http://user:{SECRET}@proxy:3128"}),
        OpenTelemetryConfig(headers={"Authorization": SECRET}),
    ],
)
def test_the_repr_hides_secrets(account: Any) -> None:
    assert SECRET not in repr(account)
    assert SECRET not in repr(Config(write_key="key", gauges=account))
    assert EMAIL not in repr(account)


def test_later_changes_of_a_mapping_do_not_count() -> None:
    attributes = {"aggregate": True}
    headers = {"X-Token": "a"}
    account = librato(attributes=attributes)
    endpoint = OpenTelemetryConfig(headers=headers)
    attributes["aggregate"] = False
    headers["X-Token"] = "b"
    assert account.attributes == {"aggregate": True}
    assert endpoint.headers == {"X-Token": "a"}


@pytest.mark.parametrize("account", [librato(), OpenTelemetryConfig()])
def test_no_option_can_be_changed(account: Any) -> None:
    for name in account.names():
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(account, name, None)


def test_with_an_account_the_write_key_may_be_missing_but_not_wrong() -> None:
    assert Config(gauges=librato()).write_key is None
    assert str(rejection(Config, gauges=librato(), write_key=" ")).startswith("write_key: expected")


def test_without_an_account_the_write_key_may_not_be_missing() -> None:
    assert str(rejection(Config)).startswith("write_key: expected ")
