"""The format: whatever happens to a file, what is read from it was written, in order."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment_librato.spooling.format import (
    HEADER,
    MAX_PAYLOAD_BYTES,
    CorruptSegmentError,
    SegmentReader,
    UnknownVersionError,
    pack,
)

RECORDS = [(7, b'{"n":1}'), (9, b'{"n":22}'), (2**64 - 1, b'{"text":"\xc3\xa4"}')]
SEGMENT = HEADER + b"".join(pack(*record) for record in RECORDS)
ENDS = [len(HEADER)]
for record in RECORDS:
    ENDS.append(ENDS[-1] + len(pack(*record)))

VERSION_1 = Path(__file__).parent.parent / "data" / "spool-1.seg"


def read(data: bytes) -> list[tuple[int, bytes]]:
    return list(SegmentReader(io.BytesIO(data)))


def read_up_to_damage(data: bytes) -> tuple[list[tuple[int, bytes]], int | None]:
    """Return what can be read, and where the damage begins."""
    records: list[tuple[int, bytes]] = []
    try:
        for record in SegmentReader(io.BytesIO(data)):
            records.append(record)  # noqa: PERF402  what was read before an error counts
    except CorruptSegmentError as error:
        return records, error.offset
    return records, None


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.binary(max_size=300))))
def test_what_was_written_is_read(records: list[tuple[int, bytes]]) -> None:
    assert read(HEADER + b"".join(pack(*record) for record in records)) == records


def test_the_largest_payload_is_read() -> None:
    payload = b"x" * MAX_PAYLOAD_BYTES
    assert read(HEADER + pack(1, payload) * 3) == [(1, payload)] * 3


def test_a_file_of_version_1_can_be_read() -> None:
    assert read(VERSION_1.read_bytes()) == RECORDS


@pytest.mark.parametrize("size", range(len(SEGMENT)))
def test_wherever_a_file_is_torn_the_whole_records_are_read(size: int) -> None:
    whole = sum(end <= size for end in ENDS[1:])
    assert read_up_to_damage(SEGMENT[:size]) == (RECORDS[:whole], None)


@pytest.mark.parametrize("whole", range(len(ENDS)))
@pytest.mark.parametrize("zeros", [1, 7, 8, 100, 200_000])
def test_zeros_behind_the_last_whole_record_are_a_torn_end(whole: int, zeros: int) -> None:
    assert read_up_to_damage(SEGMENT[: ENDS[whole]] + bytes(zeros)) == (RECORDS[:whole], None)


@pytest.mark.parametrize("bit", range(8 * len(SEGMENT)))
def test_a_flipped_bit_is_noticed_and_costs_nothing_before_it(bit: int) -> None:
    damaged = bytearray(SEGMENT)
    damaged[bit // 8] ^= 1 << bit % 8
    whole = sum(end <= bit // 8 for end in ENDS)
    expected_offset = ENDS[whole - 1] if whole else 0
    assert read_up_to_damage(bytes(damaged)) == (RECORDS[: max(0, whole - 1)], expected_offset)


def test_a_sound_header_of_another_version_says_so() -> None:
    start = struct.pack("<8sHH", b"segspool", 2, 0)
    with pytest.raises(UnknownVersionError, match=r"^format version 2$"):
        read(start + struct.pack("<I", crc32(start)) + b"anything")


def test_a_file_that_grows_is_read_on() -> None:
    file = io.BytesIO(SEGMENT[: ENDS[1] + 3])
    reader = SegmentReader(file)
    assert list(reader) == RECORDS[:1]
    assert reader.offset == ENDS[1]
    at = file.tell()
    file.write(SEGMENT[ENDS[1] + 3 :])
    file.seek(at)
    assert list(reader) == RECORDS[1:]
    assert reader.offset == len(SEGMENT)


@pytest.mark.parametrize("size", [1, 12, 16, 4096])
def test_a_file_of_zeros_is_one_whose_writer_died_at_once(size: int) -> None:
    assert read_up_to_damage(bytes(size)) == ([], None)


@pytest.mark.parametrize("at", range(ENDS[-2] + 8, ENDS[-1] - 1))
def test_a_last_record_that_ends_in_zeros_was_torn(at: int) -> None:
    torn = SEGMENT[:at] + bytes(len(SEGMENT) - at + 4096)
    assert read_up_to_damage(torn) == (RECORDS[:-1], None)
