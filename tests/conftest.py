"""What many tests need: a local server, clients that are shut down, errors that are kept."""

from __future__ import annotations

import gc
import ipaddress
import signal
import socket
import ssl
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, settings
from support.errors import Errors

from segment_librato import Client
from segment_librato.delivery.consumer import Consumer
from segment_librato.devserver import LocalSegment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytest_plugins = ["support.sampling"]

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
    """Leave coverage out of child processes, for tests of what is imported there."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


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
    with LocalSegment() as local:
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
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    usage = dict.fromkeys(
        [
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ],
        False,
    )
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificates") / "127.0.0.1.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
