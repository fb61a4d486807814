"""What many tests need: a local server, clients that are shut down, errors that are kept."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from support.certificates import make_certificate
from support.errors import Errors
from support.local_server import PatientSegment

from segment_librato import Client
from segment_librato.delivery.consumer import Consumer
from segment_librato.encoding import coerce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

pytest_plugins = ["pytester", "support.command", "support.debugger", "support.sampling"]

# A test that has `sys.modules` restored must not have it forget orjson: CPython 3.13 crashes in a
# process that imports it again and again.
with suppress(ImportError):
    import orjson  # noqa: F401

# How long an example takes says something of the machine, which may stop at any time.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> None:
    """Handle Ctrl-C, here and in child processes: a shell has its background jobs ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave coverage out of child processes, where its imports or files would matter."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture(autouse=True)
def nothing_reported() -> None:
    """Let each test see what is logged once: only so many lines are, and earlier tests had some."""
    coerce._reported.clear()  # noqa: SLF001  nobody else has it forgotten


@pytest.fixture(scope="module", autouse=True)
def levels_restored() -> Iterator[None]:
    """Let later tests see what is logged, whatever a package here, such as Celery, has set."""
    loggers = (logging.getLogger(), logging.getLogger("segment"))
    before = [(each, each.level, each.propagate) for each in loggers]
    yield
    for each, level, propagates in before:
        each.setLevel(level)
        each.propagate = propagates


@pytest.fixture(autouse=True)
def threads_ended() -> Iterator[None]:
    """Let no later test meet the threads of a client that this one has left: they log and sync."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("segment-"):
            thread.join(10)


@pytest.fixture(autouse=True)
def sockets_collected(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let no later test meet the sockets that an interruption has left to the collector."""
    yield
    filters = [one for mark in request.node.iter_markers("filterwarnings") for one in mark.args]
    if any("unclosed" in one or "<socket" in one for one in filters):
        gc.collect()


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Collect no garbage: what the collector calls where the stack runs out fails, too, aloud."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def server() -> Iterator[LocalSegment]:
    with PatientSegment() as local:
        yield local


@pytest.fixture
def errors() -> Errors:
    return Errors()


@pytest.fixture
def make_client(server: LocalSegment, errors: Errors) -> Iterator[Callable[..., Client]]:
    """Make clients of the server that report to `errors`; shut them down in the end."""
    made: list[Client] = []

    def make(**options: Any) -> Client:
        options = {"host": server.host, "on_error": errors, **options}
        made.append(Client("test-key", **options))
        return made[-1]

    yield make
    server.release()
    for client in made:
        client.shutdown(timeout=1)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Listen on a port for a server in another process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.set_inheritable(True)
        yield listening


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the system give no thread to a consumer."""

    def start(consumer: Consumer) -> None:
        raise RuntimeError("no thread")

    monkeypatch.setattr(Consumer, "start", start)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for 127.0.0.1 that nobody trusts, with its key in the same file."""
    return make_certificate(tmp_path_factory.mktemp("certificates") / "127.0.0.1.pem")


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
