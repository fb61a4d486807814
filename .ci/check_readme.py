#!/usr/bin/env python3
"""The README as the package index shows it: it renders, and nothing in it is relative."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from readme_renderer.markdown import render

README = Path(__file__).parent.parent / "README.md"


def main() -> None:
    """Check the page that the package index makes of the README."""
    text = README.read_text(encoding="utf-8")
    page = render(text, variant="GFM") or sys.exit("README.md cannot be rendered")
    targets = re.findall(r'(?:href|src)="([^"]*)"', page)
    if relative := [one for one in targets if not one.startswith(("https://", "#"))]:
        sys.exit(f"README.md, on the package index: these lead nowhere: {relative}")
    blocks = re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for what, expected, found in (
        (
            "headings",
            len(re.findall(r"^#+ ", prose, re.MULTILINE)),
            len(re.findall("<h[1-6]", page)),
        ),
        ("code blocks", len(blocks), page.count("<pre")),
        ("images", prose.count("<img "), page.count("<img ")),
    ):
        if expected != found:
            sys.exit(f"README.md, on the package index: {found} of {expected} {what} are shown")
    print(f"README.md renders: {len(page):,} characters, {len(targets)} links")  # noqa: T201


if __name__ == "__main__":
    main()
