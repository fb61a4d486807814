"""Whether a text tells a secret."""

from __future__ import annotations

from base64 import b64encode

__all__ = ["tells"]


def tells(text: str, secret: str) -> bool:
    """Return whether a secret is in a text: as it is, in base64 wherever it begins, or in hex."""
    data = secret.encode()
    forms = [secret, data.hex(), data.hex().upper()]
    for before in range(3):
        start, end = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        forms.append(b64encode(bytes(before) + data).decode()[start:end])
    return any(form in text for form in forms)
