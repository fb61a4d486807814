"""urllib3 with the TLS of pyOpenSSL: whole programs, as it is in force for all of a process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import OpenSSL
import pytest
from support.raw_server import FOREVER, RawServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

SUCCESS = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

PROGRAM = """
import sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import urllib3.contrib.pyopenssl
urllib3.contrib.pyopenssl.inject_into_urllib3()
from segment_librato import Client
errors = []
client = Client("key", sys.argv[1], timeout=2, max_retries=0,
                on_error=lambda error, messages: errors.append(str(error)))
for n in range(3):
    client.track("user", "event", {"n": n})
    assert client.flush(20)
assert client.shutdown(20)
print(client.stats.delivered, errors)
"""


def run(server: RawServer, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    done = subprocess.run(  # noqa: S603  the program above
        [sys.executable, "-c", PROGRAM, server.host],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_batches_are_delivered_over_one_connection(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert OpenSSL.__version__
    with RawServer(lambda: [SUCCESS], keep_alive=True, tls=tls) as server:
        assert run(server, certificate, monkeypatch) == "3 []\n"
    assert (len(server.requests), server.connections) == (3, 1)


def test_surplus_ends_a_connection(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(lambda: [SUCCESS * 2], keep_alive=True, tls=tls) as server:
        assert run(server, certificate, monkeypatch) == "3 []\n"
    assert (len(server.requests), server.connections) == (3, 3)


@pytest.mark.parametrize("rest", [[FOREVER], [b"HTTP/1.1 200 OK\r\n", FOREVER]], ids=range(2))
def test_deadlines_are_kept(
    tls: ssl.SSLContext,
    certificate: Path,
    rest: list[bytes | float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with RawServer(lambda: rest, tls=tls) as server:
        delivered, _, errors = run(server, certificate, monkeypatch).partition(" ")
    assert len(server.requests) == 3
    assert delivered == ("0" if len(rest) == 1 else "3")
    assert errors.count("ReadTimeout: ") == 3 - int(delivered)


def test_a_kept_connection_that_brings_no_answer_leaves_time_for_a_new_one(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: Iterator[list[bytes | float]] = iter([[SUCCESS], [FOREVER], [SUCCESS], [SUCCESS]])
    with RawServer(lambda: next(answers), keep_alive=True, tls=tls) as server:
        assert run(server, certificate, monkeypatch) == "3 []\n"
    assert (len(server.requests), server.connections) == (4, 2)
