"""No key, token, password or payload gets into a log, a repr or the text of an error."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from support.hasty_clock import hasty_client
from support.raw_server import Ending, RawServer

from segment_librato import Client, LibratoConfig, OpenTelemetryConfig, SegmentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.raw_server import Step

    from segment_librato.devserver import LocalSegment

WRITE_KEY = "Wr1te-Key-That-Nobody-May-See"
TOKEN = "t0ken-that-nobody-may-see"  # noqa: S105  not a real one
PASSWORD = "pr0xy-passw0rd-that-nobody-may-see"  # noqa: S105
PAYLOAD = "payl0ad-that-nobody-may-see"
SECRETS = (WRITE_KEY, TOKEN, PASSWORD, PAYLOAD)


def echo(status: int) -> Callable[[], list[Step]]:
    """Return the script of a server that repeats all it knows, in every place."""
    body = b'{"code": "%b", "message": "%b %b %b"}' % tuple(
        text.encode() for text in (WRITE_KEY, PAYLOAD, TOKEN, PASSWORD)
    )
    head = [
        f"HTTP/1.1 {status} {WRITE_KEY} {PAYLOAD}",
        f"Location: http://{WRITE_KEY}.test/{PAYLOAD}",
        f"Retry-After: {PAYLOAD}",
        f"X-{TOKEN}: {PASSWORD}",
        f"Content-Length: {len(body)}",
        "\r\n",
    ]
    return lambda: ["\r\n".join(head).encode() + body]


SCRIPTS: dict[str, Callable[[], list[Step]]] = {
    **{str(status): echo(status) for status in (200, 302, 400, 401, 404, 413, 429, 500, 511)},
    "reset": lambda: [Ending.RESET],
    "garbage": lambda: [f"{WRITE_KEY} {PAYLOAD}\r\n\r\n".encode(), Ending.CLOSE],
    "bad header": lambda: [f"HTTP/1.1 200 OK\r\n{PAYLOAD}\r\n\r\n".encode(), Ending.CLOSE],
    "bad length": lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: " + PAYLOAD.encode() + b"\r\n\r\n"],
}


def everything_shown_by(error: SegmentError) -> str:
    """Return what a log, a debugger or an error tracker would show of an error."""
    again = copy.copy(error)
    unpickled = pickle.loads(pickle.dumps(error))  # noqa: S301  made here
    texts = [f"{one} {one!r} {one.args}" for one in (error, again, unpickled)]
    return "\n".join([*texts, *traceback.format_exception(error)])


def assert_no_secret_in(text: str) -> None:
    for secret in SECRETS:
        assert secret.lower() not in text.lower()


@pytest.mark.parametrize("sync_mode", [False, True])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_whatever_a_server_does(
    script: Callable[[], list[Step]], sync_mode: bool, caplog: pytest.LogCaptureFixture
) -> None:
    shown: list[str] = []

    def on_error(error: SegmentError, messages: list[dict[str, Any]]) -> None:
        shown.append(everything_shown_by(error))

    caplog.set_level(logging.DEBUG)
    with RawServer(script) as server:
        client, _ = hasty_client(
            WRITE_KEY, host=server.host, on_error=on_error, sync_mode=sync_mode, max_retries=2
        )
        for number in range(3):
            client.track("user", PAYLOAD, {PAYLOAD: PAYLOAD, "n": number})
        shown.append(repr(client))
        client.shutdown(timeout=60)
        shown += [repr(client), repr(client.config), repr(client.stats)]
    assert client.stats.pending == 0
    assert "segment" in {record.name for record in caplog.records}
    assert_no_secret_in("\n".join(shown))
    assert_no_secret_in(caplog.text)


@pytest.mark.parametrize("host", ["http://127.0.0.1:9", "https://127.0.0.1:9"])
@pytest.mark.parametrize("status", [407, 502, None])
def test_a_proxy_that_rejects(
    host: str, status: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    shown: list[str] = []

    def on_error(error: SegmentError, messages: list[dict[str, Any]]) -> None:
        shown.append(everything_shown_by(error))

    caplog.set_level(logging.DEBUG)
    script = echo(status) if status else lambda: [Ending.RESET]
    with RawServer(script) as proxy:
        url = f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}"
        proxies = {"http": url, "https": url}
        client, _ = hasty_client(
            WRITE_KEY, host=host, proxies=proxies, on_error=on_error, max_retries=1
        )
        client.track("user", PAYLOAD)
        client.shutdown(timeout=60)
        assert proxy.requests
    assert len(shown) == 1
    shown += [repr(client), repr(client.config)]
    assert_no_secret_in("\n".join(shown))
    assert_no_secret_in(caplog.text)


@pytest.mark.parametrize("status", [401, 429, 500])
def test_direct_delivery(status: int, caplog: pytest.LogCaptureFixture) -> None:
    shown: list[str] = []

    def on_error(error: SegmentError, messages: list[dict[str, Any]]) -> None:
        shown.append(everything_shown_by(error))

    caplog.set_level(logging.DEBUG)
    with RawServer(echo(status)) as server:
        accounts = (
            LibratoConfig("ada@example.com", TOKEN, host=server.host, max_retries=0),
            OpenTelemetryConfig(
                endpoint=server.host, headers={"authorization": f"Bearer {TOKEN}"}, max_retries=0
            ),
        )
        for account in accounts:
            client = Client(gauges=account, on_error=on_error)
            client.gauge(PAYLOAD, 1)
            client.shutdown(timeout=60)
            shown += [repr(client), repr(client.config), repr(account)]
    assert len(shown) == 2 * 4
    assert_no_secret_in("\n".join(shown))
    assert_no_secret_in(caplog.text)


@pytest.mark.parametrize(
    "options",
    [
        {"write_key": f"{WRITE_KEY}\r\nX: y"},
        {"write_key": f"{WRITE_KEY}é"},
        {"write_key": [WRITE_KEY]},
        {"host": f"http://user:{PASSWORD}@127.0.0.1"},
        {"host": f"http://127.0.0.1\r\n{PASSWORD}"},
        {"proxies": f"http://user:{PASSWORD}@127.0.0.1"},
        {"proxies": {"http": [PASSWORD]}},
        {"oauth_client_id": "id", "oauth_key_id": "key", "oauth_client_key": PASSWORD},
        {"oauth_client_key": PASSWORD},
        {"timeout": PASSWORD},
    ],
)
def test_options_that_are_rejected(options: dict[str, Any]) -> None:
    with pytest.raises(SegmentError) as rejection:
        Client(**{"write_key": WRITE_KEY, **options})
    assert_no_secret_in("\n".join([str(rejection.value), repr(rejection.value)]))


def test_messages_that_are_rejected(server: LocalSegment) -> None:
    client = Client(WRITE_KEY, server.host)
    for arguments in (
        {"user_id": [PAYLOAD], "event": "event"},
        {"user_id": "user", "event": [PAYLOAD]},
        {"user_id": "user", "event": "event", "properties": PAYLOAD},
        {"user_id": "user", "event": "event", "timestamp": PAYLOAD},
        {"user_id": "user", "event": "event", "message_id": PAYLOAD * 10},
        {"user_id": "user", "event": "event", "properties": {"text": PAYLOAD * 5_000}},
    ):
        with pytest.raises(SegmentError) as rejection:
            client.track(**arguments)
        assert_no_secret_in(f"{rejection.value} {rejection.value!r}")
        assert rejection.value.__cause__ is None
    client.shutdown()
