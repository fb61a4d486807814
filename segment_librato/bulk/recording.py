"""Outcomes on their way to disk: rejected rows first, then the state, while rows are read on.

One request at a time is recorded: of an import that is killed, at most that one and those under
way are sent again. Must not know what an outcome is.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future

    from typing_extensions import Self

    from segment_librato.bulk.rejects import RejectsFile
    from segment_librato.bulk.settlement import Settlement
    from segment_librato.bulk.state import State

__all__ = ["Recorder"]


class Recorder:
    """Writes what is settled on a thread of its own. For one thread at a time."""

    def __init__(self, state: State | None, rejects: RejectsFile | None) -> None:
        self._state = state
        self._rejects = rejects
        self._thread = ThreadPoolExecutor(1, "segment-import-state")
        self._under_way: Future[None] | None = None

    def __enter__(self) -> Self:
        """Return the recorder."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for what is under way. Raises OSError: see `record`."""
        self._thread.shutdown()
        self._wait()

    def record(self, settlement: Settlement, lines: list[bytes]) -> None:
        """Begin to write what is settled, with the lines of what was rejected.

        Raises:
            OSError: what came before could not be written.
        """
        self._wait()
        self._under_way = self._thread.submit(self._write, settlement, lines)

    def _wait(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way:
            under_way.result()

    def _write(self, settlement: Settlement, lines: list[bytes]) -> None:
        if self._rejects and lines:
            self._rejects.write(lines)
        if self._state:
            size = self._rejects.size if self._rejects else self._state.rejects_bytes
            self._state.settle(settlement, size)
