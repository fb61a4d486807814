"""What a command writes, and where it cannot."""

from __future__ import annotations

import errno
import io
import logging
import sys
from typing import TYPE_CHECKING

import pytest

from segment_librato.cli.output import ErrorLines, Output, Warnings, prepare_streams, write_error

if TYPE_CHECKING:
    from collections.abc import Iterator


class Failing(io.StringIO):
    """A stream that cannot be written."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.tries = 0

    def write(self, _: str) -> int:
        self.tries += 1
        raise OSError(self.number, "failed")


def test_nothing_is_written_to_a_reader_that_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Failing(errno.EPIPE)
    monkeypatch.setattr(sys, "stdout", stream)
    output = Output()
    for _ in range(2):
        output.data("{}")
        output.say("text")
        assert not output.has_reader
    assert stream.tries == 1


def test_what_cannot_be_written_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Failing(errno.ENOSPC))
    with pytest.raises(OSError, match="cannot write the output: failed"):
        Output().data("{}")


@pytest.mark.parametrize(
    "output", [Output(quiet=True), Output(as_json=True)], ids=["quiet", "json"]
)
def test_what_is_for_people_is_for_them_only(
    output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    output.show("a table")
    output.say("a line")
    assert not output.is_terminal
    assert capsys.readouterr().out == ""


def test_an_error_that_cannot_be_written_is_no_other_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Failing(errno.ENOSPC))
    write_error("text")


def test_streams_that_are_there_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stdout", io.StringIO())  # which encodes nothing
    before = sys.stdout, sys.stderr
    prepare_streams()
    assert (sys.stdout, sys.stderr) == before
    with sys.stdin as opened:
        assert opened.read() == ""


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("test-of-output")
    logger.propagate = False
    yield logger
    logger.handlers.clear()


def test_an_error_line_cannot_be_forged(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.addHandler(ErrorLines())
    logger.warning("%s", "one\ntwo\x1b[31m")
    assert capsys.readouterr().err == "segment-librato: one\\ntwo\\x1b[31m\n"


def test_only_warnings_are_told_and_no_retries(logger: logging.Logger) -> None:
    told: list[str] = []
    logger.setLevel(logging.DEBUG)
    logger.addHandler(Warnings(told.append))
    logger.info("information")
    logger.error("messages not delivered: 1")
    logger.warning("%s; retrying now", "refused")
    logger.warning("a web page: %d", 1)
    assert told == ["a web page: 1"]
