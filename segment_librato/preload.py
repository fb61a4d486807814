"""`preload()`: import what sending needs ahead of the first message.

Owns the list of these modules. Must not know when it is called, or what they do.
"""

from __future__ import annotations

__all__ = ["preload"]


def preload() -> None:
    """Import what the first message would import, which takes about 100 ms.

    A server that forks its workers can call this before the fork, so that no request has to wait
    and all workers share the memory. Thread-safe; calling it again does nothing.
    """
    from segment_librato.delivery.retry import load_backoff
    from segment_librato.encoding.encoder import message_encoder
    from segment_librato.gauge_delivery import librato  # noqa: F401  loaded for its own sake
    from segment_librato.transport import segment  # noqa: F401  the same

    load_backoff()
    message_encoder()
