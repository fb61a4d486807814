"""What an exception of `requests` means: an outage that passes, or a setting that is wrong.

An outage is a `NetworkError`, which is retried. A wrong setting stays wrong until somebody corrects
it, so it is a `ConfigError`, which is reported at once and names the setting. Owns the texts of
both. Must not know sessions, or what is sent.
"""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from requests.exceptions import InvalidSchema, InvalidURL, SSLError
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy
from urllib3.exceptions import LocationValueError

from segment_librato.config.validators import host_of
from segment_librato.errors import ConfigError, NetworkError
from segment_librato.foreign.interruption import being_handled, let_through
from segment_librato.http.proxy import without_password

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["causes", "explain"]

TUNNEL_FAILURE = re.compile(r"Tunnel connection failed: \d{3}")
PROXY_SETTINGS = "`proxies`, HTTPS_PROXY, HTTP_PROXY and ALL_PROXY"
HOST_SETTINGS = "`host`, `endpoint` or `oauth_auth_server`"
FILE_SETTINGS = (
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    *(
        f"OTEL_EXPORTER_OTLP_{signal}{option}"
        for option in ("CERTIFICATE", "CLIENT_CERTIFICATE")
        for signal in ("METRICS_", "")
    ),
)


def explain(
    error: BaseException,
    url: str,
    options: Mapping[str, Any],
    handled_by_caller: BaseException | None,
) -> ConfigError | NetworkError:
    """Return the error to raise for what `requests` raised; of a URL it holds the host alone.

    Args:
        error: what `requests` raised, with the cause somewhere in it.
        url: where the request went.
        options: what `requests` was given: `proxies`, `verify` and `cert`.
        handled_by_caller: the context that Python gives every new error; unrelated to this one.
    """
    if problem := _find_problem(error, url, options):
        return ConfigError(f"{host_of(url)}: {problem}")
    place = f"{host_of(url)}{_by_way_of(select_proxy(url, options['proxies']))}"
    return NetworkError(f"{place}: {_describe(error, handled_by_caller)}")


def _by_way_of(proxy: str | None) -> str:
    """Name a proxy, if there is one; not its host, if a part of a password might be in that."""
    if not proxy:
        return ""
    handled = being_handled()
    try:
        return f" via {host_of(without_password(proxy).geturl())}"
    except ValueError as error:
        let_through(error, handled)
        return " via a proxy"


def _find_problem(error: BaseException, url: str, options: Mapping[str, Any]) -> str:
    """Return which setting is wrong, and why; empty if it is an outage."""
    if isinstance(error, InvalidSchema):
        needed = 'a SOCKS proxy needs PySocks; pip install "requests[socks]"'
        return f"{needed}, or check {PROXY_SETTINGS}"
    if isinstance(error, (InvalidURL, LocationValueError)):
        if select_proxy(url, options["proxies"]):
            expected = "expected a proxy URL such as http://proxy.example:3128"
            return f"{expected}; check {PROXY_SETTINGS}"
        return f"expected a valid host name; check {HOST_SETTINGS}"
    if isinstance(error, SSLError) or type(error) is OSError:  # as `requests` raises it
        return _problem_of_authorities(options["verify"]) or _problem_of_cert(options["cert"])
    return ""


def _problem_of_authorities(verify: bool | str) -> str:
    """Return what is wrong with the file of certificate authorities; empty if it can be used."""
    path = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
    if Path(path).is_dir():
        return ""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _problem_of_file(
        path, lambda: context.load_verify_locations(path), "it holds no certificate"
    )


def _problem_of_cert(cert: str | tuple[str, str] | None) -> str:
    """Return what is wrong with the client's certificate and key; empty if they can be used."""
    if not cert:
        return ""
    file, key = (cert, None) if isinstance(cert, str) else cert
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # With an empty password, OpenSSL does not ask for one on the terminal.
    return _problem_of_file(
        file,
        lambda: context.load_cert_chain(file, key, password=""),
        "certificate and key do not fit, or the key needs a password",
    )


def _problem_of_file(path: str, load: Callable[[], object], unusable: str) -> str:
    handled = being_handled()
    try:
        load()
    except OSError as error:
        let_through(error, handled)
        reason = unusable if isinstance(error, ssl.SSLError) else error.strerror
        name = next((one for one in FILE_SETTINGS if os.environ.get(one) == path), "certifi")
        return f"the file of {name} cannot be used: {reason}"
    return ""


def _describe(error: BaseException, handled_by_caller: BaseException | None) -> str:
    """Say what went wrong, in words that hold no URL."""
    *_, cause = causes(error, handled_by_caller)
    detail = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None)
    if not detail and (tunnel_failure := TUNNEL_FAILURE.match(str(cause))):
        detail = tunnel_failure.group()
    name, cause_name = type(error).__name__, type(cause).__name__
    return name if name == cause_name and not detail else f"{name}: {detail or cause_name}"


def causes(
    error: BaseException, handled_by_caller: BaseException | None
) -> Iterator[BaseException]:
    """Yield an error and what it wraps, what was raised first last; see `explain`."""
    cause: BaseException | None = error
    while cause is not None and cause is not handled_by_caller:
        yield cause
        cause = _inner(cause)


def _inner(error: BaseException) -> BaseException | None:
    """Return the error that this one wraps as an attribute, an argument or its cause."""
    context = None if error.__suppress_context__ else error.__context__
    for inner in (getattr(error, "reason", None), *error.args, error.__cause__, context):
        if isinstance(inner, BaseException):
            return inner
    return None
