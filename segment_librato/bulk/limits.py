"""How large a row may be.

Must not know what is in one.
"""

from __future__ import annotations

__all__ = ["MAX_ROW_BYTES"]

MAX_ROW_BYTES = 1024 * 1024
"""Of a line, of the lines of one row, or of a row with values that JSON does not have: far more
than a message may have, 32 KB."""
