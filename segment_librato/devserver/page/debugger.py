"""`Debugger`: a LocalSegment with the page, and what it has kept.

Owns what belongs together, and the order in which it ends. Must not know what any of it does.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from segment_librato.devserver.page.extension import Page
from segment_librato.devserver.page.journal import Journal, Limits
from segment_librato.devserver.server import LocalSegment

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

    from segment_librato.devserver.server import OnRequest

__all__ = ["Debugger"]

KEPT_IN_SERVER = 1000  # what the page shows is in the journal


class Debugger:
    """A local Segment and Librato with a page that shows what they receive.

    Attributes:
        server: the server.
        journal: what the page shows.
        host: its address, for clients as well as for a browser.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        database: Path | None = None,
        limits: Limits | None = None,
        on_request: OnRequest | None = None,
    ) -> None:
        """Listen at once.

        Args:
            port: the port, 0 for a free one.
            database: a file that keeps everything over restarts; None: memory.
            limits: how much is kept.
            on_request: as that of `LocalSegment`.

        Raises:
            OSError: The port is taken or not allowed.
            JournalError: The file cannot be used.
        """
        self.journal: Journal = Journal(database, limits)
        try:
            self.server: LocalSegment = LocalSegment(
                port,
                on_request=on_request,
                extend=partial(Page, journal=self.journal),
                limit=KEPT_IN_SERVER,
            )
        except BaseException:
            self.journal.close()
            raise
        self.host: str = self.server.host

    def __enter__(self) -> Self:
        """Return the debugger, which listens already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> int:
        """Stop the server, then close what it writes to; return how many events are kept."""
        self.server.close()
        self.journal.close()
        return self.journal.state.events
