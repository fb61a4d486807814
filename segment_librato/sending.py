"""`import segment_librato.sending` imports what sending needs; see `preload`."""

from __future__ import annotations

import segment_librato.preload  # noqa: F401  for what it loads
