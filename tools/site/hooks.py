"""What the site has beside docs/: pages of the API and of the repository, links, dark pictures.

Hooks of MkDocs, which calls the functions by their names. Owns what a page is turned into before
it is rendered; docs/ itself stays as GitHub shows it. Must not know colors or templates.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

import api_pages  # a hook is loaded by its path
from mkdocs.structure.files import File, Files

from segment_librato.config.client import Config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent.parent
REPOSITORY = "https://github.com/segment-librato/segment-librato/blob/main/"
PROJECT_PAGES = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "benchmarks/README.md": "project/benchmark.md",
    "examples/README.md": "examples/index.md",
    **{
        f"examples/{page.parent.name}/README.md": f"examples/{page.parent.name}.md"
        for page in (ROOT / "examples").glob("*/README.md")
    },
}
"""Pages from outside of docs/, and where they are in the site."""

PICTURE = "benchmarks/results.png"
FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)#\s]*)(#[^)]*)?\)")


def as_github_does(heading: str, separator: str) -> str:
    """Return the anchor of a heading, so that links hold on GitHub and here."""
    return re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", separator)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let the anchors be those of GitHub."""
    config.mdx_configs["toc"]["slugify"] = as_github_does
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    for uri in api_pages.PAGES:
        source = api_pages.markdown(uri, list(Config.names()))
        files.append(File.generated(config, uri, content=source))
    for path, uri in PROJECT_PAGES.items():
        files.append(File.generated(config, uri, content=(ROOT / path).read_text(encoding="utf-8")))
    picture = File.generated(config, "images/benchmark.png", abs_src_path=str(ROOT / PICTURE))
    files.append(picture)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files of the repository into links of the site, and add dark pictures."""
    uri = page.file.src_uri
    if uri == "index.md":
        page.meta |= {"template": "home.html", "title": "Home"}
        markdown = _home(markdown)
    if uri in api_pages.PAGES:
        page.edit_url = None
        return markdown
    paths = {site: path for path, site in PROJECT_PAGES.items()}
    if uri in paths:
        page.edit_url = f"{config.repo_url}/edit/main/{paths[uri]}"
    path = paths.get(uri, f"docs/{uri}")
    parts = FENCED.split(markdown)
    parts[::2] = [_with_links(part, path, uri, files) for part in parts[::2]]
    return "".join(parts)


def on_post_page(output: str, **_: object) -> str:
    """Name the dialog of the search, for screen readers."""
    return output.replace('role="dialog">', 'role="dialog" aria-label="Search">')


def _home(markdown: str) -> str:
    """Return docs/index.md from its lists on, of which the style makes cards."""
    pages = markdown[markdown.index("\n## ") :]  # home.html has an introduction of its own
    return "# Documentation\n" + re.sub(r"^(- \[.*?\]\(.*?\)): ", r"\1 ", pages, flags=re.MULTILINE)


def _with_links(text: str, path: str, uri: str, files: Files) -> str:
    """Return text with links that hold in the site.

    Args:
        text: Markdown without code blocks.
        path: of the page in the repository.
        uri: of the page in the site.
        files: of the site.
    """

    def replaced(match: re.Match[str]) -> str:
        mark, label, target, anchor = match.groups(default="")
        if target.startswith(("http:", "https:", "mailto:")):
            if not target.startswith(REPOSITORY):
                return match[0]
            there = target.removeprefix(REPOSITORY)
        elif not target:
            return match[0]
        else:
            there = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        link = _in_site(there, uri, files)
        if mark:
            return "".join(_picture(label, link, there))
        return f"[{label}]({link}{anchor})"

    return LINK.sub(replaced, text)


def _in_site(path: str, uri: str, files: Files) -> str:
    """Return the link from a page to a file of the repository; to the repository if need be."""
    target = {PICTURE: "images/benchmark.png", **PROJECT_PAGES}.get(path)
    if not target and path.startswith("docs/"):
        target = path.removeprefix("docs/")
    if target and target in files.src_uris:
        return posixpath.relpath(target, posixpath.dirname(uri) or ".")
    if not (ROOT / path).exists():
        return path  # and MkDocs says that it is missing
    return REPOSITORY + path


def _picture(label: str, link: str, path: str) -> Iterator[str]:
    """Yield a picture; two where there is one for the dark theme."""
    stem, _, suffix = path.rpartition(".")
    dark = (ROOT / f"{stem}-dark.{suffix}").exists()
    yield f"![{label}]({link}{'#only-light' if dark else ''}){{ loading=lazy }}"
    if dark:
        name, _, ending = link.rpartition(".")
        yield f"![{label}]({name}-dark.{ending}#only-dark){{ loading=lazy }}"
