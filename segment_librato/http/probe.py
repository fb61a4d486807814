"""What stands between this machine and a URL: proxy, addresses, connection, certificate.

Takes the steps of a request one by one, so that whoever looks for trouble sees which of them
fails. Owns these steps. Must not know what is sent, or what is said of a failure.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from requests.certs import where  # type: ignore[attr-defined]  # its stub hides what it is for
from requests.utils import get_environ_proxies, select_proxy
from urllib3.util.ssl_ import create_urllib3_context

from segment_librato.http.deadlines import seconds_until
from segment_librato.http.proxy import without_password
from segment_librato.process.clock import monotonic

__all__ = [
    "Certificate",
    "authorities",
    "connect",
    "find_proxy",
    "handshake",
    "make_context",
    "port_of",
    "resolve",
]

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}


class Certificate(NamedTuple):
    """What a server has shown.

    Attributes:
        protocol: such as TLSv1.3.
        issuer: the organization that issued it.
        expires_at: seconds since the epoch.
    """

    protocol: str
    issuer: str
    expires_at: float


def find_proxy(url: str) -> tuple[SplitResult, str] | None:
    """Return the proxy for a URL, without its password, and the variable that names it, if any.

    Raises:
        ValueError: it is not a URL; the text is the variable.
    """
    proxy = select_proxy(url, get_environ_proxies(url))
    if not proxy:
        return None
    names = [f"{kind}_proxy" for kind in (urlsplit(url).scheme, "all")]
    spelled = [each for name in names for each in (name, name.upper())]
    variable = next((name for name in spelled if os.environ.get(name)), "the system")
    try:
        return without_password(proxy), variable
    except ValueError:
        raise ValueError(variable) from None


def port_of(parts: SplitResult) -> int:
    """Return the port of a URL. Raises ValueError: it is not one."""
    return parts.port or PORTS.get(parts.scheme, 443)


def authorities() -> tuple[str, str]:
    """Return the file or folder of certificate authorities, and the variable that names it."""
    for variable in CA_VARIABLES:
        if path := os.environ.get(variable):
            return path, variable
    return where(), ""


def make_context(path: str) -> ssl.SSLContext:
    """Return how certificates are checked, as requests do it.

    Args:
        path: of the file or folder of authorities.

    Raises:
        OSError: it is missing, or has none.
    """
    context = create_urllib3_context()
    is_folder = os.path.isdir(path)  # noqa: PTH112  as `requests` tells them apart
    context.load_verify_locations(*((None, path) if is_folder else (path, None)))
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    return context


def resolve(parts: SplitResult, timeout: float) -> list[str]:
    """Return the addresses of the host of a URL.

    Raises:
        OSError: it has none, or nobody says so in time.
    """
    found: list[list[Any] | OSError] = []

    def look_up() -> None:
        try:
            found.append(
                socket.getaddrinfo(parts.hostname, port_of(parts), type=socket.SOCK_STREAM)
            )
        except (OSError, UnicodeError) as error:
            found.append(error if isinstance(error, OSError) else OSError("not a host name"))

    # The system takes its own time, in which not even Ctrl-C is heard.
    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(timeout)
    if not found:
        raise TimeoutError
    if isinstance(found[0], OSError):
        raise found[0]
    return [*dict.fromkeys(address[0] for *_, address in found[0])]


def connect(addresses: list[str], port: int, timeout: float) -> socket.socket:
    """Return a connection to the first of these addresses that answers.

    Raises:
        OSError: none does.
    """
    deadline = monotonic() + timeout
    problem: OSError = TimeoutError()
    for address in addresses:
        left = seconds_until(deadline)
        if not left:
            break
        try:
            return socket.create_connection((address, port), left)
        except OSError as error:
            problem = error
    raise problem


def handshake(connection: socket.socket, host: str, context: ssl.SSLContext) -> Certificate:
    """Return the certificate of a server, which was checked.

    Args:
        connection: to the server; it is closed.
        host: its name.
        context: as `make_context` returns it.

    Raises:
        ssl.SSLError: there is none, or it cannot be trusted.
        OSError: the connection ended.
    """
    with connection, context.wrap_socket(connection, server_hostname=host) as secured:
        shown: dict[str, Any] = secured.getpeercert() or {}
        names = dict(pair for (pair, *_) in shown.get("issuer", ()))
        issuer = names.get("organizationName") or names.get("commonName", "unknown")
        expires_at = ssl.cert_time_to_seconds(shown["notAfter"])
        return Certificate(secured.version() or "", issuer, expires_at)
