"""Which events are asked for: from the parameters of a request to a condition in SQL.

Pure. Must not know where the condition is used, beyond the names of tables and columns.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from segment_librato.devserver.page.outlines import VERDICTS

if TYPE_CHECKING:
    from segment_librato.devserver.page.query import Query

__all__ = ["FILTERS", "Filter", "contains", "read_filter"]

BLANKS = re.compile(r'\n\s*|(?<=":) |(?<=",) ')
IS_LIKE = r"message LIKE ? ESCAPE '\'"
MAX_LIKE = 50  # characters
FILTERS = ("type", "event", "user", "source", "text", "verdict")


class Filter(NamedTuple):
    """A condition on events, hashable.

    Attributes:
        condition: SQL; empty if every event matches.
        values: its parameters.
        reads_payloads: whether it looks at the table of payloads.
    """

    condition: str = ""
    values: tuple[str, ...] = ()
    reads_payloads: bool = False

    @property
    def tables(self) -> str:
        """The tables that the condition looks at."""
        # The order of a CROSS JOIN stays: payloads are read of events that match otherwise only.
        return "events CROSS JOIN payloads USING (id)" if self.reads_payloads else "events"

    def where(self, *bounds: str) -> str:
        """Return the clause for the condition and for other ones; empty if there is none."""
        conditions = [*bounds, *([self.condition] if self.condition else [])]
        return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def read_filter(query: Query) -> Filter:
    """Return the filter that the parameters describe.

    The text may be a part of the payload as JSON, indented or compact, or of a string in it.

    Raises:
        InvalidRequestError: There is no such verdict, or what may not repeat does.
    """
    conditions: list[str] = []
    values: list[str] = []
    # The cheap ones come first: SQLite looks no further when one of them does not hold.
    for name, wanted in (
        ("type", query.all("type")),
        ("verdict", query.choices("verdict", VERDICTS)),
    ):
        if wanted:
            # With a plus, no index is used: what comes first by name is not what came last.
            conditions.append(f"+{name} IN ({', '.join('?' * len(wanted))})")
            values += wanted
    for name in ("event", "user", "source"):
        if part := query.text(name):
            conditions.append(f"contains({name}, ?)")
            values.append(part.casefold())
    if text := query.text("text"):
        # No payload holds a NUL, but SQLite's pattern would end there, and match everything.
        parts = [
            part
            for part in dict.fromkeys((text, _escape_as_json(text), _without_blanks(text)))
            if "\0" not in part
        ]
        # SQLite is ten times as fast as a function of ours, but knows the case of ASCII only, and
        # its time grows with the length of the pattern.
        is_like = text.isascii() and len(text) <= MAX_LIKE
        test = IS_LIKE if is_like else "contains(message, ?)"
        conditions.append(f"({' OR '.join([test] * len(parts))})")
        values += [_escape(part) if is_like else part.casefold() for part in parts]
    return Filter(" AND ".join(conditions), tuple(values), bool(text))


def _escape_as_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _without_blanks(text: str) -> str:
    """Return a part of formatted JSON as compact JSON has it."""
    return BLANKS.sub("", text)


def _escape(part: str) -> str:
    """Return a pattern for LIKE that matches what contains a part."""
    for special in "\\%_":
        part = part.replace(special, f"\\{special}")
    return f"%{part}%"


def contains(text: str, part: str) -> bool:
    """Return whether a text contains a part, which is casefolded; SQLite calls it for each row."""
    return part in text.casefold()
