"""The page about testing: its suite runs, and pytest shows what the page says."""

from __future__ import annotations

import re
import shlex
import sys

import pytest
from support.pages import ROOT, blocks_for

from segment_librato.testing import Capture

pytestmark = pytest.mark.once

PAGE = ROOT / "docs/testing.md"
FILES = {shlex.split(one.info)[1].removeprefix("title="): one.text for one in blocks_for(__file__)}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="`enterContext` came with Python 3.11")
@pytest.mark.parametrize("ini", ["", FILES["pytest.ini"]], ids=["fixture", "all"])
def test_the_suite_of_the_page_fails_as_it_says(pytester: pytest.Pytester, ini: str) -> None:
    pytester.makeini(ini)
    for name in ("shop.py", "test_shop.py", "test_signup.py"):
        (pytester.path / name).write_text(FILES[name], encoding="utf-8")
    result = pytester.runpytest_inprocess("-p", "no:asyncio", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=1)
    assert FILES["pytest test_shop.py"] in result.stdout.str()


def test_the_conftest_of_the_page_checks_events(pytester: pytest.Pytester) -> None:
    for name in ("shop.py", "test_shop.py", "conftest.py"):
        (pytester.path / name).write_text(FILES[name], encoding="utf-8")
    result = pytester.runpytest_inprocess("-p", "no:asyncio", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1, errors=2)
    assert FILES["pytest test_shop.py, with a conftest.py"] in result.stdout.str()


def test_each_file_of_the_page_is_used_above() -> None:
    outputs = {"pytest test_shop.py", "pytest test_shop.py, with a conftest.py"}
    suite = {"shop.py", "test_shop.py", "test_signup.py", "conftest.py", "pytest.ini"}
    assert FILES.keys() == outputs | suite


def test_the_page_names_everything_that_a_capture_offers() -> None:
    names = re.findall(r"^\| `(\w+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(names) == [name for name in dir(Capture) if not name.startswith("_")]
