"""The command with each interpreter, and with the oldest click and rich that are promised."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from support.command import KEY, complaint, on_terminal, run

from segment_librato.cli.app import COMMANDS
from segment_librato.config.client import Config
from segment_librato.spooling.folder import open_spool
from segment_librato.spooling.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment


def test_it_says_how_it_is_used() -> None:
    assert run("--help").stdout.count("  segment-librato ") == len(COMMANDS)
    assert "--previous-id ID" in run("alias", "--help").stdout
    assert run(status=2).stderr.startswith("Usage: ")
    assert "--nonsense" in complaint(run("--nonsense", status=2))
    words = {"COMP_WORDS": "segment-librato tr", "COMP_CWORD": "1"}
    assert run(_SEGMENT_LIBRATO_COMPLETE="bash_complete", **words).stdout == "plain,track\n"  # type: ignore[arg-type]  # none of them is an option of `run`


def test_it_sends_and_examines(server: LocalSegment) -> None:
    properties = ("--properties", '{"value": -4.5}')
    run("track", "--user-id", "ada", "--event", "Signed Up", *properties, server=server)
    run("gauge", "queue.depth", "-5", server=server)
    found = [message["properties"]["value"] for message in server.messages]
    assert found == [-4.5, -5]
    assert run("doctor", "--send", server=server).stdout.endswith("problems: 0, warnings: 0\n")
    line = '{"type": "identify", "userId": "ada"}'
    assert run("explain", "-", stdin=line).stdout.startswith("     1  ok\n")


@pytest.mark.skipif(os.name == "nt", reason="needs pseudo-terminals")
def test_it_draws_on_a_terminal(server: LocalSegment, tmp_path: Path) -> None:
    written = Run(open_spool(tmp_path, KEY, Config(KEY, server.host).batch_url))
    written.lane().append(b'{"type":"identify","userId":"ada"}')
    written.close()
    status, shown = on_terminal("spool", "ls", str(tmp_path), TERM="dumb")
    assert (status, shown.splitlines()[0].split()[:2]) == (0, ["account", "process"])
    arguments = ("spool", "drain", str(tmp_path), "--host", server.host, "--write-key", KEY)
    status, shown = on_terminal(*arguments, TERM="xterm")
    assert status == 0
    assert "\x1b[32mdelivered: 1, failed: 0" in shown
