"""Write, wherever Segment's standard events are repeated, what their table says.

    make events

`segment_librato/events/catalog.py` has each event with the type of its properties. From there come

    the overloads of `track`           segment_librato/tracking.pyi
    the tables of events               docs/events.md
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from regenerate import ROOT, between, write

from segment_librato.events import catalog
from segment_librato.events.fields import TrackProperties

if TYPE_CHECKING:
    from pathlib import Path

IMPLEMENTATION = ROOT / "segment_librato/tracking.py"
STUB = ROOT / "segment_librato/tracking.pyi"
PAGE = ROOT / "docs/events.md"
SIGNATURE = re.compile(r"^    def track\(\n(.*?)^    \) -> (.*?):\n", re.MULTILINE | re.DOTALL)
WIDTH = 100  # columns of a line of code


def by_type(events: dict[str, type[Any]]) -> dict[type[Any], list[str]]:
    """Return the events of each type of properties, those without any of their own at the end."""
    found: dict[type[Any], list[str]] = {}
    for event, kind in events.items():
        found.setdefault(kind, []).append(event)
    untyped = found.pop(TrackProperties, None)
    return {**found, TrackProperties: untyped} if untyped else found


def overloads(source: str) -> str:
    """Return an overload for each type of properties, and at the end one for any other event.

    Args:
        source: the module with the implementation.
    """
    parameters, result = SIGNATURE.findall(source)[-1]
    texts = []
    for kind, events in by_type(catalog.EVENTS).items():
        names = ", ".join(f'"{event}"' for event in events)
        typed = parameters.replace(
            "event: str | None = None", f"event: Literal[{names}] = ..."
        ).replace("AnyTrackProperties | None", f"{name_of(kind)} | Properties | None")
        texts.append(one_overload(typed, result))
    other = parameters.replace(
        "integrations: Properties | None = None,",
        "integrations: _Integrations | None = None,  # pyright: ignore[reportInvalidTypeVarUse]",
    )
    return "".join([*texts, one_overload(other, result)])


def one_overload(parameters: str, result: str) -> str:
    """Return an overload, as a part of the class."""
    lines = ["@overload", "def track(", *parameters.splitlines(), f") -> {result}: ..."]
    indented = (line if line.startswith("  ") else f"    {line}" for line in lines)
    return "".join(wrapped(f"{line}\n") for line in indented)


def wrapped(line: str) -> str:
    """Return a line of code as the formatter has it: a long list of names in lines of its own."""
    found = re.fullmatch(r"( +)(event: Literal\[)(.*)(\] = \.\.\.,\n)", line)
    if len(line) <= WIDTH + 1 or not found:
        return line
    indent, start, names, end = found.groups()
    inner = f"{indent}    "
    if len(inner + names) <= WIDTH:
        return f"{indent}{start}\n{inner}{names}\n{indent}{end}"
    items = "".join(f"{inner}{name},\n" for name in names.split(", "))
    return f"{indent}{start}\n{items}{indent}{end}"


def name_of(kind: type[Any]) -> str:
    """Return the name of a type as the module of the overloads has it."""
    return f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"


def table(events: dict[str, type[Any]]) -> str:
    """Return a table of the documentation: types, each with its events."""
    rows = ["| events | properties |\n|---|---|\n"]
    rows += [
        f"| {', '.join(names)} | `{kind.__name__}` |\n" for kind, names in by_type(events).items()
    ]
    return "".join(rows)


def generated() -> dict[Path, str]:
    """Return the text that each file should have."""
    stub = STUB.read_text(encoding="utf-8")
    start, end = "    # <overloads>, by `make events`\n", "    # </overloads>\n"
    typed = overloads(IMPLEMENTATION.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    for name in ("ECOMMERCE", "MOBILE", "VIDEO", "SAAS"):
        first, last = f"<!-- events of {name} -->\n\n", "\n<!-- end of events -->"
        page = between(page, first, last, table(getattr(catalog, name)))
    return {STUB: between(stub, start, end, typed), PAGE: page}


if __name__ == "__main__":
    write(generated())
