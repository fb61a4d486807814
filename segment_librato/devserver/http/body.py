"""From the bytes of a request body to a JSON object: size limit, gzip, UTF-8, strict JSON.

Must not know sockets or what a message is.

The parser is stricter than the real API needs to be, so that a client's mistake is noticed: it
accepts only I-JSON (RFC 7493): no duplicate keys, no lone surrogates and no numbers beyond a
double. Nor does it accept `NaN` and `Infinity`, which Python's parser does by default.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from typing import Any

from segment_librato.devserver.http.exchange import InvalidRequestError, JsonObject
from segment_librato.encoding.decoder import strict_decoder
from segment_librato.foreign.narrowing import is_dict

__all__ = ["MAX_BODY_BYTES", "decompress", "parse_object"]

# Far above the limit of the API: a request between the two is still read, to be reported.
MAX_BODY_BYTES = 16 * 1024 * 1024


def decompress(body: bytes, encoding: str) -> bytes:
    """Return `body` without its Content-Encoding, `gzip` or none.

    Raises:
        InvalidRequestError: The encoding is unknown, the data are damaged, or the body exceeds
            `MAX_BODY_BYTES` before or after decompression; no more than that is decompressed.
    """
    encoding = encoding.strip().lower()
    if encoding not in {"", "identity", "gzip"}:
        raise InvalidRequestError(400, "the Content-Encoding is not supported")
    if encoding == "gzip" and len(body) <= MAX_BODY_BYTES:
        try:
            body = gzip.GzipFile(fileobj=io.BytesIO(body)).read(MAX_BODY_BYTES + 1)
        except (OSError, EOFError, zlib.error):
            raise InvalidRequestError(400, "the body is not valid gzip") from None
    if len(body) > MAX_BODY_BYTES:
        raise InvalidRequestError(413, f"the body exceeds {MAX_BODY_BYTES} bytes")
    return body


def parse_object(body: bytes) -> JsonObject:
    """Parse an object in strict JSON.

    Raises:
        InvalidRequestError: The body is not UTF-8, not JSON, not I-JSON, or not an object.
        RecursionError: The value is nested too deeply.
    """
    try:
        value: object = _DECODER.decode(body.decode("utf-8"))
        if b"\\u" in body:
            # Only escapes can smuggle in a lone surrogate; encoding the value finds it.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except ValueError as error:
        raise InvalidRequestError(400, f"the body is not strict JSON: {error}") from None
    if not is_dict(value):
        raise InvalidRequestError(400, "the body is not an object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("an object has the same key twice")
    return value


_DECODER = strict_decoder(_object)
