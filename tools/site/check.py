"""Look through the built site for what the build does not see.

    .docs/bin/python tools/site/check.py [FOLDER]

Every link and anchor leads somewhere within the site, those of templates as well; nothing is loaded
from another host; every public name has an anchor; and each page has the lists, tables and code
blocks that GitHub shows, as Markdown is read a little differently there. Exit status 1 if not.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import api_pages
from markdown_it import MarkdownIt

from segment_librato.config.client import Config

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
SITE = ROOT / ".site"
DOCS = ROOT / "docs"
LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "srcset", "link": "href"}
BLOCKS = ("ul", "ol", "li", "blockquote", "pre", "table", "tr", "h1", "h2", "h3")


class Html(HTMLParser):
    """What matters of a page: its anchors, its links, what it loads, and its blocks.

    Attributes:
        anchors: every id.
        links: every target of a link.
        loaded: every URL that a browser would load.
        blocks: how many there are of each of `BLOCKS` in the text.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.blocks: Counter[str] = Counter()
        self._in_article = "<article" not in text
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        attributes = {name: value or "" for name, value in attrs}
        self.anchors.add(attributes.get("id", ""))
        if tag == "article":
            self._in_article = True
        if self._in_article and tag in BLOCKS:
            self.blocks[tag] += 1
        if tag == "a" and "href" in attributes:
            self.links.add(attributes["href"])
        name = LOADING.get(tag)
        if name in attributes and attributes.get("rel") not in {"canonical", "next", "prev"}:
            self.loaded.add(attributes[name])

    def handle_endtag(self, tag: str) -> None:
        """Note the end of the text."""
        if tag == "article":
            self._in_article = False


def main() -> int:
    """Print what is wrong; return the exit status."""
    site = Path(sys.argv[1]) if sys.argv[1:] else SITE
    pages = {path: Html(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    problems = [
        *_broken_links(pages),
        *_foreign_hosts(site, pages),
        *_missing_names(site, pages),
        *_different_blocks(site, pages),
    ]
    for problem in problems:
        print(problem, file=sys.stderr)  # noqa: T201  it is what the script is for
    print(f"{site}: pages: {len(pages)}, problems: {len(problems)}")  # noqa: T201  the same
    return 1 if problems else 0


def _broken_links(pages: dict[Path, Html]) -> Iterator[str]:
    for path, page in pages.items():
        if path.name == "404.html":
            continue  # its links begin at the root of a server
        for link in sorted(page.links | page.loaded):
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            anchor = unquote(url.fragment)
            if not target.exists():
                yield f"{path}: {link}: no such file"
            elif anchor and target in pages and anchor not in pages[target].anchors:
                yield f"{path}: {link}: no such anchor"


def _foreign_hosts(site: Path, pages: dict[Path, Html]) -> Iterator[str]:
    for path, page in pages.items():
        yield from (f"{path}: loads {url}" for url in page.loaded if urlsplit(url).netloc)
    for path in site.rglob("*.css"):
        for url in re.findall(r"url\(['\"]?(https?:[^)]*)", path.read_text(encoding="utf-8")):
            yield f"{path}: loads {url}"


def _missing_names(site: Path, pages: dict[Path, Html]) -> Iterator[str]:
    anchors = {
        anchor
        for path, page in pages.items()
        if path.parent == site / "api"
        for anchor in page.anchors
    }
    names = api_pages.public_names()
    names[api_pages.PACKAGE] += Config.names()
    for module, public in names.items():
        missing = [name for name in public if f"{module}.{name}" not in anchors]
        yield from (f"{module}.{name} is public, and on no page" for name in missing)


def _different_blocks(site: Path, pages: dict[Path, Html]) -> Iterator[str]:
    github = MarkdownIt("commonmark").enable("table")
    for source in DOCS.rglob("*.md"):
        if source == DOCS / "index.md":
            continue  # the site has its own introduction
        here = pages[site / source.relative_to(DOCS).with_suffix(".html")].blocks
        there = Html(github.render(source.read_text(encoding="utf-8"))).blocks
        if here != there:
            yield f"{source}: on GitHub {dict(there - here)} more, here {dict(here - there)} more"


if __name__ == "__main__":
    sys.exit(main())
