"""What is written to a terminal: colors, encodings, and texts from outside."""

from __future__ import annotations

import io
import os

import pytest
from support.marks import needs_dev_full

from segment_librato.devserver.terminal import Terminal, shorten


class Screen(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.skipif(os.name != "posix", reason="colors are for POSIX terminals")
def test_a_terminal_has_colors() -> None:
    assert Terminal(Screen()).paint("text", "red") == "\x1b[31mtext\x1b[0m"
    assert Terminal(Screen()).paint("", "red") == ""


@pytest.mark.parametrize("name, value", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colors_can_be_switched_off(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert Terminal(Screen()).paint("text", "red") == "text"


def test_a_file_has_no_colors() -> None:
    assert Terminal(io.StringIO()).paint("text", "red") == "text"


def test_characters_that_the_encoding_lacks_become_escapes() -> None:
    data = io.BytesIO()
    with io.TextIOWrapper(data, encoding="latin-1", newline="") as stream:
        terminal = Terminal(stream)
        terminal.write("é █", "second")
        assert data.getvalue() == b"\xe9 \\u2588\nsecond\n"
        assert terminal.can_show("é")
        assert not terminal.can_show("█")


@needs_dev_full
def test_a_full_disk_disturbs_nobody() -> None:
    with open("/dev/full", "w", encoding="utf-8") as stream:  # noqa: PTH123  a path of Linux
        terminal = Terminal(stream)
        terminal.write("lost")
        terminal.write("discarded")


def test_long_texts_are_shortened() -> None:
    assert shorten("a" * 10, 10) == "a" * 10
    assert shorten("a" * 11, 10) == "aaaaaaa..."
