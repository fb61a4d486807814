"""Whether a file is the one that it was: its size, and what is in it.

A file of up to 16 MiB is read as a whole. Of a larger one, the ends and 256 pieces between them
are, 16 of one in the cloud: a change that keeps the size, and is between the pieces, is not seen.
Neither the name nor the time of the last change count: a copy is the same file. Must not know
formats.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import IO

__all__ = ["PIECES", "fingerprint"]

WHOLE_BYTES = 16 * 1024 * 1024
END_BYTES = 1024 * 1024
PIECES = 256
PIECE_BYTES = 4096


def fingerprint(stream: IO[bytes], pieces: int = PIECES) -> tuple[str, int]:
    """Return the fingerprint and the size of a file, in bytes.

    Args:
        stream: the file; it stands at its beginning afterwards.
        pieces: at how many places between its ends to look.

    Raises:
        ValueError: it cannot seek.
    """
    size = stream.seek(0, os.SEEK_END)
    digest = blake2b(str(size).encode(), digest_size=16)
    for at, length in _pieces(size, pieces):
        stream.seek(at)
        digest.update(stream.read(length))
    stream.seek(0)
    return digest.hexdigest(), size


def _pieces(size: int, count: int) -> list[tuple[int, int]]:
    """Return where to look, and at how many bytes."""
    if size <= WHOLE_BYTES:
        return [(at, END_BYTES) for at in range(0, size, END_BYTES)]
    step = (size - 2 * END_BYTES) // count
    between = [(END_BYTES + n * step, PIECE_BYTES) for n in range(count)]
    return [(0, END_BYTES), *between, (size - END_BYTES, END_BYTES)]
