"""From a path to a stream: standard input, local and cloud files, decompressed and in UTF-8.

Owns what is between the bytes of a file and those of its text. Must not know formats.
"""

from __future__ import annotations

import codecs
import io
import sys
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from segment_librato.bulk.files.beginning import (
    LOOK_BYTES,
    check_compressed,
    check_text,
    marked_encoding,
)
from segment_librato.bulk.files.items import FileError
from segment_librato.bulk.files.naming import STANDARD_INPUT, is_remote, without_secrets

__all__ = [
    "COPY",
    "UTF_8",
    "check_encoding",
    "find_remote",
    "open_raw",
    "open_text",
    "read_errors",
    "say",
]

UTF_8 = "utf-8"
ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
BUFFER_BYTES = 1024 * 1024
CHUNK_BYTES = 64 * 1024
MARK = "segment_librato.mark"
MAX_WORDS = 300  # characters; some answers are a web page

NEEDS_FSSPEC = "URLs need a package: pip install fsspec, and what it needs for this kind of URL"
COPY = "copy it to a file first, or pass it as standard input: -"
NEEDS_ZSTD = '.zst needs an extra: pip install "segment-librato[zstd]"'


def _mark(error: UnicodeError) -> tuple[str, int]:
    """Have what cannot be decoded become a byte that is never in UTF-8: its line is rejected."""
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101  nothing else is decoded with it
    return "\udcff", error.end


codecs.register_error(MARK, _mark)


def check_encoding(name: str) -> str:
    """Return the usual name of an encoding.

    Raises:
        FileError: there is none with this name, or it is not one of text.
    """
    try:
        found = codecs.lookup(name)
        "".encode(found.name)
        codecs.getincrementaldecoder(name)(MARK).decode(b"", final=True)
    except (LookupError, ValueError):
        raise FileError(f"there is no text encoding {name}") from None
    return found.name


def open_raw(path: str, *, for_pieces: bool = False) -> IO[bytes]:
    """Open the bytes of a file, as they are.

    Args:
        path: its path or URL, or `-`.
        for_pieces: whether only some are read: of a URL, no more than that is fetched then.

    Raises:
        FileError: there is nothing that could open it.
        OSError: it cannot be read.
    """
    if path == STANDARD_INPUT:
        return sys.stdin.buffer
    if not is_remote(path):
        return Path(path).open("rb", buffering=BUFFER_BYTES)
    filesystem, name = _find(path)
    options = {"cache_type": "none"} if for_pieces else {}
    stream: IO[bytes] = filesystem.open(name, "rb", **options)
    return stream


def find_remote(pattern: str) -> list[str]:
    """Return the URLs that match a pattern, in order."""
    try:
        filesystem, name = _find(pattern)
    except FileError as error:
        raise FileError(f"{without_secrets(pattern)}: {error}") from None
    try:
        found = filesystem.glob(name)
    except Exception as error:  # noqa: BLE001  each back end has its own
        raise FileError(f"{without_secrets(pattern)}: {say(error)}") from None
    return sorted(map(filesystem.unstrip_protocol, found))


def say(error: Exception) -> str:
    """Return what a back end of fsspec says, in a line."""
    if isinstance(error, FileNotFoundError):  # also of a server that does not answer
        return "it cannot be read: there is no such file, or its server cannot be reached"
    if "range requests" in str(error):
        return f"it cannot be read: its server sends files as a whole only; {COPY}"
    text = " ".join(without_secrets(str(error)).split())[:MAX_WORDS]
    return f"it cannot be read: {type(error).__name__}: {text}".removesuffix(": ")


def _find(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and what it is called there."""
    try:
        import fsspec  # only who names a URL needs it
    except ModuleNotFoundError:
        raise FileError(NEEDS_FSSPEC) from None
    try:
        filesystem, name = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise FileError(f"fsspec cannot open it: {without_secrets(str(error))}") from None
    except Exception as error:  # noqa: BLE001  there are no credentials, say
        raise FileError(say(error)) from None
    return filesystem, name


def open_text(
    raw: IO[bytes], compression: str, encoding: str
) -> tuple[io.BufferedReader, bool, str]:
    """Return the text of a file as UTF-8, whether it can seek, and the encoding that it has.

    It has no byte order mark. What is not in the encoding makes bytes that are not UTF-8.

    Raises:
        FileError: it is no text, or not in this encoding; the text says what to do.
    """
    stream = _decompressed(raw, compression)
    beginning = stream.peek(LOOK_BYTES)[:LOOK_BYTES]
    if encoding == UTF_8:
        encoding = marked_encoding(beginning) or UTF_8
    check_text(beginning, encoding)
    if encoding != UTF_8:
        return _buffered(_Transcoded(stream, encoding)), False, encoding
    return stream, not compression and stream.seekable(), UTF_8


def _buffered(stream: Any) -> io.BufferedReader:  # noqa: ANN401  it has what is needed of a raw stream
    if isinstance(stream, io.BufferedReader):
        return stream  # pyright: ignore[reportUnknownVariableType]  of what, is all the same
    return io.BufferedReader(stream, BUFFER_BYTES)


def _decompressed(raw: IO[bytes], compression: str) -> io.BufferedReader:
    if compression:
        check_compressed(raw.read(LOOK_BYTES), compression)
        raw.seek(0)
    if compression == "gzip":
        import gzip  # few files need it

        return _buffered(_Pieces(gzip.GzipFile(fileobj=raw, mode="rb")))
    if compression == "zstd":
        return _buffered(_Pieces(_zstd().ZstdFile(raw)))
    return _buffered(raw)


def _zstd() -> Any:  # noqa: ANN401  of either version
    """Return the module of the standard library, or its backport."""
    try:
        return import_module(ZSTD)
    except ModuleNotFoundError:
        raise FileError(NEEDS_ZSTD) from None


def read_errors() -> tuple[type[Exception], ...]:
    """Return what the reading of a file raises if it is damaged, or cannot be read on."""
    import zlib  # see above

    errors: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error)
    arrow = sys.modules.get("pyarrow")
    if zstd := sys.modules.get(ZSTD):
        errors = (*errors, zstd.ZstdError)
    return (*errors, arrow.ArrowException) if arrow else errors


class _Pieces(io.RawIOBase):
    """What is decompressed, as far as it goes: a larger buffer would be empty if its end fails."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401  of either library
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  any buffer
        data = self._stream.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Transcoded(io.RawIOBase):
    """A text in some encoding, as UTF-8."""

    def __init__(self, stream: io.BufferedReader, encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(MARK)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  any buffer
        is_end = False
        while not (self._left or is_end):
            data = self._stream.read1(CHUNK_BYTES)
            is_end = not data
            text = self._decode(data, is_end=is_end)
            self._left = text.encode("utf-8", "surrogateescape")
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def _decode(self, data: bytes, *, is_end: bool) -> str:
        try:
            return self._decoder.decode(data, final=is_end)
        except UnicodeError:  # in spite of `MARK`: there is no byte order mark
            name = self._encoding
            raise FileError(
                f"it has no byte order mark; use --encoding {name}-le or {name}-be"
            ) from None

    def close(self) -> None:
        self._stream.close()
        super().close()
