#!/usr/bin/env python3
"""A tag can be published: the version has its name, and the changelog a section: TAG."""

from __future__ import annotations

import datetime as dt
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def complaint(tag: str, version_file: str, changelog: str) -> str | None:
    """Return why this tag must not be published, or None."""
    version = re.search(r'^VERSION = "(.+)"$', version_file, re.MULTILINE)
    if not version or tag != f"v{version[1]}":
        return (
            f"The tag is {tag}, the version in segment_librato/_version.py {version and version[1]}"
        )
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    for section in sections:
        heading, _, text = section.partition("\n")
        if heading == "[Unreleased]" and text.strip():
            return f"CHANGELOG.md has entries under Unreleased: move them to [{version[1]}]"
        if match := re.fullmatch(rf"\[{re.escape(version[1])}\] - (\d{{4}}-\d\d-\d\d)", heading):
            dt.date.fromisoformat(match[1])
            return None
    return f"CHANGELOG.md has no section [{version[1]}] with a date"


def main() -> None:
    """Check the tag that the command line names."""
    version_file = (ROOT / "segment_librato/_version.py").read_text(encoding="utf-8")
    sys.exit(
        complaint(sys.argv[1], version_file, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    )


if __name__ == "__main__":
    main()
