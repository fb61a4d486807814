"""Where messages are kept on disk, and for how long.

Owns the options of the spool, their defaults and checks. Must not know files, messages, threads or
the network.
"""

from __future__ import annotations

import os
from typing import Literal

from segment_librato.config.options import KW_ONLY, Options
from segment_librato.config.validators import check_choice, check_count, check_seconds, truth
from segment_librato.errors import ConfigError, unexpected
from segment_librato.foreign.interruption import let_through

__all__ = ["SpoolConfig"]

MIN_BYTES = 1024 * 1024  # two segments
WHEN_FULL = ("reject", "drop_oldest")


class SpoolConfig(Options):
    """A folder that keeps messages until they are delivered or fail: `spool=SpoolConfig(...)`.

    Raises:
        ConfigError: an option has a wrong type or value; the text names it.

    Attributes:
        path: The folder; created if missing. Clients and processes may share it.
        max_bytes: Maximum number of bytes on disk, at least 1 MiB, for each write key and host.
        max_age: Longest time, in seconds, that a message is kept. Then it goes to `on_error` with
            a `SpoolExpiredError`.
        fsync: Longest time, in seconds, until the disk itself holds a message: what a power loss
            may cost. With 0 each call waits for the disk. None: the system decides when. Only a
            power loss or a system crash can cost messages. Without a background thread, as with
            `deliver=False`, what follows a sync waits for the next call after this time, `flush`
            or the exit.
        when_full: What happens to a message beyond `max_bytes`. `"reject"` rejects it with a
            `QueueFullError`; `"drop_oldest"` makes room: the oldest messages go to `on_error` with
            a `SpoolFullError`.
        deliver: Send messages. False only writes them, for another process to deliver once this one
            has ended, and starts no thread.
    """

    path: str | os.PathLike[str] = ""
    _: KW_ONLY
    max_bytes: int = 256 * 1024 * 1024
    max_age: float = 7 * 24 * 3600
    fsync: float | None = 0.5
    when_full: Literal["reject", "drop_oldest"] = "reject"
    deliver: bool = True

    def _check(self) -> None:
        vars(self)["path"] = _absolute(self.path)
        check_count("max_bytes", self.max_bytes, MIN_BYTES)
        check_seconds("max_age", self.max_age)
        if not self.max_age:
            raise ConfigError("max_age: expected more than 0 seconds, got 0")
        if self.fsync is not None:
            check_seconds("fsync", self.fsync)
        check_choice("when_full", self.when_full, WHEN_FULL)
        vars(self)["deliver"] = truth("deliver", self.deliver)


def _absolute(path: str | os.PathLike[str]) -> str:
    """Return a path that stays the same when the process changes its folder."""
    expected = "the path of a folder"
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str) or not text:
        raise ConfigError(unexpected("path", expected, text))
    if "\0" in text:
        raise ConfigError(f"path: expected {expected}, got one with a null character")
    try:
        return os.path.abspath(text)  # noqa: PTH100  importing pathlib is slow
    except FileNotFoundError as error:
        let_through(error, error.__context__)
        raise ConfigError("path: expected an absolute one, as the working folder is gone") from None
