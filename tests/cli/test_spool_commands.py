"""spool ls, cat, verify, drain and purge, run as commands against spools of real processes."""

from __future__ import annotations

import os
import re
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.command import KEY, complaint, on_terminal, records, run, start
from support.raw_server import FOREVER, RawServer
from support.script import sequence_numbers, wait_until_ready
from support.script import start as start_script
from support.spool import unknown_version

from segment_librato.config.client import Config
from segment_librato.devserver import LocalSegment
from segment_librato.spooling.folder import open_spool
from segment_librato.spooling.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.command import Result

pytestmark = [pytest.mark.once, pytest.mark.skipif(os.name == "nt", reason="needs POSIX locks")]

LIVE = """
    client = make(spool=segment_librato.SpoolConfig(sys.argv[2], deliver=False))
    track(client, range(3))
    wait_for_signal()
"""


def message(n: int) -> bytes:
    return b'{"type":"track","userId":"u","event":"e","messageId":"m%d","properties":{"n":%d}}' % (
        n,
        n,
    )


def leave(spool: Path, server: LocalSegment, *numbers: int, key: str = KEY) -> Path:
    """Leave messages as a process that has ended; return its first file."""
    before = {*spool.rglob("*.seg")}
    run = Run(open_spool(spool, key, Config(key, server.host).batch_url))
    lane = run.lane()
    for n in numbers:
        lane.append(message(n))
    run.close()
    return min({*spool.rglob("*.seg")} - before)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def live(spool: Path, server: LocalSegment) -> Iterator[None]:
    """A live process with three messages."""
    process = start_script(server, LIVE.replace("sys.argv[2]", repr(str(spool))))
    wait_until_ready(process)
    yield
    process.kill()
    process.communicate()


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


class TestLs:
    def test_each_run_has_a_line(self, spool: Path, server: LocalSegment, live: None) -> None:
        leave(spool, server, *range(5))
        leave(spool, server, 7, key="another")
        before = files(spool)
        lines = run("spool", "ls", str(spool)).stdout.splitlines()
        assert lines[0].split() == [
            "account",
            "process",
            "state",
            "files",
            "messages",
            "size",
            "age",
        ]
        found = sorted(line.split()[2:5] for line in lines[1:-1])
        assert found == [["left", "1", "1"], ["left", "1", "5"], ["live", "1", "3"]]
        assert re.fullmatch(r"messages: 9, [\d.]+ (KB|B); files in quarantine: 0", lines[-1])
        assert files(spool) == before

    def test_the_same_as_json(self, spool: Path, server: LocalSegment) -> None:
        file = leave(spool, server, *range(5))
        line, total = records(run("spool", "ls", "--json", str(spool)))
        assert line == {
            "path": str(file.parent),
            "process_id": os.getpid(),
            "live": False,
            "files": 1,
            "messages": 5,
            "bytes": file.stat().st_size,
            "oldest": file.stat().st_mtime,
            "problems": [],
        }
        assert total == {
            "runs": 1,
            "messages": 5,
            "bytes": file.stat().st_size,
            "quarantined": 0,
        }

    @pytest.mark.parametrize("seconds,age", [(90, "2 min"), (7_300, "2 h"), (200_000, "2 d")])
    def test_the_age_is_in_the_largest_unit(
        self, seconds: int, age: str, spool: Path, server: LocalSegment
    ) -> None:
        file = leave(spool, server, 1)
        at = file.stat().st_mtime - seconds
        os.utime(file, (at, at))
        assert run("spool", "ls", str(spool)).stdout.splitlines()[1].endswith(f"  {age}")

    def test_a_damaged_file_is_marked(self, spool: Path, server: LocalSegment) -> None:
        damage(leave(spool, server, *range(5)))
        assert " left, damaged " in run("spool", "ls", str(spool)).stdout

    def test_nothing_to_list(self, tmp_path: Path) -> None:
        output = run("spool", "ls", str(tmp_path)).stdout
        assert output == "messages: 0, 0 B; files in quarantine: 0\n"


def damage(file: Path) -> None:
    """Flip a byte of the third record."""
    data = bytearray(file.read_bytes())
    data[16 + 2 * (16 + len(message(0))) + 30] ^= 0xFF
    file.write_bytes(data)


@pytest.mark.parametrize("command", ["ls", "cat", "verify", "drain", "purge"])
class TestFolder:
    """What is no spool is told of, and not touched."""

    def test_one_that_is_missing(
        self, command: str, tmp_path: Path, reject: Callable[..., str]
    ) -> None:
        text = f"Invalid value for 'DIR': Directory '{tmp_path / 'x'}' does not exist."
        assert reject("spool", command, str(tmp_path / "x")) == text

    def test_a_part_of_a_spool(
        self, command: str, spool: Path, server: LocalSegment, reject: Callable[..., str]
    ) -> None:
        for folder in [*leave(spool, server, 1).parents][:2]:
            text = f"Invalid value for 'DIR': {folder} is inside a spool; pass the spool itself"
            assert reject("spool", command, str(folder)) == text

    def test_other_files(self, command: str, tmp_path: Path) -> None:
        (tmp_path / "mine.run").mkdir()
        (tmp_path / "mine.run" / "lock").touch()
        (tmp_path / "quarantine").mkdir()
        (tmp_path / "quarantine" / "mine").touch()
        before = files(tmp_path)
        options = {"drain": ("--write-key", KEY), "purge": ("--yes",)}.get(command, ())
        result = run("spool", command, *options, str(tmp_path))
        assert complaint(result) == f"{tmp_path} has other files, but no spool"
        assert files(tmp_path) == before


class TestCat:
    def test_messages_are_written_as_they_will_be_sent(
        self, spool: Path, server: LocalSegment
    ) -> None:
        leave(spool, server, *range(5))
        before = files(spool)
        for options in ((), ("--json",)):
            output = run("spool", "cat", *options, str(spool)).stdout
            assert output.splitlines() == [message(n).decode() for n in range(5)]
        assert run("spool", "cat", "--limit", "2", str(spool)).stdout.count("\n") == 2
        assert run("spool", "cat", "--quiet", str(spool)).stdout == ""
        assert files(spool) == before

    def test_those_of_a_live_process_are_too(self, spool: Path, live: None) -> None:
        found = records(run("spool", "cat", str(spool)))
        assert [one["properties"]["n"] for one in found] == [0, 1, 2]

    def test_what_cannot_be_read_is_told(self, spool: Path, server: LocalSegment) -> None:
        file = leave(spool, server, *range(5))
        damage(file)
        result = run("spool", "cat", str(spool), status=1)
        assert result.stdout.count("\n") == 2
        offset = 16 + 2 * (16 + len(message(0)))
        assert complaint(result) == f"{file}: damaged from byte {offset} on"

    def test_a_reader_that_leaves_is_no_error(self, spool: Path, server: LocalSegment) -> None:
        leave(spool, server, *range(5_000))
        process = start("spool", "cat", str(spool))
        process.stdin.close()
        assert process.stdout.readline()
        process.stdout.close()
        assert (process.wait(240), process.stderr.read()) == (0, "")
        process.stderr.close()


class TestVerify:
    def test_a_sound_spool(self, spool: Path, server: LocalSegment, live: None) -> None:
        leave(spool, server, *range(5))
        output = run("spool", "verify", str(spool)).stdout
        assert output == "files: 2, messages: 8, problems: 0\n"

    def test_damage_and_quarantine(self, spool: Path, server: LocalSegment) -> None:
        file = leave(spool, server, *range(5))
        damage(file)
        moved = file.parent.parent / "quarantine" / f"{file.parent.name}-{file.stem}-7"
        moved.parent.mkdir()
        moved.touch()
        problem = f"damaged from byte {16 + 2 * (16 + len(message(0)))} on"
        where = "it could not be read, and was moved here"
        assert run("spool", "verify", str(spool), status=1).stdout == (
            f"{file}: {problem}\n{moved}: {where}\nfiles: 1, messages: 2, problems: 2\n"
        )
        assert records(run("spool", "verify", "--json", str(spool), status=1)) == [
            {"path": str(file), "problem": problem},
            {"path": str(moved), "problem": where},
            {"files": 1, "messages": 2, "problems": 2},
        ]


class TestDrain:
    def drain(self, spool: Path, server: Any, *options: str, status: int = 0) -> Result:
        arguments = ("spool", "drain", str(spool), *options, "--host", server.host)
        return run(*arguments, status=status, SEGMENT_WRITE_KEY=KEY)

    def test_what_ended_processes_left_is_delivered(
        self, spool: Path, server: LocalSegment, live: None
    ) -> None:
        leave(spool, server, *range(5))
        other = leave(spool, server, 9, key="another")
        output = self.drain(spool, server, "--gzip").stdout
        expected = r"delivered: 5, failed: 0, left: 0, quarantined: 0, in \d+\.\d s\n"
        assert re.fullmatch(expected, output)
        assert sequence_numbers(server) == [*range(5)]
        assert other.exists()

    def test_the_same_as_json(self, spool: Path, server: LocalSegment) -> None:
        leave(spool, server, *range(5))
        (record,) = records(self.drain(spool, server, "--json"))
        assert record.pop("seconds") > 0
        assert record == {"delivered": 5, "failed": 0, "left": 0, "quarantined": 0}

    def test_it_needs_a_key(self, spool: Path, reject: Callable[..., str]) -> None:
        spool.mkdir()
        text = "a write key is needed: --write-key or SEGMENT_WRITE_KEY"
        assert reject("spool", "drain", str(spool)) == text

    def test_another_key_is_told(self, spool: Path, server: LocalSegment) -> None:
        leave(spool, server, 1, key="another")
        text = f"{spool} has nothing for this write key and host; files for others: 1"
        assert complaint(self.drain(spool, server)) == text

    def test_what_stays_is_status_1(self, spool: Path) -> None:
        with RawServer(lambda: [FOREVER]) as server:
            leave(spool, server, *range(5))  # type: ignore[arg-type]  # it has a host
            result = self.drain(spool, server, "--timeout", "0.3", "--json", status=1)
        assert records(result)[0]["left"] == 5
        assert "the rest stays in the spool: " in result.stderr

    @pytest.mark.parametrize("version", [1, 2])
    def test_what_cannot_be_read_is_status_1(
        self, version: int, spool: Path, server: LocalSegment
    ) -> None:
        """Damage goes to the quarantine; another version stays, and is not in the report."""
        file = leave(spool, server, *range(5))
        if version == 1:
            damage(file)
        else:
            file.write_bytes(unknown_version())
        (record,) = records(self.drain(spool, server, "--json", status=1))
        assert record["quarantined"] == (version == 1)
        assert file.exists() is (version != 1)

    def test_two_at_once_deliver_each_message_once(self, spool: Path, server: LocalSegment) -> None:
        for first in range(0, 6_000, 1_000):
            leave(spool, server, *range(first, first + 1_000))
        arguments = ("spool", "drain", str(spool), "--json")
        both = [start(*arguments, server=server) for _ in range(2)]
        results = [process.communicate(timeout=240) for process in both]
        assert [errors for _, errors in results] == ["", ""]
        found = sorted(sequence_numbers(server))
        assert found == [*range(6_000)]
        assert server.duplicates == 0

    def test_ctrl_c_loses_nothing(self, spool: Path) -> None:
        """The batch in flight is sent again, with the same ids."""
        came, go_on = threading.Event(), threading.Event()

        def wait(*_: object) -> None:
            came.set()
            go_on.wait(240)

        with LocalSegment(on_request=wait) as server:
            for first in range(0, 9_000, 3_000):
                leave(spool, server, *range(first, first + 3_000))
            process = start("spool", "drain", str(spool), server=server)
            assert came.wait(60)
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=240)
            go_on.set()
            assert (process.returncode, output) == (130, "")
            assert errors == "segment-librato: interrupted\n"
            self.drain(spool, server)
            found = sorted(sequence_numbers(server))
            assert found == [*range(9_000)]


class TestPurge:
    def test_without_a_terminal_it_needs_a_yes(self, spool: Path, server: LocalSegment) -> None:
        leave(spool, server, *range(5))
        before = files(spool)
        text = "this would delete: messages: 5, files in quarantine: 0; add --yes"
        assert complaint(run("spool", "purge", str(spool), status=2)) == text
        assert files(spool) == before

    def test_it_deletes_what_ended_processes_left(
        self, spool: Path, server: LocalSegment, live: None
    ) -> None:
        file = leave(spool, server, *range(5))
        size = file.stat().st_size
        (record,) = records(run("spool", "purge", "--yes", "--json", str(spool)))
        assert record == {"files": 1, "messages": 5, "bytes": size}
        assert not file.parent.exists()
        assert run("spool", "cat", str(spool)).stdout.count("\n") == 3

    def test_there_is_nothing_to_ask(self, spool: Path, live: None) -> None:
        output = run("spool", "purge", str(spool)).stdout
        assert output == "deleted: files: 0, messages: 0, 0 B\n"

    @pytest.mark.parametrize(
        "typed,status,last", [("y\n", 0, "deleted: "), ("\n", 1, "nothing was deleted")]
    )
    def test_on_a_terminal_it_asks(
        self, typed: str, status: int, last: str, spool: Path, server: LocalSegment
    ) -> None:
        file = leave(spool, server, *range(5))
        found, shown = on_terminal("spool", "purge", str(spool), typed=typed)
        assert (found, file.exists()) == (status, status == 1)
        question = "Delete for good: messages: 5, files in quarantine: 0? [y/N]: "
        assert question in shown
        assert last in shown

    def test_no_answer_deletes_nothing(self, spool: Path, server: LocalSegment) -> None:
        file = leave(spool, server, 1)
        status, shown = on_terminal("spool", "purge", str(spool), typed="\x04")
        assert (status, file.exists()) == (130, True)
        assert shown.splitlines()[-1] == "segment-librato: interrupted"


def test_a_terminal_shows_how_far_a_drain_is(spool: Path, server: LocalSegment) -> None:
    leave(spool, server, *range(5_000))
    arguments = ("spool", "drain", str(spool), "--host", server.host, "--write-key", KEY)
    status, shown = on_terminal(*arguments, TERM="xterm")
    assert status == 0
    assert "of 5,000 messages" in shown
    assert "delivered: 5,000, failed: 0, left: 0, quarantined: 0" in shown
