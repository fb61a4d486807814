"""The events that every subject tracks. Each has a number, `order`, by which it is recognized."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["LARGE_CONTEXT", "Properties", "large_event", "sized_event", "small_event", "user"]

Properties = dict[str, Any]

USERS = tuple(f"customer-{number:04d}" for number in range(1_000))
LARGE_ITEMS = 15
LARGE_CONTEXT = {
    "ip": "198.51.100.24",
    "locale": "de-AT",
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "page": {"path": "/checkout/done", "title": "Thank you", "referrer": "https://shop.example/"},
    "campaign": {"name": "autumn", "source": "newsletter", "medium": "email"},
}


def user(number: int) -> str:
    """Return the user of an event."""
    return USERS[number % len(USERS)]


def small_event(number: int) -> Properties:
    """Return five properties: 380 bytes of JSON, once the incumbent has encoded the message."""
    return {"order": number, "plan": "yearly", "price": 49.95, "currency": "EUR", "renewal": True}


def _item(position: int) -> Properties:
    return {
        "sku": f"B-{70_000 + position}",
        "title": f"The Collected Letters, volume {position}",
        "position": position,
        "price": 14.5 + position,
        "quantity": 1 + position % 3,
        "category": "Books",
        "gift": False,
        "url": f"https://shop.example/books/letters/volume-{position}?ref=basket",
    }


def _order(items: int) -> Properties:
    return {
        "order": 0,
        "total": 412.75,
        "shipping": 4.9,
        "tax": 37.52,
        "coupon": None,
        "currency": "EUR",
        "tags": ["books", "returning", "invoice"],
        "items": [_item(position) for position in range(items)],
        "note": "",
    }


LARGE_ORDER = _order(LARGE_ITEMS)
ITEM_BYTES = len(json.dumps(_item(0), separators=(",", ":"))) + 1
ENVELOPE_BYTES = 420  # what a message has besides items: ids, time, library, the rest of the order


def large_event(number: int) -> Properties:
    """Return nested properties: with `LARGE_CONTEXT`, a message of about 4 KB."""
    return {**LARGE_ORDER, "order": number}


def sized_event(kilobytes: float) -> Properties:
    """Return properties that make a message of about this many kilobytes, at least 0.3."""
    room = round(kilobytes * 1_000) - ENVELOPE_BYTES
    return _order(room // ITEM_BYTES) if room > 0 else small_event(0)
