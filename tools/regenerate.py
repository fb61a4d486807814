"""What is written from a declaration: parts of files, as far as they are out of date.

Must not know what is declared.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def between(text: str, start: str, end: str, content: str) -> str:
    """Return the text with this content between the first two lines that start and end it."""
    before, rest = text.split(start, maxsplit=1)
    return before + start + content + end + rest.split(end, maxsplit=1)[1]


def outdated(generated: dict[Path, str]) -> dict[Path, str]:
    """Return those of the generated texts that differ from their files."""
    return {
        path: text for path, text in generated.items() if text != path.read_text(encoding="utf-8")
    }


def write(generated: dict[Path, str]) -> None:
    """Write the files that are out of date, and say which."""
    differing = outdated(generated)
    for path, text in differing.items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    if not differing:
        sys.stdout.write("nothing to write: all is up to date\n")
