"""What the first bytes of a file tell: that it is of another format, or in another encoding.

A name that is wrong would cost every line of the file, as none could be read. Must not know where
a file is.
"""

from __future__ import annotations

import codecs
import re

from segment_librato.bulk.files.items import FileError

__all__ = ["LOOK_BYTES", "check_compressed", "check_text", "marked_encoding"]

LOOK_BYTES = 16

GZIP = rb"\x1f\x8b"
ZSTD = rb"(?:\x28\xb5\x2f|[\x50-\x5f]\x2a\x4d)[\xfd\x18]"  # a frame, or one to skip
COMPRESSIONS = {"gzip": GZIP, "zstd": ZSTD}

# What begins in a way in which no text does, and what to do with it.
OTHERS = {
    GZIP: "compressed with gzip: rename it to end in .gz, or pipe it through gunzip -c",
    ZSTD: "compressed with zstd: rename it to end in .zst, or pipe it through zstd -dc",
    rb"PAR1\x15": "a Parquet file: import the file itself, with --format parquet",
    rb"PK\x03\x04": "a ZIP archive or an Excel workbook: unpack it, or save it as CSV",
    rb"\xd0\xcf\x11\xe0": "an Excel workbook: save it as CSV",
    rb"BZh[1-9]1AY": "compressed with bzip2: pipe it through bunzip2 -c",
    rb"\xfd7zXZ": "compressed with xz: pipe it through xz -dc",
    rb"Obj\x01": "an Avro file: convert it to JSON lines or Parquet",
    rb"ORC\n?[\x00-\x1f\x80-\xff]": "an ORC file: convert it to Parquet",
}

# What a byte order mark says; that of UTF-32 begins with that of UTF-16.
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

# Where the zeros of two characters of ASCII are.
WIDE = {
    rb"[^\0]\0{3}[^\0]\0{3}": "utf-32-le",
    rb"\0{3}[^\0]\0{3}[^\0]": "utf-32-be",
    rb"[^\0]\0[^\0]\0": "utf-16-le",
    rb"\0[^\0]\0[^\0]": "utf-16-be",
}


def check_compressed(beginning: bytes, compression: str) -> None:
    """Check that a file is compressed as its name says.

    Raises:
        FileError: it is not; an empty one may be.
    """
    if beginning and not re.match(COMPRESSIONS[compression], beginning):
        found = _find(OTHERS, beginning)
        what = f"it is {found}" if found else "its content does not: rename it"
        raise FileError(f"its name says {compression}, but {what}")


def check_text(beginning: bytes, encoding: str) -> None:
    """Check that a file may be text in an encoding.

    Raises:
        FileError: it is of another format, or in an encoding that has to be named.
    """
    if found := _find(OTHERS, beginning):
        raise FileError(f"it is {found}")
    if encoding == "utf-8" and (found := _find(WIDE, beginning)):
        raise FileError(f"it looks like {found} without a byte order mark; use --encoding {found}")


def marked_encoding(beginning: bytes) -> str | None:
    """Return the encoding that a byte order mark names; None if there is none."""
    marks = BYTE_ORDER_MARKS.items()
    return next((name for mark, name in marks if beginning.startswith(mark)), None)


def _find(names: dict[bytes, str], beginning: bytes) -> str:
    return next((name for pattern, name in names.items() if re.match(pattern, beginning)), "")
