"""What `doctor` looks at: each check yields what it found, and what to do about it.

Owns the checks, and the words for what they find. Never says a write key or a password. Must not
know how findings are shown.
"""

from __future__ import annotations

import logging
import platform
import re
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from segment_librato._version import VERSION
from segment_librato.cli.failures import advise, describe
from segment_librato.cli.finding import OK, PROBLEM, WARNING, Finding
from segment_librato.cli.output import Warnings
from segment_librato.client import Client
from segment_librato.config.client import Config
from segment_librato.errors import ConfigError, DeliveryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.errors import SegmentError

__all__ = ["examine"]

NEEDED = ("requests", "urllib3", "python-dateutil", "backoff")
EXTRAS = {
    "cli": ("click rich", "for this command"),
    "debugger": ("plotly", "for the charts of the debugger"),
    "fast": ("orjson", "with which an event costs a fifth less"),
    "oauth": ("PyJWT cryptography", "for the option oauth_client_id"),
    "otel": (
        "opentelemetry-sdk opentelemetry-exporter-otlp-proto-http",
        "for gauges=OpenTelemetryConfig(...)",
    ),
    "parquet": ("pyarrow", "to import Parquet files"),
    "plan": ("jsonschema", "for tracking plans"),
    "spark": ("pyspark", "to import from Spark"),
    "zstd": (
        "backports.zstd" if sys.version_info < (3, 14) else "",
        "to import files that zstd has compressed",
    ),
}
USUAL_KEY = re.compile("[A-Za-z0-9]{32}")
WHERE_KEYS_ARE = "Segment has it under Sources > your source > Settings > API Keys"
EVENT = "Doctor Checked Connection"
USER = "segment-librato-doctor"


def examine(
    write_key: str | None, host: str | None, timeout: float, *, send: bool
) -> Iterator[Finding]:
    """Yield what each check finds, one after another.

    Args:
        write_key: of the source; None if it is not known.
        host: as the option of a client.
        timeout: seconds that each step of the network may take.
        send: whether to send a test message.
    """
    yield from _look_at_packages()
    key = _look_at_key(write_key)
    yield key
    try:
        url = Config("unknown", host).batch_url
    except ConfigError as error:
        advice = "set --host or SEGMENT_HOST to a URL, or leave it out"
        yield Finding("host", PROBLEM, error.message.removeprefix("host: "), advice)
        return
    has_failed = False
    for finding in _look_at_network(url, timeout):
        has_failed |= finding.state == PROBLEM
        yield finding
    if send and write_key and key.state != PROBLEM and not has_failed:
        yield _send(write_key, host, timeout)
    elif send:
        reason = "there is no usable write key" if not has_failed else "the API cannot be reached"
        yield Finding("delivery", PROBLEM, f"not tried: {reason}")


def _look_at_packages() -> Iterator[Finding]:
    implementation = f"{platform.python_implementation()} {platform.python_version()}"
    yield Finding("python", OK, f"{implementation} on {sys.platform}")
    versions = ", ".join(f"{name} {_version_of(name)}" for name in NEEDED)
    yield Finding("segment-librato", OK, f"{VERSION}, with {versions}")
    for extra, (packages, purpose) in EXTRAS.items():
        found = {name: _version_of(name) for name in packages.split()}
        text = ", ".join(f"{name} {its_version}" for name, its_version in found.items())
        if missing := ", ".join(name for name in found if not found[name]):
            text = f"not installed: {missing}; {purpose}"
        yield Finding(f"extra {extra}", OK, text or "not needed: Python has it")


def _version_of(package: str) -> str:
    """Return the version of a package; empty if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _look_at_key(key: str | None) -> Finding:
    name = "write key"
    if not key:
        return Finding(name, WARNING, "not set", f"set SEGMENT_WRITE_KEY; {WHERE_KEYS_ARE}")
    if {key[0], key[-1]} & {"'", '"'}:
        return Finding(name, PROBLEM, "has quotes around it", "remove them")
    try:
        Config(key)
    except ConfigError as error:
        text = error.message.removeprefix("write_key: ")
        return Finding(name, PROBLEM, text, "remove spaces and line breaks; copy it again")
    if not USUAL_KEY.fullmatch(key):
        text = f"has {len(key)} characters, where Segment's have 32 letters and digits"
        return Finding(name, WARNING, text, f"check it; {WHERE_KEYS_ARE}")
    return Finding(name, OK, "32 letters and digits, as usual")


def _look_at_network(url: str, timeout: float) -> Iterator[Finding]:
    try:
        from segment_librato.cli.network_checks import look_at_network  # it imports HTTP
    except (ImportError, DeliveryError) as error:
        advice = "repair the installation: pip install --upgrade --force-reinstall segment-librato"
        yield Finding("http", PROBLEM, str(error), advice)
        return
    yield from look_at_network(url, timeout)


def _send(write_key: str, host: str | None, timeout: float) -> Finding:
    failures: list[SegmentError] = []
    warnings: list[str] = []
    handler = Warnings(warnings.append)
    logging.getLogger("segment").addHandler(handler)
    client = Client(
        write_key,
        host,
        on_error=lambda error, _: failures.append(error),
        sync_mode=True,
        sync_timeout=timeout,
        timeout=timeout,
    )
    began = time.monotonic()
    client.track(USER, EVENT, {"version": VERSION})
    took = (time.monotonic() - began) * 1000
    client.shutdown()
    logging.getLogger("segment").removeHandler(handler)
    if failures:
        return Finding("delivery", PROBLEM, describe(failures[0]), advise(failures[0]))
    if warnings:
        return Finding("delivery", WARNING, warnings[0])
    return Finding("delivery", OK, f"the event {EVENT!r} was accepted in {took:.0f} ms")
