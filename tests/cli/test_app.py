"""What all commands have in common: help, exit status, streams, completion, the extra."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click
import pytest
from support.command import (
    KEY,
    account,
    clean_environment,
    complaint,
    on_terminal,
    records,
    run,
    start,
)
from support.marks import needs_dev_full, needs_shell, needs_signals
from support.raw_server import FOREVER, RawServer

from segment_librato import __version__
from segment_librato.cli import app
from segment_librato.cli.app import COMMANDS
from segment_librato.devserver import LocalSegment  # noqa: TC001  a fixture

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.once

TRACK = ("track", "--user-id", "ada", "--event", "Signed Up")
SCRIPT = Path(sys.executable).with_name("segment-librato")


def test_the_help_fits_on_a_small_terminal_and_has_an_example_of_each_command() -> None:
    lines = run("--help").stdout.splitlines()
    assert len(lines) <= 22  # below the line that asked for it, above the next prompt
    assert all(len(line) <= 80 for line in lines)
    examples = [line.split()[1] for line in lines if line.startswith("  segment-librato ")]
    assert examples == [*COMMANDS]
    assert run("-h").stdout.splitlines() == lines


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_help(name: str) -> None:
    lines = run(name, "--help").stdout.splitlines()
    assert lines[0].startswith(f"Usage: segment-librato {name} ")
    assert len(lines) <= (36 if name == "import" else 24)  # whose options are more than that
    assert all(len(line) <= 80 for line in lines)


def test_without_a_command_the_help_is_an_error() -> None:
    result = run(status=2)
    assert (result.stdout, result.stderr) == ("", run("--help").stdout)


def test_the_version() -> None:
    assert run("--version").stdout == f"segment-librato {__version__}\n"


def test_the_script_is_installed() -> None:
    output = subprocess.run([SCRIPT, "--version"], check=True, capture_output=True, text=True)  # noqa: S603
    assert output.stdout == f"segment-librato {__version__}\n"


def test_its_module_does_nothing_when_it_is_imported(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("segment_librato.__main__")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "arguments,text",
    [
        (["trak"], "there is no command trak; did you mean track?"),
        (["nonsense"], "there is no command nonsense; see segment-librato --help"),
        (["--nonsense"], "No such option '--nonsense'."),
        (["track", "--event"], "Option '--event' requires an argument."),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    arguments: list[str], text: str, reject: Callable[..., str]
) -> None:
    assert reject(*arguments) == text


def test_that_line_and_status_are_those_of_the_process() -> None:
    assert complaint(run("--nonsense", status=2)) == "No such option '--nonsense'."


def test_a_command_may_have_the_name_of_a_keyword(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("segment_librato.cli.importing")
    module.import_ = click.Command("import", callback=lambda: 3)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(COMMANDS, "import", ("importing", "import events.jsonl"))
    assert app.run(["import"]) == 3


LACKING = """
import sys

class Finder:
    def find_spec(self, name, *_):
        if name.split(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Finder())
from segment_librato.cli import main
main()
"""


def run_python(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  the tests' own program
        [sys.executable, "-W", "error", "-c", source, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=240,
    )


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_the_extra_it_says_what_to_install(package: str) -> None:
    result = run_python(LACKING.format(package=package), "doctor")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == 'segment-librato: first, pip install "segment-librato[cli]"\n'


def test_another_module_that_is_lacking_is_not_taken_for_the_extra() -> None:
    result = run_python(LACKING.format(package="logging.handlers"), "--version")
    assert result.returncode == 0
    result = run_python(LACKING.format(package="difflib"), "--version")
    assert result.returncode == 1
    assert "No module named 'difflib'" in result.stderr


def test_ctrl_c_while_it_is_imported_is_status_130() -> None:
    source = LACKING.replace("raise ModuleNotFoundError(", "raise KeyboardInterrupt(")
    source = source.replace(", name=name", "")
    result = run_python(source.format(package="click"), "--version")
    assert (result.returncode, result.stderr) == (130, "segment-librato: interrupted\n")


@needs_signals
@pytest.mark.parametrize(
    "arguments", [TRACK, ("doctor",), ("doctor", "--send")], ids=lambda one: " ".join(one[:2])
)
def test_ctrl_c_is_one_line_and_status_130(arguments: tuple[str, ...]) -> None:
    with RawServer(lambda: [FOREVER]) as server:
        process = start(*arguments, SEGMENT_WRITE_KEY=KEY, SEGMENT_HOST=server.host)
        assert server.wait_until(lambda: bool(server.requests))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=240)
    assert (process.returncode, errors) == (130, "segment-librato: interrupted\n")


def test_a_program_error_is_one_line_without_what_it_says(server: LocalSegment) -> None:
    source = """
import segment_librato.cli.messages as messages
def fail(_): raise LookupError("payload")
messages.explain = fail
from segment_librato.cli import main
main()
"""
    result = run_python(source, *TRACK, "--host", server.host, "--write-key", KEY)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    text = r"segment-librato: this should not happen, please report it: LookupError in \S+, line 3"
    assert re.fullmatch(text, line)


@needs_dev_full
@pytest.mark.parametrize("arguments", [TRACK, (*TRACK, "--json"), ("--help",)])
def test_a_full_disk_is_one_line_and_status_1(
    arguments: tuple[str, ...], server: LocalSegment
) -> None:
    with Path("/dev/full").open("wb") as full:
        result = run(*arguments, status=1, stdout=full, server=server)
    assert complaint(result).endswith("No space left on device")


@needs_dev_full
def test_a_status_is_right_although_the_error_cannot_be_written() -> None:
    for arguments in (["trak"], [], ["spool"]):
        with Path("/dev/full").open("wb") as full:
            process = subprocess.run(  # noqa: S603  the command that is tested
                [sys.executable, "-m", "segment_librato", *arguments],
                check=False,
                stderr=full,
                timeout=240,
            )
        assert process.returncode == 2


@needs_shell
def test_streams_may_be_closed(server: LocalSegment) -> None:
    command = [sys.executable, "-m", "segment_librato", *TRACK]
    process = subprocess.run(  # noqa: S603  the command that is tested
        ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command],
        check=False,
        env=clean_environment(**account(server)),
        timeout=240,
    )
    assert process.returncode == 0
    assert [message["event"] for message in server.messages] == ["Signed Up"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("options", [(), ("--json",)], ids=str)
def test_a_reader_that_leaves_ends_what_only_writes(options: tuple[str, ...]) -> None:
    """The input has no end."""
    command = [sys.executable, "-W", "error", "-m", "segment_librato", "explain", *options, "-"]
    script = """yes "$0" | "$@" | head -n 1; echo "${PIPESTATUS[@]}" """
    process = subprocess.run(  # noqa: S603  the command that is tested
        ["bash", "-c", script, '{"type": "identify", "userId": "ada"}', *command],  # noqa: S607  wherever it is
        check=True,
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=240,
    )
    first, statuses = process.stdout.splitlines()
    assert "ok" in first
    assert statuses.split()[1:] == ["0", "0"]
    assert process.stderr == ""


def test_a_reader_that_leaves_ends_the_help() -> None:
    process = start("--help")
    process.stdout.close()
    process.stdin.close()
    assert (process.wait(240), process.stderr.read()) == (0, "")
    process.stderr.close()


COLORS = re.compile("\x1b\\[")


@pytest.mark.skipif(os.name == "nt", reason="needs pseudo-terminals")
@pytest.mark.parametrize(
    "more,has_colors",
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["terminal", "NO_COLOR", "dumb"],
)
def test_colors_are_for_terminals(
    more: dict[str, str], has_colors: bool, server: LocalSegment
) -> None:
    status, output = on_terminal(*TRACK, **{**account(server), "TERM": "xterm", **more})
    assert status == 0
    assert "delivered to 127.0.0.1" in output
    assert bool(re.search("\x1b\\[3[0-9]m", output)) is has_colors
    assert not COLORS.search(run(*TRACK, server=server).stdout)
    result = run(*TRACK, server=server, FORCE_COLOR="1", TTY_COMPATIBLE="1")
    assert not COLORS.search(result.stdout)


class TestCompletion:
    """By what the shell's script calls, and by bash itself."""

    def complete(self, words: str, at: int) -> list[str]:
        output = run(
            COMP_WORDS=words, COMP_CWORD=str(at), _SEGMENT_LIBRATO_COMPLETE="bash_complete"
        ).stdout
        return [line.partition(",")[2] for line in output.splitlines() if line]

    @pytest.mark.parametrize(
        "words,at,expected",
        [
            ("segment-librato ", 1, [*COMMANDS]),
            ("segment-librato tr", 1, ["track"]),
            ("segment-librato --v", 1, ["--version"]),
            ("segment-librato track --ev", 2, ["--event"]),
            ("segment-librato spool ", 2, ["cat", "drain", "ls", "purge", "verify"]),
        ],
    )
    def test_it_completes_commands_and_options(
        self, words: str, at: int, expected: list[str]
    ) -> None:
        assert self.complete(words, at) == expected

    def test_a_command_that_does_not_exist_is_no_error(self) -> None:
        assert self.complete("segment-librato nonsense --x", 2) == []

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_each_shell_has_a_script(self, shell: str) -> None:
        assert "segment-librato" in run(_SEGMENT_LIBRATO_COMPLETE=f"{shell}_source").stdout

    @pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
    def test_bash_completes(self) -> None:
        script = """
            eval "$(_SEGMENT_LIBRATO_COMPLETE=bash_source segment-librato)"
            COMP_WORDS=(segment-librato do) COMP_CWORD=1
            _segment_librato_completion segment-librato do
            echo "${COMPREPLY[@]}"
        """
        path = f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"
        output = subprocess.run(  # noqa: S603  the tests' own script
            ["bash", "-c", script],  # noqa: S607  wherever it is
            check=True,
            capture_output=True,
            text=True,
            env=clean_environment(PATH=path),
            timeout=240,
        )
        assert output.stdout == "doctor\n"


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    "arguments",
    [["--help"], *([name, "--help"] for name in COMMANDS)],
    ids=lambda arguments: arguments[0],
)
def test_help_imports_no_http_and_nothing_that_draws(arguments: list[str]) -> None:
    source = """
import sys
from segment_librato.cli import main
try:
    main()
except SystemExit:
    print("\\nfound:", *{"requests", "urllib3", "rich.console", "rich.progress"} & {*sys.modules})
"""
    assert run_python(source, *arguments).stdout.splitlines()[-1] == "found:"


def test_quiet_writes_nothing_but_errors_and_wins_over_json(server: LocalSegment) -> None:
    result = run(*TRACK, "--quiet", "--json", server=server)
    assert (result.stdout, result.stderr) == ("", "")
    result = run(*TRACK, "-q", "--timeout", "1", status=1, SEGMENT_WRITE_KEY=KEY, SEGMENT_HOST=GONE)
    assert result.stdout == ""
    place = GONE.removeprefix("http://")
    assert complaint(result).startswith(f"not delivered: {place}: Connection refused; ")


GONE = "http://127.0.0.1:1"


def test_json_is_readable_whatever_the_encoding_of_stdout() -> None:
    traits = '{"name": "Zoë \\u202e \\u009b31m \\u3042"}'
    result = run(
        *("identify", "--user-id", "ada", "--traits", traits, "--dry-run", "--json"),
        PYTHONIOENCODING="ascii",
        PYTHONUTF8="0",
    )
    assert result.stdout.isascii()
    (record,) = records(result)
    assert record["message"]["traits"] == {"name": "Zoë \u202e \u009b31m \u3042"}
