"""Write, wherever an option is repeated, what its declaration says.

    make options

An option is declared once: annotation and default in the body of its class, description in the
`Attributes:` of its docstring (`segment_librato/config/`). From there come

    the arguments and attributes of `Client`             segment_librato/client.py
    the settings of the module                           segment_librato/__init__.py
    the tables of options                                docs/*.md

A table stands between `<!-- options of Config from write_key -->`, which names a class and its
first option, and `<!-- end of options -->`. It goes on, in the order of the descriptions, to the
last option before the next table of the same class.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import TYPE_CHECKING

from regenerate import ROOT, between, write

from segment_librato.config import client, gauges, spool

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.config.options import Options

CLASSES: dict[str, type[Options]] = {
    one.__name__: one
    for one in (
        client.Config,
        gauges.DirectDelivery,
        gauges.LibratoConfig,
        gauges.OpenTelemetryConfig,
        spool.SpoolConfig,
    )
}
WIDTH = 100  # columns of a line of code
TYPES = {
    "Timeout": "float, or a pair",
    "BeforeSend": "callable",
    "DefaultContext": "dict, or callable",
    "OnDelivered": "callable",
    "OnError": "callable",
    "Mapping": "dict",
    "Literal": "str",
}
TABLE_START = re.compile(r"<!-- options of (\w+) from (\w+) -->\n")
TABLE_END = "<!-- end of options -->"


def descriptions(kind: type[Options]) -> dict[str, str]:
    """Return the description of each option that this class declares itself.

    Raises:
        SystemExit: one is described that is not declared, or the other way round.
    """
    docstring = f"{inspect.getdoc(kind)}\n"
    section = re.search(r"^Attributes:\n((?: {4}.*\n|\n)*)", docstring, re.MULTILINE)
    entry = re.compile(r"^ {4}(\w+): (.+\n(?: {8}.+\n)*)", re.MULTILINE)
    found = entry.findall(section[1]) if section else []
    described = {name: " ".join(text.split()) for name, text in found}
    declared = set(kind.names()) & kind.__annotations__.keys()
    for name in sorted(declared ^ described.keys()):
        where = "the body" if name in described else "the Attributes of the docstring"
        raise SystemExit(f"{kind.__name__}.{name}: add it to {where} of the class")
    return described


def first_sentence(text: str) -> str:
    """Return what stands before the first full stop, with it."""
    return re.split(r"(?<=\.) (?=[A-Z`])", text, maxsplit=1)[0]


def arguments() -> str:
    """Return the `Args:` of the constructor, each with the first sentence of its description."""
    texts = descriptions(client.Config)
    entries = [f"{name}: {first_sentence(texts[name])}" for name in client.Config.names()]
    wrapped = (
        textwrap.fill(
            entry,
            WIDTH,
            initial_indent=" " * 8,
            subsequent_indent=" " * 12,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for entry in entries
    )
    return "".join(f"{one}\n" for one in wrapped)


def default_of(name: str) -> str:
    """Return the default of an option; None as it is, of which type checkers know more."""
    return "None" if getattr(client.Config, name, None) is None else f"Config.{name}"


def parameters() -> str:
    """Return the parameters of the constructor."""
    lines = []
    for name, annotation in client.Config.__annotations__.items():
        option = f"{name}: {annotation} = {default_of(name)}"
        lines.append(f"        {'*' if name == '_' else option},\n")
    return "".join(lines)


def attributes() -> str:
    """Return the options as read-only attributes of a client."""
    annotations = client.Config.__annotations__
    return "".join(
        f"    {name}: _Option[{annotations[name]}] = _Option()\n" for name in client.Config.names()
    )


def settings() -> str:
    """Return the settings of the module."""
    annotations = client.Config.__annotations__
    return "".join(
        f"{name}: {annotations[name]} = {default_of(name)}\n" for name in client.Config.names()
    )


def row(kind: type[Options], name: str, description: str) -> str:
    """Return the row of an option in a table of the documentation."""
    types = kind.__annotations__[name].removesuffix(" | None")
    words = TYPES.get(types.split("[", maxsplit=1)[0], types)
    if words[0].isupper() or "." in words:
        words = ", ".join(f"`{one}`" for one in words.split(" | "))
    default = getattr(kind, name)
    is_number = isinstance(default, (int, float)) and not isinstance(default, bool)
    value = f"{default:,}" if is_number else f"`{default}`" if default != "" else "required"
    return f"| `{name}` | {words}; {value} | {as_markdown(description)} |\n"


def as_markdown(description: str) -> str:
    """Return the text of a docstring with links between pages, and with constants as code."""
    text = re.sub(r"\bdocs/([\w-]+)\.md(#[\w-]+)?", r"[\1](\1.md\2)", description)
    return re.sub(r"(`[^`]*`)|\b(None|True|False)\b", lambda m: m[1] or f"`{m[2]}`", text)


def tables(page: str) -> str:
    """Return this page of the documentation with its tables written anew."""
    starts = [(one[1], one[2]) for one in TABLE_START.finditer(page)]
    pieces = TABLE_START.split(page)
    result = pieces[0]
    for kind_name, first, rest in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        kind = CLASSES[kind_name]
        texts = descriptions(kind)
        others = {name for one, name in starts if one == kind_name} - {first}
        result += f"<!-- options of {kind_name} from {first} -->\n\n"
        result += "| option | type; default | effect |\n|---|---|---|\n"
        for name in list(texts)[list(texts).index(first) :]:
            if name in others:
                break
            result += row(kind, name, texts[name])
        result += f"\n{TABLE_END}" + rest.split(TABLE_END, maxsplit=1)[1]
    return result


def generated() -> dict[Path, str]:
    """Return the text that each file should have."""
    package = ROOT / "segment_librato"
    constructor = (package / "client.py").read_text(encoding="utf-8")
    constructor = between(constructor, "    Args:\n", "\n    Raises:\n", arguments())
    start, end = "        # <options>, by `make options`\n", "        # </options>\n"
    constructor = between(constructor, start, end, parameters())
    start = "    # <options as attributes>, by `make options`\n"
    end = "    # </options as attributes>\n"
    constructor = between(constructor, start, end, attributes())
    module = (package / "__init__.py").read_text(encoding="utf-8")
    start, end = "# <options>, by `make options`\n", "# </options>\n"
    texts = {
        package / "client.py": constructor,
        package / "__init__.py": between(module, start, end, settings()),
    }
    for page in sorted((ROOT / "docs").glob("*.md")):
        texts[page] = tables(page.read_text(encoding="utf-8"))
    return texts


if __name__ == "__main__":
    write(generated())
