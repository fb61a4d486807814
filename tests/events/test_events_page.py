"""What docs/events.md says of problems and properties."""

from __future__ import annotations

import re
from typing import get_type_hints

import pytest
from support.pages import ROOT

from segment_librato import events

pytestmark = pytest.mark.once

PAGE = (ROOT / "docs/events.md").read_text(encoding="utf-8")


def test_the_page_names_each_code_of_a_problem() -> None:
    codes = set(re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE))
    assert events.Problem.__doc__
    text, _, _ = events.Problem.__doc__.partition("path:")
    assert codes - {"code"} == set(re.findall("`([a-z_]+)`", text))


def test_the_page_says_what_may_be_in_any_event() -> None:
    assert "(`revenue`, `currency` and `value`)" in " ".join(PAGE.split())
    assert get_type_hints(events.TrackProperties).keys() == {"revenue", "currency", "value"}
