"""The counters of a client, for the debugger's page: accepted = delivered + failed + pending.

Owns the thread that reports them. Must not know what the page does with them.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from segment_librato.config.validators import check_url

if TYPE_CHECKING:
    from typing_extensions import Self

    from segment_librato.client import Client
    from segment_librato.counters import Stats

__all__ = ["Watch", "watch"]

LOOK_EVERY = 0.25  # seconds
REPORT_EVERY = 3.0  # seconds, when nothing changes: the page takes a silent client for gone
TIMEOUT = 5.0


def watch(client: Client, host: str, name: str) -> Watch:
    """Report the counters of a client to a debugger from now on, whenever they change.

        with watch(client, "http://127.0.0.1:8765", "checkout"):
            ...

    Args:
        client: the client. It may be collected meanwhile, which ends the reports.
        host: the address of the debugger.
        name: what the page calls the client.

    Raises:
        ConfigError: The address is no URL.
    """
    return Watch(client, host, name)


class Watch:
    """A daemon thread that reports. A debugger that does not answer is no error."""

    def __init__(self, client: Client, host: str, name: str) -> None:
        check_url("host", host, "http://127.0.0.1:8765")
        self._client = weakref.ref(client)
        self._address = urlsplit(host).netloc
        self._name = name
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="segment-watch", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return the watch, which reports already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()

    def close(self) -> None:
        """Report once more, and end."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        reported: Stats | None = None
        reported_at = 0.0
        is_last = False
        while not is_last:
            is_last = self._closing.wait(LOOK_EVERY)
            stats = self._read()
            if stats is None:
                return
            if stats != reported or time.monotonic() - reported_at > REPORT_EVERY:
                self._report(stats)
                reported, reported_at = stats, time.monotonic()

    def _read(self) -> Stats | None:
        client = self._client()
        return None if client is None else client.stats

    def _report(self, stats: Stats) -> None:
        body = json.dumps({"name": self._name, "stats": _describe(stats)})
        # Not by way of `requests`, which applications patch and proxies catch.
        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT)
        with suppress(OSError, http.client.HTTPException):
            connection.request("POST", "/clients", body)
            connection.getresponse().read()
        connection.close()


def _describe(stats: Stats) -> dict[str, Any]:
    """Return the counters as JSON can hold them."""
    found = stats._asdict()
    for name in ("gauges", "spool"):
        part = getattr(stats, name)
        found[name] = part and part._asdict()
    return found
