"""The demo, as `make demo` runs it."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import pytest

from segment_librato.devserver import LocalSegment, demo


@pytest.mark.parametrize("options", [[], ["--librato"]], ids=["to Segment", "to Librato"])
def test_the_demo_delivers_everything_and_shows_four_sources(options: list[str]) -> None:
    process = subprocess.run(  # noqa: S603  our own demo
        [sys.executable, "-W", "error", "-m", "segment_librato.devserver.demo", *options],
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        env={"PYTHONIOENCODING": "utf-8"},
    )
    assert process.stderr == ""
    assert "240 accepted, 240 delivered, 0 failed" in process.stdout
    for number in range(10, 14):
        rows = re.findall(rf"^web-server-{number} +(.+)$", process.stdout, re.MULTILINE)
        assert len(rows) == 2
        count, total, mean, smallest, largest = (float(cell) for cell in rows[0].split())
        assert count == 60
        assert mean == pytest.approx(total / count, abs=0.05)
        assert 0 <= smallest <= mean <= largest < 100
        assert len(rows[1]) == 60
        assert set(rows[1]) <= set(demo.BARS)


def test_the_chart_is_plain_where_the_terminal_has_no_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with io.TextIOWrapper(io.BytesIO(), encoding="ascii") as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        assert demo.draw([0, 50, 99]) == " =#"


def test_the_demo_fails_if_a_message_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class RefusingServer(LocalSegment):
        def __init__(self) -> None:
            super().__init__()
            self.respond(403)

    monkeypatch.setattr(demo, "LocalSegment", RefusingServer)
    assert demo.main([]) == 1
    output = capsys.readouterr().out
    assert re.search(r"240 accepted, \d+ delivered, [1-9]\d* failed", output)
    assert "error: 127.0.0.1 answered 403" in output
