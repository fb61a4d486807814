"""The tutorial: its programs run, and print what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.pages import blocks_for

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

pytestmark = pytest.mark.once

SHOP, MISTAKE, OUTAGE, DEPTH, TEST, PYTEST = blocks_for(__file__)
FILES = {
    "shop.py": SHOP.text,
    "mistake.py": MISTAKE.text,
    "outage.py": OUTAGE.text,
    "depth.py": DEPTH.text,
    "test_shop.py": TEST.text,
}


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603  our own page
        [sys.executable, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


def write_for(server: LocalSegment, folder: Path, name: str) -> None:
    assert "http://127.0.0.1:8765" in FILES[name]
    program = FILES[name].replace("http://127.0.0.1:8765", server.host)
    (folder / name).write_text(program, encoding="utf-8")


def test_the_shop_tracks_two_events(tmp_path: Path, server: LocalSegment) -> None:
    write_for(server, tmp_path, "shop.py")
    run(tmp_path, "shop.py")
    assert [message["type"] for message in server.messages] == ["identify", "track"]
    assert server.measurements[0].value == 42.5


def test_the_depth_is_a_gauge_of_one_source(tmp_path: Path, server: LocalSegment) -> None:
    write_for(server, tmp_path, "depth.py")
    run(tmp_path, "depth.py")
    measured = [(one.name, one.value, one.source) for one in server.measurements]
    assert measured == [("queue.depth", value, "web-1") for value in (3, 8, 5)]


@pytest.mark.parametrize("name", ["mistake.py", "outage.py"])
def test_a_program_prints_what_stands_below_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    said = re.findall(r"^# (.*)", FILES[name], re.MULTILINE)
    assert run(tmp_path, name).splitlines() == said


def test_the_test_of_the_shop_passes(tmp_path: Path) -> None:
    for name in ("shop.py", "test_shop.py"):
        (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    output = run(tmp_path, "-m", *PYTEST.text.split(), "-p", "no:asyncio", "-p", "no:cacheprovider")
    assert "1 passed" in output
