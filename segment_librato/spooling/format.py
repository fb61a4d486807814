"""The file format of the spool, version 1: a header, then records, each with its own check.

    header   magic "segspool", version (u16), 0 (u16), CRC32 of what precedes (u32)
    record   length (u16), its complement (u16), CRC32 of the rest (u32), sequence number (u64),
             payload: `length` bytes, the JSON of one message

All numbers are little-endian. The header is the same in all versions. The complement tells a
damaged length from a record that was torn when its writer died: a torn one is the last of its
file, and the file ends before the record does, or holds only zeros from somewhere in it on, as
some file systems leave it after a power loss. The JSON of a message never ends with a zero.

Owns these bytes. Must not know files by name, or who wrote them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "HEADER",
    "MAX_PAYLOAD_BYTES",
    "RECORD_BYTES",
    "CorruptSegmentError",
    "SegmentReader",
    "UnknownVersionError",
    "count_records",
    "pack",
    "pack_head",
    "pack_sequence",
]

MAGIC = b"segspool"
VERSION = 1
MAX_PAYLOAD_BYTES = 0xFFFF
READ_BYTES = 64 * 1024
RECORD_BYTES = 16  # beside the payload

_HEADER = struct.Struct("<8sHHI")
_RECORD = struct.Struct("<HHI")
_SEQUENCE = struct.Struct("<Q")
_UNCHECKED = struct.Struct("<8sHH")

pack_head: Callable[[int, int, int], bytes] = _RECORD.pack
pack_sequence: Callable[[int], bytes] = _SEQUENCE.pack
_unpack_head = _RECORD.unpack_from
_unpack_sequence = _SEQUENCE.unpack_from

_start = _UNCHECKED.pack(MAGIC, VERSION, 0)
HEADER: bytes = _start + struct.pack("<I", crc32(_start))
"""What every segment of this version begins with."""


class CorruptSegmentError(Exception):
    """A segment cannot be read beyond an offset."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"unreadable from byte {offset} on")
        self.offset = offset


class UnknownVersionError(Exception):
    """A segment was written in another version of the format, and is sound as far as one sees."""

    def __init__(self, version: int) -> None:
        super().__init__(f"format version {version}")
        self.version = version


def pack(sequence: int, payload: bytes) -> bytes:
    """Return a message as a record.

    Args:
        sequence: its number in the order of its run, below 2 ** 64.
        payload: its JSON, not empty, and at most `MAX_PAYLOAD_BYTES`.
    """
    body = _SEQUENCE.pack(sequence) + payload
    length = len(payload)
    return _RECORD.pack(length, length ^ 0xFFFF, crc32(body)) + body


def count_records(data: bytes) -> int:
    """Return how many whole records a segment of this version has; their checks are not made."""
    if not data.startswith(HEADER):
        return 0
    records, offset = 0, len(HEADER)
    while offset + _RECORD.size <= len(data):
        length, complement, _ = _RECORD.unpack_from(data, offset)
        offset += _RECORD.size + _SEQUENCE.size + length
        if length ^ complement != 0xFFFF or offset > len(data):  # noqa: PLR2004  see the format
            break
        records += 1
    return records


class SegmentReader:
    """Reads the records of a segment in order. For one thread at a time.

    Attributes:
        offset: the number of bytes that have been read as whole records, with the header.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Check the header.

        Args:
            file: the segment, at its beginning; unbuffered is enough.

        Raises:
            CorruptSegmentError: it is not a segment.
            UnknownVersionError: it is one of another version.
        """
        self._file = file
        self._ahead = b""  # read from the file, from `offset` - `_used` on
        self._used = 0  # bytes of it that have been read as records
        self.offset: int = 0
        has_header = self._fill(len(HEADER))
        if self._is_zero_to_the_end(0):  # its writer died at once
            return
        if not has_header:
            if HEADER.startswith(self._ahead):
                return
            raise CorruptSegmentError(0)
        magic, version, _, check = _HEADER.unpack_from(self._ahead)
        if magic != MAGIC or check != crc32(self._ahead[: _UNCHECKED.size]):
            raise CorruptSegmentError(0)
        if version != VERSION:
            raise UnknownVersionError(version)
        self._advance(len(HEADER))

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield the sequence number and the payload of each record, up to a torn end.

        May be called again when the file has grown.

        Raises:
            CorruptSegmentError: what is behind the last record cannot be read.
        """
        # Calls only where they are needed: a backlog may have a million records.
        head_size, ahead, used = _RECORD.size, self._ahead, self._used
        while self.offset:
            if len(ahead) - used < head_size:
                if not self._fill(head_size):
                    return
                ahead, used = self._ahead, self._used
            length, complement, check = _unpack_head(ahead, used)
            if length ^ complement != 0xFFFF:  # noqa: PLR2004  see the format
                if self._is_zero_to_the_end(used):
                    return
                raise CorruptSegmentError(self.offset)
            size = head_size + _SEQUENCE.size + length
            if len(ahead) - used < size:
                if not self._fill(size):
                    return
                ahead, used = self._ahead, self._used
            end = used + size
            body = ahead[used + head_size : end]
            if crc32(body) != check:
                if self._is_zero_to_the_end(end - 1):
                    return
                raise CorruptSegmentError(self.offset)
            self._used = used = end
            self.offset += size
            yield _unpack_sequence(body)[0], body[_SEQUENCE.size :]

    def _fill(self, size: int) -> bool:
        """Have this many unused bytes ahead; return False if the file ends before."""
        while len(self._ahead) - self._used < size:
            piece = self._file.read(READ_BYTES)
            if not piece:
                return False
            self._ahead, self._used = self._ahead[self._used :] + piece, 0
        return True

    def _advance(self, size: int) -> None:
        self._used += size
        self.offset += size

    def _is_zero_to_the_end(self, first: int) -> bool:
        """Return whether only zeros follow, as after a power loss."""
        rest = self._ahead[first:]
        while not rest.strip(b"\0"):
            rest = self._file.read(READ_BYTES)
            if not rest:
                return True
        return False
