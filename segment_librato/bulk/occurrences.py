"""How often each row has come, in a table that is on disk as soon as it is large.

A row is known by 56 bits of its digest. Two that share them are taken for equal, which does no
harm: the second gets an id that no other has. Must not know rows.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from errno import EINVAL, EOPNOTSUPP

__all__ = ["Occurrences"]

FIRST_BITS = 16  # of the number of slots: half a megabyte
MAX_BITS_IN_MEMORY = 16
TAG_BITS = 56
COUNT_MASK = 0xFF
SLOT_BYTES = 8


class Occurrences:
    """Counts what is added. For one thread at a time.

    A table of slots of 64 bits: 56 that tell what was added, and 8 for how often, which more than
    254 times of the same leave for a dict. A slot is found by the first bits, so that the table
    is in order, and grows in one pass over both of its files.
    """

    def __init__(self) -> None:
        self._used = 0
        self._many: dict[int, int] = {}
        self._make_table(FIRST_BITS)

    @property
    def distinct(self) -> int:
        """How many different digests were added."""
        return self._used

    def add(self, digest: bytes) -> int:
        """Count a digest of at least 7 random bytes; return how often it has come."""
        tag = int.from_bytes(digest[:7], "big")
        slots, mask, at = self._slots, self._mask, tag >> self._shift
        while slot := slots[at]:
            if slot >> 8 == tag:
                return self._add_again(at, tag)
            at = (at + 1) & mask
        slots[at] = tag << 8 | 1
        self._used += 1
        if self._used > self._most:
            self._grow()
        return 1

    def close(self) -> None:
        """Let go of the table."""
        self._slots.release()
        if self._file:
            self._file.close()

    def _add_again(self, at: int, tag: int) -> int:
        count = self._slots[at] & COUNT_MASK
        if count < COUNT_MASK:
            self._slots[at] += 1
            return count + 1
        self._many[tag] = self._many.get(tag, COUNT_MASK) + 1
        return self._many[tag]

    def _make_table(self, bits: int) -> None:
        size = SLOT_BYTES << bits
        self._file = None if bits <= MAX_BITS_IN_MEMORY else _map_file(size)
        self._slots = memoryview(self._file or bytearray(size)).cast("Q")
        self._bits = bits
        self._shift = TAG_BITS - bits
        self._mask = (1 << bits) - 1
        self._most = (1 << bits) * 2 // 3

    def _grow(self) -> None:
        """Move all into a table of twice the size."""
        old, old_file = self._slots, self._file
        self._make_table(self._bits + 1)
        slots, mask, shift = self._slots, self._mask, self._shift + 8
        for slot in old:
            if slot:
                at = slot >> shift
                while slots[at]:
                    at = (at + 1) & mask
                slots[at] = slot
        old.release()
        if old_file:
            old_file.close()


def _map_file(size: int) -> mmap.mmap:
    """Return a file without a name as memory.

    Raises:
        OSError: the disk has no room for it.
    """
    with tempfile.TemporaryFile(prefix="segment-import-") as file:
        try:
            _reserve(file.fileno(), size)
        except OSError as error:
            problem = f"{error.strerror}; set TMPDIR to a folder on another disk"
            raise OSError(error.errno, problem, tempfile.gettempdir()) from None
        return mmap.mmap(file.fileno(), size)


def _reserve(file: int, size: int) -> None:
    """Make an empty file so large, with room on the disk if the system can promise it.

    Without that promise, a write to memory would tell: by a signal that ends the process.
    """
    try:
        os.posix_fallocate(file, 0, size)
    except (AttributeError, OSError) as error:
        if getattr(error, "errno", EINVAL) not in {EINVAL, EOPNOTSUPP}:
            raise
        os.ftruncate(file, size)
