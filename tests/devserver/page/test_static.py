"""The files of the page, as far as no browser is needed to judge them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from segment_librato.devserver.page import assets

pytestmark = pytest.mark.once

FOLDER = Path(assets.__file__).parent / "static"
MODULES = sorted(path.name for path in FOLDER.glob("*.js"))
NO_MODULE = {"theme.js"}
NO_CODE = {"types.js"}
MAX_LINES = 250


def read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def test_the_page_loads_every_module_at_once() -> None:
    loaded = re.findall(r'<link rel="modulepreload" href="/static/([^"]+)">', read("index.html"))
    assert loaded == [name for name in MODULES if name not in {"app.js"} | NO_MODULE | NO_CODE]


def test_every_file_that_the_page_names_is_there() -> None:
    named = re.findall(r'(?:href|src)="/static/([^"]+)"', read("index.html"))
    for name in named:
        assert assets.read_asset(name).status == 200


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_small_and_makes_no_markup_of_texts(name: str) -> None:
    text = read(name)
    assert len(text.splitlines()) <= MAX_LINES
    for forbidden in (
        r"\b(?:inner|outer)HTML\b",
        r"\binsertAdjacentHTML\b",
        r"\bdocument\.write",
        r"\beval\(",
        r"\bnew Function\b",
        r"\bDOMParser\b",
        r"\bcreateContextualFragment\b",
        r"\bsetHTML",
        r"https?://(?!www\.w3\.org/2000/svg)",
    ):
        assert not re.search(forbidden, text), forbidden


def test_styles_name_nothing_outside() -> None:
    for path in FOLDER.glob("*.css"):
        assert not re.search(r"url\(|@import|https?:", path.read_text(encoding="utf-8"))
