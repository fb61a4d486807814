"""Checks of the values of options.

Each function raises a `ConfigError` that names the option and quotes no value that may be a
secret. Must not know the options themselves.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Mapping
from functools import partial
from ipaddress import IPv6Address, ip_address
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from segment_librato.errors import ConfigError, unexpected
from segment_librato.foreign.interruption import is_interruption
from segment_librato.foreign.narrowing import is_mapping, is_tuple
from segment_librato.recording import recordings

__all__ = [
    "Timeout",
    "check_callback",
    "check_choice",
    "check_context",
    "check_count",
    "check_header_text",
    "check_proxies",
    "check_rates",
    "check_seconds",
    "check_sender",
    "check_text",
    "check_timeout",
    "check_url",
    "host_of",
    "is_http_url",
    "is_loopback",
    "truth",
    "with_scheme",
]

Timeout = float | tuple[float, float]
"""Seconds to wait for a connection and for a response: one number for each, or a pair."""

# "localhost:8080" has none, "ftp:/file" has one.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?!\d+(/|$))")
HOST_NAME = re.compile(r"(?!.{254})[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")  # RFC 1035
PROXY_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+-]*:|/")
PROXY_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})
# Of the flags of a code object: generator, coroutine, generator as coroutine, async generator.
# (Their names are in `inspect`, which is slow to import.)
DOES_NOT_RUN_WHEN_CALLED = 0x20 | 0x80 | 0x100 | 0x200


def check_text(name: str, value: object, expected: str = "a str") -> None:
    """Reject anything but a str."""
    if not isinstance(value, str):
        raise ConfigError(unexpected(name, expected, value))


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Reject anything but one of these texts."""
    if value in choices:
        return
    expected = " or ".join(map(repr, choices))
    if isinstance(value, str):
        raise ConfigError(f"{name}: expected {expected}, got another str")
    raise ConfigError(unexpected(name, expected, value))


def truth(name: str, value: object) -> bool:
    """Return the truth of a value: a flag may be the text of an environment variable, or None."""
    try:
        return bool(value)
    except (TypeError, ValueError) as error:  # an array has none
        if is_interruption(error):
            raise
        raise ConfigError(unexpected(name, "a bool", value)) from None


def with_scheme(url: object) -> Any:  # noqa: ANN401  what is no str is rejected elsewhere
    """Return a URL with the scheme https if it has none, anything else as it is."""
    if not isinstance(url, str) or not url or _SCHEME.match(url):
        return url
    return f"https:{url}" if url.startswith("//") else f"https://{url}"


def check_header_text(name: str, value: str) -> None:
    """Reject what could break out of an HTTP header, or hints at a badly read file."""
    if not (value.isascii() and value.isprintable() and value == value.strip()):
        expected = "printable ASCII characters without surrounding spaces"
        raise ConfigError(f"{name}: expected {expected}")


def check_url(name: str, value: object, example: str) -> None:
    """Reject anything but an absolute HTTP URL without credentials, query or fragment."""
    expected = f"a URL such as {example}"
    if not isinstance(value, str):
        raise ConfigError(unexpected(name, expected, value))
    check_header_text(name, value)
    if not is_http_url(value):
        raise ConfigError(f"{name}: expected {expected}, with scheme and host name")
    if "@" in urlsplit(value).netloc or "?" in value or "#" in value:  # an empty query counts, too
        raise ConfigError(f"{name}: expected a URL without credentials, query or fragment")


def is_http_url(text: str) -> bool:
    """Return whether this is an absolute HTTP URL that requests can be sent to."""
    return _is_url(text, {"http", "https"})


def host_of(url: str) -> str:
    """Return the host of a URL and, if the URL has one, the port, for a text; nothing else of it.

    Raises:
        ValueError: its port is none.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{parts.port}" if parts.port else host


def is_loopback(host: str) -> bool:
    """Return whether this is a name or an address of this machine that no other machine reaches."""
    try:
        return ip_address(host).is_loopback
    except ValueError as error:
        if is_interruption(error):
            raise
        return host == "localhost" or host.endswith(".localhost")


def check_count(name: str, value: object, minimum: int, maximum: int | None = None) -> None:
    """Reject anything but an int within bounds."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(unexpected(name, "an int", value))
    if value < minimum:
        raise ConfigError(f"{name}: expected at least {minimum}, got {value}")
    if maximum is not None and value > maximum:
        raise ConfigError(f"{name}: expected at most {maximum}, got {value}")


def check_seconds(name: str, value: object) -> None:
    """Reject anything but a number of seconds that can be waited for."""
    if not _is_number(value):
        raise ConfigError(unexpected(name, "a number of seconds", value))
    if not value >= 0:  # NaN is not
        raise ConfigError(f"{name}: expected at least 0 seconds, got {value}")
    if value > threading.TIMEOUT_MAX:
        raise ConfigError(
            f"{name}: expected at most {threading.TIMEOUT_MAX:.0f} seconds, got {value}"
        )


def check_timeout(value: object) -> None:
    """Reject anything but a number of seconds above 0, or a pair (connect, read) of them."""
    if is_tuple(value) and len(value) != 2:  # noqa: PLR2004  (connect, read)
        expected = "a number of seconds, or a pair of them"
        raise ConfigError(f"timeout: expected {expected}, got a tuple of {len(value)}")
    for part in value if is_tuple(value) else (value,):
        if _is_number(part) and part <= 0:
            raise ConfigError(f"timeout: expected more than 0 seconds, got {part}")
        check_seconds("timeout", part)


def check_proxies(value: object) -> None:
    """Reject anything but a dict of str to str or None; any falsy value is accepted."""
    if not value:
        return
    expected = "a dict of scheme to proxy URL"
    if not is_mapping(value):
        raise ConfigError(unexpected("proxies", expected, value))
    for scheme, url in value.items():
        # None tells requests not to use the proxy of the environment
        if not (isinstance(scheme, str) and (url is None or isinstance(url, str))):
            raise ConfigError(f"proxies: expected {expected}, both of them str")
        # requests takes `10.0.0.1:80` for http://10.0.0.1:80, but `localhost:80` for a scheme.
        if url and not _is_url(url if PROXY_SCHEME.match(url) else f"http://{url}", PROXY_SCHEMES):
            expected = "a URL such as http://proxy.example:3128, with scheme and host name"
            raise ConfigError(f"proxies: expected {expected}")


def check_sender(write_key: object, url: str) -> None:
    """Check what sends without a client, and so cannot be recorded: an import, or a drain.

    Raises:
        ConfigError: there is no write key; or a test is recording, and the server is not a local
            one, but perhaps that of production.
    """
    if not write_key:
        raise ConfigError(unexpected("write_key", "the write key of a source, a str", write_key))
    host = urlsplit(url).hostname or ""
    if recordings and not is_loopback(host):
        expected = "a local server, as a test is recording messages"
        raise ConfigError(f"host: expected {expected}; got {host}")


def check_callback(name: str, value: object) -> None:
    """Reject anything but a function that runs when it is called; any falsy value is accepted."""
    if not value:
        return
    if not callable(value):
        raise ConfigError(unexpected(name, "a callable", value))
    while isinstance(value, partial):
        value = value.func
    for function in (value, type(value).__call__):
        code = getattr(function, "__code__", None)
        flags = getattr(code, "co_flags", 0)
        if isinstance(flags, int) and flags & DOES_NOT_RUN_WHEN_CALLED:
            expected = "a function without async or yield, as nothing would run it"
            raise ConfigError(f"{name}: expected {expected}")


def check_context(name: str, value: object) -> None:
    """Reject anything but a mapping or such a function; any falsy value is accepted."""
    if not value or isinstance(value, Mapping):
        return
    if not callable(value):
        raise ConfigError(unexpected(name, "a mapping or a callable", value))
    check_callback(name, value)


def check_rates(name: str, value: object) -> None:
    """Reject anything but a mapping of str to numbers from 0 to 1; any falsy value is accepted."""
    if not value:
        return
    if not is_mapping(value):
        raise ConfigError(unexpected(name, "a mapping of event name to a number", value))
    for event, rate in value.items():
        if not isinstance(event, str):
            raise ConfigError(unexpected(name, "names of events that are str", event))
        if not (_is_number(rate) and 0 <= rate <= 1):
            raise ConfigError(f'{name}: expected a number from 0 to 1 for "{event}"')


def _is_url(text: str, schemes: Collection[str]) -> bool:
    """Return whether this is an absolute URL with such a scheme and with a possible host."""
    if not (text.isascii() and text.isprintable()) or " " in text:
        return False
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
        if "[" in url.netloc:  # Python 3.10 does not check what is inside
            IPv6Address(host)
        elif not HOST_NAME.fullmatch(host):
            return False
    except ValueError as error:
        if is_interruption(error):
            raise
        return False
    return url.scheme in schemes and port != 0


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
