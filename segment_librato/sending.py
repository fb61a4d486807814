"""`import segment_librato.sending` calls `preload()`, for servers that preload by an import."""

from __future__ import annotations

from segment_librato.preload import preload

__all__: list[str] = []

preload()
