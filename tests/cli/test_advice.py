"""What failures mean to somebody at a command line."""

from __future__ import annotations

import pytest

from segment_librato.cli.failures import advise, describe, say_what_is_wrong
from segment_librato.errors import (
    APIError,
    ConfigError,
    DeliveryError,
    MessageTooLargeError,
    NetworkError,
    SegmentError,
    ValidationError,
)

DOCTOR = "to find out why, run segment-librato doctor"


@pytest.mark.parametrize(
    "error,text",
    [
        (ConfigError("sync_timeout: expected more"), "--timeout: expected more"),
        (ValidationError("user_id or anonymous_id: no"), "--user-id or --anonymous-id: no"),
        (ValidationError("name: expected a str"), "name: expected a str"),
        (ConfigError("no user_id"), "no user_id"),
        (ConfigError("my_plan.json: not JSON"), "my_plan.json: not JSON"),
        (ConfigError("cannot read /a/my_plan: gone"), "cannot read /a/my_plan: gone"),
        (MessageTooLargeError("message: too large"), "message: too large"),
        *(
            (NetworkError(f"a.test: {said}"), f"a.test: {told}; {DOCTOR}")
            for said, told in (
                ("Refused", "Refused"),
                ("ConnectionError: Connection refused", "Connection refused"),
                ("ReadTimeout: TimeoutError", "no answer in time"),
                ("ConnectTimeout: ConnectTimeoutError", "no answer in time"),
                ("ProxyError: Connection refused", "the proxy: Connection refused"),
                ("SSLError: wrong version number (_ssl.c:1006)", "SSLError: wrong version number"),
            )
        ),
        (
            ConfigError("no proxy; check `proxies`, HTTPS_PROXY, HTTP_PROXY and ALL_PROXY"),
            "no proxy; check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY",
        ),
        (
            ConfigError("no host; check `host`, `endpoint` or `oauth_auth_server`"),
            "no host; check --host or SEGMENT_HOST",
        ),
        (ConfigError("host: expected a URL"), "--host or SEGMENT_HOST: expected a URL"),
        (ConfigError("write_key: no"), "--write-key or SEGMENT_WRITE_KEY: no"),
        (DeliveryError("interrupted; and more"), "interrupted; and more"),
        (APIError(500, text="a.test answered 500"), "a.test answered 500; try again later"),
        (APIError(429, text="a.test answered 429"), "a.test answered 429; try again later"),
        (
            APIError(429, "x", "Slow", 30.0, "a.test answered 429"),
            "a.test answered 429: Slow; try again in 30 s",
        ),
        (APIError(413, "x", "Large", text="a.test answered 413"), "a.test answered 413: Large"),
        (
            APIError(401, "x", "No", text="a.test answered 401; check `write_key`"),
            "a.test answered 401: No; check the write key",
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_each_says_what_happened_and_what_to_do(error: SegmentError, text: str) -> None:
    assert say_what_is_wrong(error) == text
    assert text.removeprefix(describe(error)) == (f"; {advise(error)}" if advise(error) else "")
