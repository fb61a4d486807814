"""A port for a server that a test starts later, perhaps in another process."""

from __future__ import annotations

import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["reserved_port"]


@contextmanager
def reserved_port() -> Iterator[int]:
    """Yield a port where nothing listens, and that nobody else gets: not by asking for any."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        if sys.platform != "linux":  # elsewhere it would be taken
            holder.close()
        yield port
