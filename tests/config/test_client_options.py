"""Options: what is rejected, how the rejection reads, and what keeps working."""

from __future__ import annotations

import dataclasses
import functools
import logging
import threading
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest
from support.stand_ins import STAND_INS

from segment_librato.config.client import DEFAULT_HOST, Config
from segment_librato.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

SECRET = "s3cr3t-that-must-not-show"  # noqa: S105  not a real one
COUNTS = {
    "max_queue_size": 0,
    "max_queue_bytes": 0,
    "max_retries": 0,
    "thread": 1,
    "upload_size": 1,
}
FLAGS = ("debug", "send", "gzip", "sync_mode", "flush_in_children", "trace_context")
CALLBACKS = ("on_error", "on_delivered", "before_send")
SECONDS = (
    "upload_interval",
    "max_total_backoff_duration",
    "max_rate_limit_duration",
    "exit_timeout",
    "block_on_full",
    "sync_timeout",
    "shutdown_timeout",
)
OAUTH: dict[str, Any] = {
    "oauth_client_id": "client-id",
    "oauth_client_key": SECRET,
    "oauth_key_id": "key-id",
}


class Undecided:
    """Something like an array, which is neither true nor false."""

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


class Counting:
    """An `on_error` that keeps how often it was called."""

    def __init__(self, *_: object) -> None:
        self.calls = 0

    def count(self, *_: object) -> None:
        self.calls += 1

    __call__ = count


class Asynchronous(Counting):
    async def __call__(self, *_: object) -> None:  # type: ignore[override]  # it is the fault
        self.count()

    async def method(self, *_: object) -> None:
        self.count()

    def generator(self, *_: object) -> Iterator[int]:
        yield self.calls

    async def both(self, *_: object) -> AsyncIterator[int]:
        yield self.calls


def never_running() -> list[Any]:
    """Return functions whose call runs nothing."""
    one = Asynchronous()
    return [
        one,
        functools.partial(one),
        one.method,
        functools.partial(functools.partial(one.method, 1), 2),
        one.generator,
        one.both,
        AsyncMock(),
    ]


URL = "a URL such as https://api.segment.io"
WRONG_TYPES: list[tuple[str, Any, str, str]] = [
    ("write_key", SECRET.encode(), "the write key of a source, a str", "bytes"),
    ("write_key", 1, "the write key of a source, a str", "int"),
    ("host", 1, URL, "int"),
    ("host", b"https://api.segment.io", URL, "bytes"),
    ("host", ["https://api.segment.io"], URL, "list"),
    *((name, Undecided(), "a bool", "Undecided") for name in FLAGS),
    *((name, None, "an int", "NoneType") for name in COUNTS),
    *((name, "5", "an int", "str") for name in COUNTS),
    *((name, 5.0, "an int", "float") for name in COUNTS),
    ("max_queue_bytes", 5.0, "an int", "float"),
    ("max_queue_bytes", True, "an int", "bool"),
    *((name, True, "an int", "bool") for name in COUNTS),
    *((name, None, "a number of seconds", "NoneType") for name in SECONDS),
    *((name, "5", "a number of seconds", "str") for name in SECONDS),
    *((name, True, "a number of seconds", "bool") for name in SECONDS),
    *((name, Decimal(5), "a number of seconds", "Decimal") for name in SECONDS),
    ("timeout", "15", "a number of seconds", "str"),
    ("timeout", True, "a number of seconds", "bool"),
    ("timeout", [3, 10], "a number of seconds", "list"),
    ("timeout", (3, 10, 20), "a number of seconds, or a pair of them", "a tuple of 3"),
    ("timeout", (3, None), "a number of seconds", "NoneType"),
    *((name, "print", "a callable", "str") for name in CALLBACKS),
    ("default_context", "print", "a mapping or a callable", "str"),
    ("default_context", [("ip", "192.0.2.1")], "a mapping or a callable", "list"),
    ("sample_rate", 0.1, "a mapping of event name to a number", "float"),
    ("log_handler", print, "a logging.Handler", "builtin_function_or_method"),
    ("proxies", "http://user:" + SECRET + "@proxy", "a dict of scheme to proxy URL", "str"),
    ("proxies", [("https", "proxy")], "a dict of scheme to proxy URL", "list"),
    ("oauth_client_id", 1, "a str", "int"),
    ("oauth_client_key", SECRET.encode(), "a str", "bytes"),
    ("oauth_key_id", 1, "a str", "int"),
    ("oauth_auth_server", 1, "a str", "int"),
    ("oauth_scope", 1, "a str", "int"),
    ("gauges", "token", "a LibratoConfig, an OpenTelemetryConfig or None", "str"),
    ("spool", 1, "the path of a folder, a SpoolConfig or None", "int"),
    ("spool", b"/spool", "the path of a folder, a SpoolConfig or None", "bytes"),
    ("spool", "", "the path of a folder", "an empty str"),
]

WRONG_VALUES: list[tuple[str, Any]] = [
    ("write_key", SECRET + "\r\n"),
    ("write_key", " " + SECRET),
    ("write_key", SECRET + "\nHost: evil"),
    ("write_key", SECRET + "é"),
    ("write_key", SECRET + "\x00"),
    ("write_key", SECRET + "x" * 1_000),
    *((name, minimum - 1) for name, minimum in COUNTS.items()),
    *((name, -0.001) for name in SECONDS),
    *((name, float("nan")) for name in SECONDS),
    *((name, float("inf")) for name in SECONDS),
    *((name, 10**400) for name in SECONDS),
    *((name, threading.TIMEOUT_MAX * 2) for name in SECONDS),
    ("max_queue_bytes", -1),
    ("max_queue_bytes", 1),
    ("max_queue_bytes", 65_535),
    ("sync_timeout", 0),
    ("timeout", 0),
    ("timeout", -1),
    ("timeout", float("nan")),
    ("timeout", float("inf")),
    ("timeout", 10**400),
    ("timeout", (3, 0)),
    ("timeout", (-3, 10)),
    ("proxies", {"https": 8080}),
    ("proxies", {443: "http://" + SECRET + "@proxy"}),
    ("proxies", {b"https": SECRET}),
    *(
        ("proxies", {"https": url})
        for url in (
            "localhost:1",
            "user:" + SECRET + "@proxy:3128",
            "http://",
            "http://:3128",
            "http:///" + SECRET,
            "http://user:" + SECRET + "@",
            "http://user:" + SECRET + "@[",
            "http://proxy:" + SECRET,
            "http://proxy:99999",
            "http://a..b:3128",
            "http://a b:3128",
            "ftp://proxy:3128",
            "://proxy",
            "/proxy",
            "http://proxy\n" + SECRET,
        )
    ),
    *(
        ("host", f"https://{name}")
        for name in (
            "a..b",
            ".a",
            "*.a",
            "a" * 64,
            "a." * 127 + "com",
            "a%00b",
            "a|b",
            "a\\b",
            "[a]",
        )
    ),
    *((name, function) for name in (*CALLBACKS, "default_context") for function in never_running()),
    *(
        ("sample_rate", {"Page Scrolled": rate})
        for rate in (-0.1, 1.1, float("nan"), True, "0.1", None, Decimal("0.1"))
    ),
    ("sample_rate", {1: 0.1}),
]

WRONG_URLS = [
    "https:/api.segment.io",
    "https:api.segment.io",
    "file:/etc/passwd",
    "user:" + SECRET + "@api.segment.io",
    "user:123@api.segment.io",
    SECRET + "@api.segment.io",
    "api.segment.io:port",
    "api.segment.io?key=" + SECRET,
    "/v1/batch",
    "///api.segment.io",
    "ftp://api.segment.io",
    "file:///etc/passwd",
    "https://",
    "https:///v1/batch",
    "https://:443",
    "https://api.segment.io:port",
    "https://api.segment.io:0",
    "https://api.segment.io:65536",
    "https://api.segment.io:-1",
    "https://[::1",
    "https://[nonsense]",
    "https://user:" + SECRET + "@api.segment.io",
    "https://" + SECRET + "@api.segment.io",
    "https://api.segment.io?key=" + SECRET,
    "https://api.segment.io/path?",
    "https://api.segment.io#",
    "https://api.segment.io/#fragment",
    "https://api.segment.io\r\nX-Injected: yes",
    "https://api.segment.io\n",
    "https://api.segment.io\t",
    " https://api.segment.io",
    "https://api segment.io",
    "https://api.segment.io/a b",
    "https://münchen.example",
    "https://api.segment.io/\x00",
]


def rejection(**options: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        Config(**{"write_key": "test-key", **options})
    return caught.value


def config(**options: Any) -> Config:
    return Config(**{"write_key": "test-key", **options})


def test_a_wrong_share_is_told_with_the_name_of_its_event() -> None:
    with pytest.raises(ConfigError, match=r'^sample_rate: expected a number from 0 to 1 for "b"$'):
        Config("key", sample_rate={"a": 0.5, "b": 50})
    names: Any = {5: 0.5}
    with pytest.raises(
        ConfigError, match=r"^sample_rate: expected names of events that are str, got int$"
    ):
        Config("key", sample_rate=names)


@pytest.mark.parametrize("name, value, expected, got", WRONG_TYPES)
def test_a_wrong_type_is_named_with_the_option_and_what_was_expected(
    name: str, value: Any, expected: str, got: str
) -> None:
    error = rejection(**(OAUTH if name.startswith("oauth") else {}) | {name: value})
    assert str(error) == f"{name}: expected {expected}, got {got}"


def test_the_tables_of_wrong_values_cover_every_option() -> None:
    missing = set(Config.names()) - {name for name, *_ in WRONG_TYPES}
    assert not missing, "add a value of a wrong type to WRONG_TYPES, and the check to `Config`"


@pytest.mark.parametrize("name, value", WRONG_VALUES)
def test_a_wrong_value_is_rejected_by_the_name_of_the_option(name: str, value: Any) -> None:
    assert str(rejection(**{name: value})).startswith(f"{name}: expected ")


@pytest.mark.parametrize("name", ["host", "oauth_auth_server"])
@pytest.mark.parametrize("url", WRONG_URLS)
def test_a_url_that_requests_could_not_use_is_rejected(name: str, url: str) -> None:
    assert str(rejection(**{name: url})).startswith(f"{name}: expected ")


@pytest.mark.parametrize(
    "name, value",
    [(name, value) for name, value, *_ in WRONG_TYPES if SECRET in str(value)]
    + [(name, value) for name, value in WRONG_VALUES if SECRET in str(value)]
    + [("host", url) for url in WRONG_URLS if SECRET in url],
)
def test_a_rejection_never_shows_the_secret(name: str, value: Any) -> None:
    error = rejection(**(OAUTH if name.startswith("oauth") else {}) | {name: value})
    shown = f"{error} {error!r} {error.args} {vars(error)} {error.__cause__}"
    assert SECRET not in shown
    assert error.__context__ is None or error.__suppress_context__


def test_a_missing_write_key_is_rejected() -> None:
    with pytest.raises(
        ConfigError, match=r"^write_key: expected the write key of a source, a str, got NoneType;"
    ):
        Config()


def test_the_rejection_of_a_missing_write_key_says_where_to_set_it() -> None:
    assert str(rejection(write_key=None)) == (
        "write_key: expected the write key of a source, a str, got NoneType; set it: "
        'segment_librato.write_key = "...", or Client("...")'
    )


@pytest.mark.parametrize("kind", [AssertionError, ValueError])
def test_handlers_of_the_builtin_errors_catch_a_rejection(kind: type[Exception]) -> None:
    with pytest.raises(kind):
        Config(write_key=None)


@pytest.mark.parametrize(
    "timeout, got", [(-1, "-1"), (-0.5, "-0.5"), (0, "0"), ((3, -1), "-1"), ((0, 3), "0")]
)
def test_a_timeout_that_is_not_positive_is_told_what_is_expected(timeout: Any, got: str) -> None:
    assert str(rejection(timeout=timeout)) == f"timeout: expected more than 0 seconds, got {got}"


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize(
    "value, truth", [("", False), (None, False), (0, False), ("1", True), (1, True), ([0], True)]
)
def test_a_flag_is_the_truth_of_its_value(name: str, value: Any, truth: bool) -> None:
    assert getattr(config(**{name: value}), name) is truth


@pytest.mark.parametrize("stand_in", STAND_INS)
def test_an_option_that_stands_for_none_is_left_out(stand_in: Callable[[object], Any]) -> None:
    names = {name for name in Config.names() if getattr(Config, name) is None} - {"write_key"}
    left_out = config(**{name: stand_in(None) for name in names})
    assert left_out == config()
    assert {name for name in names if getattr(left_out, name) is None} == names
    with pytest.raises(ConfigError, match=r"^write_key: expected .*, got NoneType; set it: "):
        config(write_key=stand_in(None))


@pytest.mark.parametrize("name", ["timeout", "oauth_auth_server", "oauth_scope"])
def test_none_is_the_default_where_the_incumbent_takes_it(name: str) -> None:
    assert getattr(config(**{name: None}), name) == getattr(Config, name)


@pytest.mark.parametrize("nothing", [False, None, ""])
@pytest.mark.parametrize(
    "options",
    [{"write_key": None}, {"write_key": b"key"}, {"write_key": " "}, {"host": 5}, {"host": "a b"}],
)
def test_without_sending_neither_host_nor_key_matter(options: Any, nothing: Any) -> None:
    assert config(**options, send=nothing).destinations == []


@pytest.mark.parametrize(
    "host, batch_url",
    [
        (None, "https://api.segment.io/v1/batch"),
        ("", "https://api.segment.io/v1/batch"),
        ("https://api.segment.io", "https://api.segment.io/v1/batch"),
        ("api.segment.io", "https://api.segment.io/v1/batch"),
        ("//api.segment.io", "https://api.segment.io/v1/batch"),
        ("localhost:8080", "https://localhost:8080/v1/batch"),
        ("localhost:8080/path", "https://localhost:8080/path/v1/batch"),
        ("[::1]:8080", "https://[::1]:8080/v1/batch"),
        ("https://api.segment.io/", "https://api.segment.io/v1/batch"),
        ("https://api.segment.io///", "https://api.segment.io/v1/batch"),
        ("HTTPS://API.SEGMENT.IO", "HTTPS://API.SEGMENT.IO/v1/batch"),
        ("https://events.eu1.segmentapis.com", "https://events.eu1.segmentapis.com/v1/batch"),
        ("http://localhost:8080", "http://localhost:8080/v1/batch"),
        ("http://localhost:", "http://localhost:/v1/batch"),
        ("https://proxy.example/segment", "https://proxy.example/segment/v1/batch"),
        ("https://proxy.example/segment/", "https://proxy.example/segment/v1/batch"),
        ("https://api.segment.io/v1/batch", "https://api.segment.io/v1/batch"),
        ("https://api.segment.io/v1/batch/", "https://api.segment.io/v1/batch"),
        ("http://127.0.0.1:1/v1/batch", "http://127.0.0.1:1/v1/batch"),
        ("http://[::1]:8080", "http://[::1]:8080/v1/batch"),
        ("http://[fe80::1%25eth0]:8080", "http://[fe80::1%25eth0]:8080/v1/batch"),
        ("http://[2001:db8::1]/path/", "http://[2001:db8::1]/path/v1/batch"),
        ("http://under_score.example", "http://under_score.example/v1/batch"),
    ],
)
def test_batches_are_posted_below_the_host(host: str | None, batch_url: str) -> None:
    assert config(host=host).batch_url == batch_url


def test_a_config_without_a_host_posts_to_the_default_one() -> None:
    assert config().batch_url.startswith(DEFAULT_HOST)


@pytest.mark.parametrize(
    "options",
    [
        *({name: None} for name in (*CALLBACKS, "default_context", "sample_rate")),
        *({name: False} for name in (*CALLBACKS, "default_context", "sample_rate")),
        {"default_context": dict},
        {"default_context": {}},
        {"sample_rate": {"never": 0, "always": 1, "sometimes": 0.5}},
        {"on_error": 0},
        {"on_error": ""},
        {"on_error": print},
        {"on_error": functools.partial(print, "failed")},
        {"on_error": Mock()},
        {"on_error": MagicMock()},
        {"on_error": [].append},
        {"on_error": Counting().count},
        {"on_error": Counting()},
        {"on_error": Counting},
        {"host": "https://localhost"},
        {"host": "https://an_underscore.example.:8443/a"},
        {"host": "https://" + "a" * 63 + ".example"},
        {"host": "https://[fe80::1]"},
        {"log_handler": None},
        {"log_handler": logging.NullHandler()},
        {"proxies": None},
        {"proxies": {}},
        {"proxies": {"https": "203.0.113.16:80"}},
        {"proxies": {"https": "proxy", "http": "http://user:p@ss@proxy.example.:3128/"}},
        {"proxies": {"https": "http://[::1]:3128"}},
        {"proxies": {"http://api.segment.io": "socks5://user:password@proxy:1080"}},
        {"proxies": {"http": None, "https": None}},
        {"proxies": {"https": ""}},
        {"proxies": MappingProxyType({"https": "http://proxy:3128"})},
        {"timeout": 1},
        {"timeout": 0.1},
        {"timeout": (3.05, 27)},
        {"max_queue_size": 0},
        {"max_queue_size": 10**9},
        {"max_queue_bytes": 0},
        {"max_queue_bytes": 65_536},
        {"block_on_full": 0},
        {"max_retries": 0},
        {"thread": 8},
        {"upload_size": 1},
        {"upload_size": 100_000},
        {"upload_interval": 0},
        {"max_total_backoff_duration": 0},
        {"max_rate_limit_duration": 0},
        {"exit_timeout": 0},
        {"shutdown_timeout": 0},
        {"shutdown_timeout": threading.TIMEOUT_MAX},
        {"write_key": "x" * 1_000},
        {"write_key": ""},
        {"oauth_client_id": None, "oauth_client_key": "", "oauth_key_id": ""},
    ],
)
def test_what_the_incumbent_takes_is_taken(options: dict[str, Any]) -> None:
    made = config(**options)
    assert {name: getattr(made, name) for name in options} == options


def test_oauth_is_used_when_all_credentials_are_given() -> None:
    assert config(**OAUTH).uses_oauth
    assert not config().uses_oauth


@pytest.mark.parametrize("missing", OAUTH)
@pytest.mark.parametrize("nothing", [None, ""])
def test_a_missing_oauth_credential_is_named(missing: str, nothing: str | None) -> None:
    error = rejection(**OAUTH | {missing: nothing})
    assert str(error).startswith(f"{missing}: expected a str, because oauth_")
    assert SECRET not in repr(error)


def test_the_repr_hides_secrets() -> None:
    shown = repr(
        Config(
            **OAUTH,
            write_key=f"{SECRET}-write-key",
            proxies={"https": f"http://user:{SECRET}@proxy:3128"},
        )
    )
    assert SECRET not in shown
    assert "oauth_client_id='client-id'" in shown
    assert "max_queue_size=10000" in shown


@pytest.mark.parametrize("name", Config.names())
def test_no_option_can_be_changed(name: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config(), name, None)


def test_equal_options_make_equal_configs() -> None:
    assert config(timeout=3) == config(timeout=3)
    assert config(timeout=3) != config(timeout=4)
