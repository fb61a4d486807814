"""Sessions on loan: one for each thread that sends at a time.

Owns which are idle, and which must not be used again. Must not know what a session does.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from segment_librato.config.validators import host_of
from segment_librato.errors import NetworkError, SegmentError
from segment_librato.foreign.interruption import is_interruption
from segment_librato.http.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from segment_librato.config.validators import Timeout
    from segment_librato.http.response import Response

__all__ = ["Pool", "Sessions"]


class _Closable(Protocol):
    def close(self) -> None: ...


Lent = TypeVar("Lent", bound=_Closable)

# Objects of a parent process. Closing one here could wait for a lock whose holder does not exist
# here, so they are kept.
_inherited: list[list[Any]] = []


class Pool(Generic[Lent]):
    """Objects that are each used by one thread at a time, made on demand and kept. Thread-safe."""

    def __init__(self, make: Callable[[], Lent]) -> None:
        self._make = make
        self._idle: list[Lent] = []
        self._closed = False

    @contextmanager
    def lend(self) -> Generator[Lent, None, None]:
        """Lend an object for the length of a `with` block.

        It is closed if the block ends by anything but an error of ours: Ctrl-C, say, may have left
        it in the middle of something.
        """
        lent = self._take_idle() or self._make()
        try:
            yield lent
        except SegmentError:
            self._take_back(lent)
            raise
        except BaseException:
            lent.close()
            raise
        self._take_back(lent)

    def close(self) -> None:
        """Close the objects; one that is lent is closed when it is returned."""
        self._closed = True
        while (idle := self._take_idle()) is not None:
            idle.close()

    def reset_after_fork(self) -> None:
        """Leave the objects to the parent, untouched, and start with none."""
        _inherited.append(self._idle)
        self._idle = []

    def _take_back(self, lent: Lent) -> None:
        self._idle.append(lent)
        if self._closed:
            self.close()

    def _take_idle(self) -> Lent | None:
        try:
            return self._idle.pop()
        except IndexError as error:  # another thread may have taken the last one
            if is_interruption(error):
                raise
            return None


class Sessions(Pool[Session]):
    """Sessions to one URL, one for each thread that sends at a time. Thread-safe."""

    def __init__(
        self,
        url: str,
        proxies: Mapping[str, str] | None,
        timeout: Timeout,
        *,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
    ) -> None:
        """Make no session yet; see `Session` for the arguments."""
        super().__init__(lambda: Session(url, proxies, timeout, verify=verify, cert=cert))
        self.host: str = host_of(url)

    def post(
        self, body: bytes, headers: Mapping[str, str], seconds: float | None = None
    ) -> Response:
        """Post a body; see `Session.post`.

        Raises:
            NetworkError: no response came; `bytes_sent` is the size of the body.
        """
        with self.lend() as session:
            try:
                return session.post(body, headers, seconds)
            except NetworkError as error:
                error.bytes_sent = len(body)
                raise
