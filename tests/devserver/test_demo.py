"""The demo, as `make demo` runs it, and what makes it fail."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.marks import needs_signals

from segment_librato.counters import Stats
from segment_librato.devserver import LocalSegment
from segment_librato.devserver.demo import __main__ as demo
from segment_librato.devserver.demo import chart, play
from segment_librato.devserver.demo.outcome import Outcome
from segment_librato.devserver.demo.plan import MAX_VALUE, POISONED_EVENT, SECONDS, WEB_SERVERS
from segment_librato.devserver.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

EXPECTED = {one.source: list(map(float, one.values)) for one in WEB_SERVERS}
MODULE = ["-W", "error", "-m", "segment_librato.devserver.demo"]

pytestmark = pytest.mark.once


def start(arguments: Sequence[str], encoding: str = "utf-8") -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603  this interpreter and our own demo
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={"PYTHONIOENCODING": encoding},
    )


def rows_of(output: str, source: str) -> list[str]:
    """Return the rows of a source in the chart, without the label."""
    _, chart_lines = output.split("as it arrived")
    lines = chart_lines.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith(source))
    return [line[chart.LABEL_WIDTH :] for line in lines[first : first + 3]]


def assert_in_order(output: str, *patterns: str) -> None:
    """Check that each pattern occurs after the one before it."""
    rest = output
    for pattern in patterns:
        found = re.search(pattern, rest)
        assert found, pattern
        rest = rest[found.end() :]


@pytest.mark.parametrize(
    "options, noun, encoding, blocks",
    [
        ([], "events", "utf-8", chart.BLOCKS),
        (["--librato"], "measurements", "ascii", chart.PLAIN_BLOCKS),
    ],
    ids=["to Segment", "to Librato, plain"],
)
def test_it_tells_the_story_and_draws_the_gauges(
    options: list[str], noun: str, encoding: str, blocks: str
) -> None:
    with start([*MODULE, *options], encoding) as process:
        output, errors = process.communicate(timeout=240)

    assert (process.returncode, errors) == (0, "")
    unwrapped = re.sub(r"\n {12,}", " ", output)
    assert_in_order(
        output,
        r"API  a local \w+ listens on http://127\.0\.0\.1:\d+\n",
        r"app  web-server-10 to 13 track segment\.librato, 60 values each\n",
        r"API  OUTAGE begins",
        rf"API  connection dropped, \d+ {noun}\n",
        rf"API  retry: 503, \d+ {noun}\n",
        rf"API  retry: 503, \d+ {noun}; Retry-After: 1\n",
        rf"API  retry: 200, \d+ {noun}; the API is back\n",
        rf"API  400, \d+ {noun} rejected: one of them is POISONED\n",
        r"app  the client halves the batch: [\d, ]+ 1\n",
        r"app  on_error: poisoned\.event alone; 127\.0\.0\.1:\d+ answered 400\n",
        rf"{noun}: accepted 241 == delivered 240 \+ failed 1 \+ pending 0\n",
        r"requests: \d+, 3 of them retries; ",
        rf"Nothing lost: all 240 good {noun} arrived",
        r"python -m segment_librato\.devserver ",
    )
    assert_in_order(output, r"log  WARNING 127\.0\.0\.1", r"log  ERROR ")
    waiting = rf"160 {noun} accepted, \d+ delivered, \d+ wait in memory, 0 failed"
    assert re.search(waiting, unwrapped)
    for web_server in WEB_SERVERS:
        *bars, facts = rows_of(output, web_server.source)
        assert bars == chart.draw(web_server.values, blocks)
        assert facts.startswith(f"{SECONDS} of {SECONDS} values: ")
    assert max(map(len, output.splitlines())) <= 80
    assert output.isascii() or encoding == "utf-8"
    assert "\x1b" not in output


def test_a_lost_event_makes_it_fail() -> None:
    program = """if True:
        import sys
        from segment_librato.devserver import LocalSegment
        from segment_librato.devserver.demo import __main__ as demo

        class LossyServer(LocalSegment):
            def __init__(self, **options):
                super().__init__(**options)
                self.respond(200, accept=False)

        demo.LocalSegment = LossyServer
        sys.exit(demo.main([]))
    """
    with start(["-c", program]) as process:
        output, errors = process.communicate(timeout=240)

    assert (process.returncode, errors) == (1, "")
    assert re.search(r"^FAILED: \d+ of 240 values arrived\.$", output, re.MULTILINE)
    assert "FAILED: the gauges are not those that were tracked." in output
    assert "Nothing lost" not in output


@needs_signals
def test_ctrl_c_ends_it_without_a_traceback() -> None:
    with start(MODULE) as process:
        assert process.stdout is not None
        while "OUTAGE" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=240)

    assert (process.returncode, errors) == (130, "")
    assert output.splitlines()[-2:] == ["", "Interrupted."]


def test_a_reader_that_leaves_is_no_error() -> None:
    with start(MODULE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""

    assert process.returncode == 0


class TestHere:
    """The demo inside this process."""

    @pytest.fixture(autouse=True)
    def _hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(play, "TICK", 0.001)
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")

    @pytest.mark.parametrize("options", [[], ["--librato"]])
    def test_it_succeeds_at_any_pace(
        self, options: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert demo.main(options) == 0
        assert "Nothing lost" in capsys.readouterr().out

    def test_it_does_without_the_proxy_of_the_environment(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        assert demo.main([]) == 0
        capsys.readouterr()

    def test_it_fails_and_says_why_if_the_api_stays_away(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        class ForbiddingServer(LocalSegment):
            def __init__(self, **options: object) -> None:
                super().__init__()
                self.respond(403, times=None)

        monkeypatch.setattr(demo, "LocalSegment", ForbiddingServer)
        monkeypatch.setattr(play, "RECOVERY_TIMEOUT", 0.1)

        assert demo.main([]) == 1

        output = capsys.readouterr().out
        assert "accepted 160 == delivered 0 + failed 160 + pending 0" in output
        assert "FAILED: 0 of 240 values arrived." in output
        assert re.search(r"on_error: \d+ events; 127\.0\.0\.1:\d+ answered 403\n", output)
        assert rows_of(output, "web-server-10") == ["", "", "0 of 60 values"]

    def test_it_says_so_if_it_cannot_listen(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fail(**_: object) -> None:
            raise OSError(errno.EADDRNOTAVAIL, "no loopback")

        monkeypatch.setattr(demo, "LocalSegment", fail)

        assert demo.main([]) == 1

        output, errors = capsys.readouterr()
        assert output == ""
        assert errors == f"Cannot listen on 127.0.0.1: {os.strerror(errno.EADDRNOTAVAIL)}.\n"

    def test_ctrl_c_is_reported_with_the_status_of_a_shell(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(demo, "play", interrupt)

        assert demo.main([]) == 130
        assert capsys.readouterr().out.endswith("\n\nInterrupted.\n")


class TestOutcome:
    GOOD = Outcome(
        stats=Stats(241, 240, 1, 0, 0, 3, 20, 10_000),
        gauges=EXPECTED,
        reported=[POISONED_EVENT],
        requests=20,
        seconds=4,
    )

    def test_a_good_run_has_no_problems(self) -> None:
        assert self.GOOD.find_problems() == []

    @pytest.mark.parametrize(
        "outcome, problem",
        [
            (
                GOOD._replace(stats=GOOD.stats._replace(delivered=239)),
                "the account does not add up: accepted 241 != delivered 239 + failed 1 + pending 0",
            ),
            (
                GOOD._replace(stats=GOOD.stats._replace(accepted=240, delivered=239)),
                "240 of 241 were accepted",
            ),
            (
                GOOD._replace(stats=GOOD.stats._replace(delivered=239, pending=1)),
                "1 are still pending",
            ),
            (GOOD._replace(stats=GOOD.stats._replace(retries=0)), "0 of 3 retries were made"),
            (
                GOOD._replace(gauges={**EXPECTED, "web-server-10": EXPECTED["web-server-11"]}),
                "the gauges are not those that were tracked",
            ),
            (
                GOOD._replace(reported=[]),
                "on_error was called for 0 and should have been for the poisoned.event only",
            ),
            (
                GOOD._replace(reported=[POISONED_EVENT, "segment.librato"]),
                "on_error was called for 2 and should have been for the poisoned.event only",
            ),
        ],
    )
    def test_each_thing_that_goes_wrong_is_found(self, outcome: Outcome, problem: str) -> None:
        assert outcome.find_problems() == [problem]


class TestChart:
    def test_each_gauge_has_a_shape_of_its_own_within_the_range(self) -> None:
        assert len({one.values for one in WEB_SERVERS}) == 4
        for one in WEB_SERVERS:
            assert len(one.values) == SECONDS
            assert 0 <= min(one.values) < MAX_VALUE / 2 < max(one.values) <= MAX_VALUE

    def test_a_bar_has_two_rows_and_is_never_invisible(self) -> None:
        assert chart.draw([0, 25, 50, 75, 100], chart.BLOCKS) == ["   ▄█", "▁▄███"]
        assert chart.draw([0, 25, 50, 75, 100], chart.PLAIN_BLOCKS) == ["   =#", ".=###"]

    def test_it_is_plain_where_the_terminal_has_no_blocks(self) -> None:
        with io.TextIOWrapper(io.BytesIO(), encoding="ascii") as stream:
            lines = chart.draw_gauges(EXPECTED, Terminal(stream))
        assert "".join(lines).isascii()
