"""What the name of a file says: its format and its compression, and what it must not say.

Must not know what is in a file.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from segment_librato.bulk.files.items import FileError

__all__ = [
    "FORMATS",
    "STANDARD_INPUT",
    "STATE_SUFFIX",
    "Kind",
    "find_kind",
    "has_query",
    "is_remote",
    "without_secrets",
]

STANDARD_INPUT = "-"
STATE_SUFFIX = ".import-state"

FORMATS = ("jsonl", "csv", "tsv", "parquet")
SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}

SECRETS = (  # of URLs, wherever they are in a text
    (re.compile(r"(https?://)[^/\s?]*@"), r"\1"),
    (re.compile(r"(?<=/)([^/\s:@?]*):[^/\s?]*@"), r"\1@"),  # a password; a scheme may be missing
    (re.compile(r"(https?://[^\s?'\"<>]*)\?[^\s'\"<>]*"), r"\1"),  # a signature
)


class Kind(NamedTuple):
    """How a file is to be read.

    Attributes:
        format: one of `FORMATS`.
        compression: "gzip", "zstd", or none.
    """

    format: str
    compression: str = ""


def find_kind(path: str, wanted: str | None) -> Kind:
    """Return how a file is to be read: by its suffixes, unless a format is wanted.

    Raises:
        FileError: that is not known.
    """
    name, last = os.path.splitext(path)  # noqa: PTH122  it may be a URL
    compression = COMPRESSIONS.get(last.lower(), "")
    if compression:
        last = os.path.splitext(name)[1]  # noqa: PTH122  the same
    found = wanted or SUFFIXES.get(last.lower())
    if not found and path == STANDARD_INPUT:
        raise FileError(f"standard input needs --format {'|'.join(FORMATS[:-1])}")
    if not found:
        raise FileError(
            f"its name does not say which format it has; use --format {'|'.join(FORMATS)}"
        )
    if found == "parquet" and (compression or path == STANDARD_INPUT):
        raise FileError("Parquet is read from a file that is not compressed as a whole")
    return Kind(found, compression)


def is_remote(path: str) -> bool:
    """Return whether a path is a URL, which fsspec opens."""
    return "://" in path


def has_query(path: str) -> bool:
    """Return whether a path is a URL with a query, which may be a signature."""
    return path.startswith(("http://", "https://")) and "?" in path


def without_secrets(text: str) -> str:
    """Return a URL, or a text with URLs in it, as anybody may see it."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text
