"""import FILE..., run as a command against a local server."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.command import COMMAND, KEY, account, complaint, on_terminal, records, run, start
from support.raw_server import RawServer
from support.script import sequence_numbers

from segment_librato.devserver import LocalSegment  # noqa: TC001  a fixture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.command import Result

    from segment_librato.devserver.http.exchange import Request

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.once

FAR = "9999-12-31"
OLD = "2024-03-01T12:00:00.000+00:00"
RECENT = datetime.now(timezone.utc) - timedelta(days=4)  # nothing to warn of
TIMESTAMP = RECENT.isoformat(timespec="milliseconds")


def row(n: int, **more: Any) -> dict[str, Any]:
    message = {"userId": f"u{n}", "event": "E", "timestamp": TIMESTAMP, "properties": {"n": n}}
    return {**message, **more}


def lines(*rows: object) -> str:
    return "".join(one if isinstance(one, str) else f"{json.dumps(one)}\n" for one in rows)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with five rows, two of which are rejected."""
    path = tmp_path / "events.jsonl"
    path.write_text(lines(row(1), row(2), "{broken\n", "\n", {"event": "E"}, row(3)))
    return path


def report(result: Result) -> dict[str, Any]:
    return records(result)[-1]


def do_import(*arguments: object, status: int = 0, **more: Any) -> Result:
    return run("import", *map(str, arguments), status=status, **more)


UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
BROKEN = "not strict JSON: Expecting property name enclosed in double quotes: column 2 (char 1)"
NO_RESUME = "standard input cannot be resumed: if this run ends early, send all of it again"
NO_TIME = "timestamp: missing; --now (now=True) uses the current time"


class TestReport:
    """What is said of each row, in any form."""

    def test_as_a_table(self, file: Path, server: LocalSegment) -> None:
        result = do_import(file, status=1, server=server)
        assert result.stderr == ""
        size = file.stat().st_size
        expected = f"""\
about to send {file} ({size} B) to 127.0.0.1:{server.port}
read                     5
delivered                3
rejected                 2
                         1  {BROKEN}
                         1  {NO_TIME}
skipped                  0
took _ s, _ rows a second
state: {file}.import-state
rejected rows were not kept; --dry-run --rejects FILE lists those that are wrong by themselves
"""
        shown = re.sub(r"took [\d.]+ s, [\d,]+ rows", "took _ s, _ rows", result.stdout)
        assert shown == expected
        assert sorted(sequence_numbers(server)) == [1, 2, 3]

    def test_as_json(self, file: Path, server: LocalSegment) -> None:
        (record,) = records(do_import(file, "--json", status=1, server=server))
        assert record.pop("seconds") > 0
        assert record.pop("rate") > 0
        assert record == {
            "event": "report",
            "dry_run": False,
            "read": 5,
            "delivered": 3,
            "rejected": 2,
            "skipped": 0,
            "reasons": {BROKEN: 1, NO_TIME: 1},
            "rejected_before": 0,
            "state": f"{file}.import-state",
            "rejects": None,
            "stopped": None,
        }

    def test_quiet(self, file: Path, server: LocalSegment) -> None:
        result = do_import(file, "--quiet", status=1, server=server)
        assert (result.stdout, result.stderr) == ("", "")

    def test_many_reasons_are_summed_up(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(lines(*({"type": "track", f"field{n}": 1, **row(n)} for n in range(15))))
        output = do_import(path, "--dry-run", status=1).stdout
        assert output.count("not a field of track messages") == 10
        assert "                         5  other reasons\n" in output

    def test_many_more_reasons_are_summed_up_in_one_line(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(lines(*({"type": "track", f"f{n}": 1, **row(n)} for n in range(150))))
        output = do_import(path, "--dry-run", status=1).stdout
        assert output.count("other reasons") == 1
        assert "                       140  other reasons\n" in output

    def test_all_is_well(self, tmp_path: Path, server: LocalSegment) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(lines(row(1)))
        do_import(path, server=server)


class TestFormats:
    """Each arrives as the same messages."""

    ROWS = (
        {"customer": "042", "when": TIMESTAMP, "event": "Paid", "amount": 9.5, "paid": True},
        {"customer": "43", "when": TIMESTAMP, "event": "Ordered", "amount": 7, "note": 'a, "b"'},
    )
    MAP = (
        "--map",
        "userId=customer",
        "--map",
        "timestamp=when",
        "--map",
        "properties.value=amount",
    )

    def check(self, server: LocalSegment, *arguments: object, **more: Any) -> None:
        do_import(*arguments, *self.MAP, server=server, **more)
        first, second = sorted(server.messages, key=lambda message: str(message["userId"]))
        assert [first["userId"], first["event"], first["timestamp"]] == ["042", "Paid", TIMESTAMP]
        assert first["properties"] == {"value": 9.5, "paid": True}
        assert second["properties"] == {"value": 7, "note": 'a, "b"'}
        assert {message["type"] for message in (first, second)} == {"track"}

    def text(self, delimiter: str = ",") -> str:
        head = ["customer", "when", "event", "amount", "paid", "note"]
        values = (
            ["042", TIMESTAMP, "Paid", "9.5", "true", ""],
            ["43", TIMESTAMP, "Ordered", "7", "", '"a, ""b"""'],
        )
        return "\r\n".join(delimiter.join(one) for one in (head, *values))

    def test_json_lines(self, tmp_path: Path, server: LocalSegment) -> None:
        path = tmp_path / "a.ndjson.gz"
        path.write_bytes(gzip.compress(lines(*self.ROWS).encode()))
        self.check(server, path)

    def test_csv(self, tmp_path: Path, server: LocalSegment) -> None:
        path = tmp_path / "a.csv.zst"
        path.write_bytes(zstd.compress(self.text().encode()))
        self.check(server, path)

    def test_csv_with_another_delimiter_and_encoding(
        self, tmp_path: Path, server: LocalSegment
    ) -> None:
        path = tmp_path / "a.csv"
        path.write_bytes(self.text(";").encode("utf-16"))
        self.check(server, path, "--delimiter", ";")

    def test_tsv_from_standard_input(self, server: LocalSegment) -> None:
        self.check(server, "-", "--format", "tsv", stdin=self.text("\t"))

    def test_parquet(self, tmp_path: Path, server: LocalSegment) -> None:
        path = tmp_path / "a.parquet"
        rows = [{**self.ROWS[0], "when": RECENT}, {**self.ROWS[1], "when": RECENT}]
        pq.write_table(
            pa.Table.from_pylist(
                rows,
                schema=pa.schema(
                    [
                        ("customer", pa.string()),
                        ("when", pa.timestamp("ns", "UTC")),
                        ("event", pa.string()),
                        ("amount", pa.float64()),
                        ("paid", pa.bool_()),
                        ("note", pa.string()),
                    ]
                ),
            ),
            path,
        )
        self.check(server, path)

    def test_columns_with_the_names_of_fields_need_no_map(
        self, tmp_path: Path, server: LocalSegment
    ) -> None:
        path = tmp_path / "users.csv"
        path.write_text(f"userId,timestamp,plan,traits.age,zip\n7,{TIMESTAMP},pro,36,01234\n")
        do_import(path, "--type", "identify", server=server)
        (message,) = server.messages
        assert (message["type"], message["userId"]) == ("identify", "7")
        assert message["traits"] == {"plan": "pro", "age": 36, "zip": "01234"}

    def test_text_event_and_now(self, tmp_path: Path, server: LocalSegment) -> None:
        path = tmp_path / "a.csv"
        path.write_text("userId,amount\n7,36\n")
        do_import(path, "--text", "--event", "Paid", "--now", server=server)
        (message,) = server.messages
        assert (message["event"], message["properties"]) == ("Paid", {"amount": "36"})
        assert message["timestamp"][:10] == datetime.now(timezone.utc).isoformat()[:10]

    def test_a_key_tells_rows_apart(self, tmp_path: Path, server: LocalSegment) -> None:
        for name, note in (("a.csv", "x"), ("b.csv", "y")):
            path = tmp_path / name
            path.write_text(f"userId,event,timestamp,id,note\n7,E,{TIMESTAMP},1,{note}\n")
            do_import(path, "--key", "id", server=server)
        assert (len(server.messages), server.duplicates) == (1, 1)
        do_import(path, "--key", "id", "--name", "other", "--restart", server=server)
        assert len(server.messages) == 2


class TestFiles:
    def test_patterns_and_several_files(self, tmp_path: Path, server: LocalSegment) -> None:
        for n in range(5):
            (tmp_path / f"{n}.jsonl").write_text(lines(row(n)))
        result = do_import(tmp_path / "*.jsonl", "--json", server=server)
        assert report(result)["state"] == f"{tmp_path}/0.jsonl.import-state"
        assert sorted(sequence_numbers(server)) == [0, 1, 2, 3, 4]
        (tmp_path / "00.jsonl").write_text(lines(row(5), row(3)))
        output = do_import(tmp_path / "*.jsonl", server=server).stdout
        assert output.startswith("resuming 6 files (")
        assert f") to 127.0.0.1:{server.port}: 5 rows already done\n" in output
        assert sorted(sequence_numbers(server)) == [0, 1, 2, 3, 3, 4, 5]
        assert server.duplicates == 0  # the new row 3 is the second one

    def test_equal_files_are_two_files(self, tmp_path: Path, server: LocalSegment) -> None:
        for name in ("a.jsonl", "b.jsonl"):
            (tmp_path / name).write_text(lines(row(1), row(2)))
        do_import(tmp_path / "*.jsonl", "--limit", 3, server=server)
        do_import(tmp_path / "*.jsonl", server=server)
        assert (sorted(sequence_numbers(server)), server.duplicates) == ([1, 1, 2, 2], 0)

    def test_standard_input_says_that_it_cannot_resume(self, server: LocalSegment) -> None:
        output = do_import("-", "--format", "jsonl", stdin=lines(row(1)), server=server).stdout
        assert output.splitlines()[:2] == [
            f"about to send standard input to 127.0.0.1:{server.port}",
            NO_RESUME,
        ]
        assert "state" not in output

    @pytest.mark.parametrize(
        "name,text,options,problem",
        [
            ("a.log", "", (), "{}: its name does not say which format it has; use --format jsonl|"),
            ("a.csv", "a;b\n", (), "{}: its header has only one column; if semicolons separate"),
            (
                "a.csv",
                "a,b\n",
                ("--delimiter", "ab"),
                "Invalid value for '--delimiter': expected a character such as ; or |",
            ),
            ("a.csv", "a,a\n", (), "{}: its header has the column a twice"),
            ("a.jsonl", "[1]", (), "{}: it is one JSON array, not an object a line; `jq -c"),
            ("a.parquet", "x", (), "{}: it is not a Parquet file: "),
            ("a.csv", "a,b\n", ("--encoding", "utf-9"), "there is no text encoding utf-9"),
            (
                "a.csv",
                "a,b\n",
                ("--map", "userId=c"),
                "--map userId=c: no column is called c, only a, b",
            ),
            ("a.csv", "a,b\n", ("--key", "c"), "--key c: no column is called c, only a, b"),
            (
                "a.csv",
                "a,b\n",
                ("--map", "user=a"),
                "Invalid value for '--map': user is not a target such as userId or properties",
            ),
            (
                "a.csv",
                "a,b\n",
                ("--map", "userId=a", "--map", "userId=b"),
                "--map userId: it takes one column, not both a and b",
            ),
            (
                "a.csv",
                "a,b\n",
                ("--map", "userId"),
                "Invalid value for '--map': expected TARGET=COLUMN, as in userId=customer",
            ),
            (
                "a.jsonl",
                "",
                ("--max-rejects", "few"),
                "Invalid value for '--max-rejects': expected a number such as 10, or a percentage",
            ),
            ("a.jsonl", "", ("--rejects", "{}"), "--rejects {} would overwrite a file to import"),
            ("a.jsonl", "", ("--write-key", ""), "a write key is needed: --write-key or SEGMENT"),
        ],
    )
    def test_what_cannot_be_imported_is_told(
        self,
        name: str,
        text: str,
        options: tuple[str, ...],
        problem: str,
        tmp_path: Path,
        reject: Callable[..., str],
    ) -> None:
        path = tmp_path / name
        path.write_text(text)
        arguments = (*("--write-key", KEY), *(option.format(path) for option in options), "--yes")
        assert reject("import", str(path), *arguments).startswith(problem.format(path))

    def test_json_lines_and_tables_do_not_mix(
        self, file: Path, tmp_path: Path, reject: Callable[..., str]
    ) -> None:
        (tmp_path / "a.csv").write_text("a,b\n")
        problem = reject("import", str(file), str(tmp_path / "a.csv"), "--dry-run")
        assert problem == "import JSON lines and tables one by one, or with a --map for both"

    @pytest.mark.parametrize("more", [(), ("--dry-run",)])
    def test_standard_input_is_imported_by_itself(
        self, more: tuple[str, ...], file: Path, reject: Callable[..., str]
    ) -> None:
        """Beside files, it would keep them from being resumed."""
        problem = reject("import", "-", str(file), "--write-key", KEY, "--format", "jsonl", *more)
        assert problem == (
            "standard input cannot be resumed, and files can: import - by itself, and the files by"
            " themselves"
        )

    @pytest.mark.parametrize("name", ["a.csv", "a"])
    def test_a_missing_file_is_wrong_usage(
        self, name: str, tmp_path: Path, server: LocalSegment
    ) -> None:
        result = do_import(tmp_path / name, status=2, server=server)
        assert complaint(result) == f"cannot read {tmp_path}/{name}: No such file or directory"

    def test_a_damaged_file_is_status_1(self, tmp_path: Path, server: LocalSegment) -> None:
        path = tmp_path / "a.jsonl.gz"
        rows = lines(*(row(n, messageId=str(uuid4())) for n in range(5_000)))
        path.write_bytes(gzip.compress(rows.encode())[:-50])
        result = do_import(path, "--json", status=1, server=server)
        assert complaint(result).startswith(f"{path}: it is damaged: ")
        assert "it is damaged: " in report(result)["stopped"]
        assert report(result)["delivered"] == len(server.messages)
        assert len(server.messages) > 4_000
        do_import(path, status=1, server=server)
        assert server.duplicates == 0

    def test_what_comes_before_a_damaged_file_is_sent(
        self, tmp_path: Path, server: LocalSegment
    ) -> None:
        """Even if the damage is where the timestamps are looked at."""
        (tmp_path / "a.jsonl").write_text(lines(row(1), row(2)))
        path = tmp_path / "b.jsonl.gz"
        rows = lines(*(row(n, messageId=str(uuid4())) for n in range(100, 160)))
        path.write_bytes(gzip.compress(rows.encode())[:-50])
        result = do_import(tmp_path / "*", "--json", status=1, server=server)
        assert complaint(result).startswith(f"{path}: it is damaged: ")
        assert sorted(sequence_numbers(server))[:2] == [1, 2]
        assert report(result)["delivered"] == len(server.messages) >= 2


class TestLooking:
    """What sends nothing."""

    def test_a_dry_run_checks_everything(self, file: Path, server: LocalSegment) -> None:
        rejects = file.with_name("rejects")
        result = do_import(file, "--dry-run", "--rejects", rejects, status=1)
        assert "valid                    3\n" in result.stdout
        assert [json.loads(line)["number"] for line in rejects.read_text().splitlines()] == [3, 5]
        assert "not kept" not in result.stdout
        found = records(do_import(file, "--dry-run", "--json", "--progress", 0, status=1))
        assert [(one["event"], one["valid"]) for one in found] == [("progress", 3), ("report", 3)]
        assert found[-1]["dry_run"] is True
        assert not any("delivered" in one for one in found)
        assert not file.with_name("events.jsonl.import-state").exists()

    @pytest.mark.parametrize("dry", [("--dry-run",), ()])
    def test_a_mapped_column_that_no_row_has_is_told(
        self, dry: tuple[str, ...], tmp_path: Path, server: LocalSegment
    ) -> None:
        path = tmp_path / "a.jsonl"
        flat = {"userId": "u", "event": "E", "timestamp": TIMESTAMP, "amount": 1}
        path.write_text(lines(flat, {**flat, "coupon": "x"}))
        command = (path, "--map", "properties.value=amout", "--map", "properties.code=coupon", *dry)
        result = do_import(*command, server=server)
        assert complaint(result) == "no row has the column amout, which --map names"
        assert do_import(*command, "--restart", "--quiet", server=server).stderr == ""

    def test_a_mapped_column_that_not_all_rows_were_searched_for_is_not(
        self, tmp_path: Path, server: LocalSegment
    ) -> None:
        """Another run has seen it, or will; and the header of a table has it."""
        path, table = tmp_path / "a.jsonl", tmp_path / "a.csv"
        flat = {"userId": "u", "event": "E", "timestamp": TIMESTAMP}
        path.write_text(lines({**flat, "a": 1}, {**flat, "b": 1}, flat))
        options = ("--map", "properties.x=a", "--map", "properties.y=b", "--key", "timestamp")
        assert do_import(path, *options, "--limit", 1, server=server).stderr == ""
        assert do_import(path, *options, server=server).stderr == ""
        table.write_text(f"userId,event,timestamp,a\nu,E,{TIMESTAMP},\n")
        assert do_import(table, "--map", "properties.x=a", server=server).stderr == ""

    def test_a_sample_shows_messages_and_gauges(self, file: Path, server: LocalSegment) -> None:
        output = do_import(file, "--sample", 1, server=server).stdout
        text, _, explanation = output.rpartition("}\n")
        message = json.loads(f"{text}}}")
        assert message["properties"] == {"n": 1}
        assert explanation.startswith("Gauge E takes the value 1 with the source E")
        result = do_import(file, "--sample", 9, "--json", server=server)
        assert [one["message"]["properties"]["n"] for one in records(result)] == [1, 2, 3]
        assert result.stderr.splitlines() == [
            f"segment-librato: {file}, 3: {BROKEN}",
            f"segment-librato: {file}, 5: {NO_TIME}",
        ]
        assert server.requests == []
        do_import(file, server=server, status=1)
        sent = {sent["messageId"]: sent for sent in server.messages}
        assert sent[message["messageId"]]["properties"] == {"n": 1}

    def test_no_sample_is_status_1(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_text("{broken\n")
        result = do_import(tmp_path / "a.jsonl", "--sample", 1, status=1)
        without_key, _, last = result.stderr.splitlines()
        assert without_key == (
            "segment-librato: without a write key, rows without a messageId show another one than"
            " they will be sent with"
        )
        assert last == "segment-librato: no row can be shown"

    @pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
    @pytest.mark.parametrize(
        "first,last,warnings",
        [
            ("", "", []),
            (OLD, "", ["the oldest event is from 2024-03-01, more than 5 days ago"]),
            ("", "now", ["the newest event is from {}, less than 3 days ago"]),
            (
                "",
                FAR,
                ["the newest event is from 9999-12-31T00:00Z, in the future: check"],
            ),
        ],
    )
    def test_ages_that_may_surprise_are_told(
        self,
        name: str,
        first: str,
        last: str,
        warnings: list[str],
        tmp_path: Path,
        server: LocalSegment,
    ) -> None:
        now = datetime.now(timezone.utc)
        last = now.isoformat() if last == "now" else last or TIMESTAMP
        times = [first or TIMESTAMP, *[TIMESTAMP] * 500, last]
        data = lines(*(row(n, timestamp=each) for n, each in enumerate(times))).encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        dry = do_import(path, "--dry-run").stderr.splitlines()
        assert len(dry) == len(warnings)
        for line, warning in zip(dry, warnings, strict=True):
            assert warning.format(now.date()) in line
        real = do_import(path, server=server).stderr.splitlines()
        assert real == dry or name.endswith(".gz")  # whose end is not looked at
        assert do_import(path, "--dry-run", "--quiet").stderr == ""

    def test_both_ends_of_parquet_are_looked_at(self, tmp_path: Path, server: LocalSegment) -> None:
        path = tmp_path / "a.parquet"
        times = [RECENT] * 500 + [datetime.now(timezone.utc)]
        columns = {"timestamp": times, "userId": ["u"] * 501, "event": ["E"] * 501}
        pq.write_table(pa.table(columns), path)
        assert "the newest event is from" in do_import(path, server=server).stderr


class TestQuestion:
    @pytest.mark.parametrize("typed,status,sent", [("y\n", 0, 1), ("\n", 1, 0), ("\x04", 130, 0)])
    def test_on_a_terminal_it_asks(
        self, typed: str, status: int, sent: int, tmp_path: Path, server: LocalSegment
    ) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(lines(row(1)))
        found, shown = on_terminal("import", str(path), typed=typed, **account(server))
        assert (found, len(server.messages)) == (status, sent)
        assert f"about to send {path} (" in shown
        assert "Send? [y/N]: " in shown
        if status == 1:
            assert "nothing was sent" in shown

    def test_the_question_says_what_it_is_about(self, tmp_path: Path, server: LocalSegment) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(lines(row(1, timestamp=OLD)))
        arguments = ("import", str(path), "--quiet")
        found, shown = on_terminal(*arguments, typed="y\n", **account(server))
        size = path.stat().st_size
        assert found == 0
        assert "the oldest event is from 2024-03-01" in shown  # the answer may depend on it
        assert f"Send {path} ({size} B) to 127.0.0.1:{server.port}? [y/N]: " in shown.replace(
            "\r\n", ""
        )

    def test_yes_is_no_question(self, tmp_path: Path, server: LocalSegment) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(lines(row(1)))
        found, shown = on_terminal("import", str(path), "--yes", **account(server))
        assert found == 0
        assert "Send?" not in shown

    def test_who_does_not_want_to_restart_loses_nothing(
        self, file: Path, server: LocalSegment
    ) -> None:
        do_import(file, status=1, server=server)
        arguments = ("import", str(file), "--restart")
        found, shown = on_terminal(*arguments, typed="n\n", **account(server))
        assert (found, shown.count("Send? [y/N]")) == (1, 1)
        assert "standard input" not in shown
        output = do_import(file, status=1, server=server).stdout
        assert output.startswith("nothing to send: every row was already imported\n")
        found, shown = on_terminal(*arguments, typed="y\n", **account(server))
        assert (found, shown.count("Send? [y/N]")) == (1, 1)
        assert server.duplicates == 3


class TestProgress:
    def test_lines_where_there_is_no_terminal(self, tmp_path: Path, server: LocalSegment) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(lines(*map(row, range(10_000))))
        # With more at a time, all may be read before the first request ends.
        result = do_import(path, "--progress", 0, "--concurrency", 1, server=server)
        lines_shown = result.stdout.splitlines()[1:-6]
        assert len(lines_shown) >= 2
        shape = r"[\d,]+ rows, [\d.]+ \wB of [\d.]+ MB, [\d,]+/s(, \d+ s left)?, rejected: 0"
        assert all(re.fullmatch(shape, line) for line in lines_shown), lines_shown
        assert any(" s left, " in line for line in lines_shown)

    def test_the_same_as_json(self, file: Path, server: LocalSegment) -> None:
        first, *_, last = records(
            do_import(file, "--progress", 0, "--json", status=1, server=server)
        )
        assert [*first] == [
            *("event", "read", "delivered", "rejected", "skipped"),
            *("bytes", "total_bytes", "seconds"),
        ]
        assert (first["event"], last["event"]) == ("progress", "report")
        assert first["total_bytes"] == file.stat().st_size

    def test_a_bar_on_a_terminal(self, tmp_path: Path, server: LocalSegment) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(lines(*map(row, range(2_000))))
        options = ("--yes", "--rate", "2000")
        status, shown = on_terminal("import", str(path), *options, TERM="xterm", **account(server))
        assert status == 0
        assert re.search(r"[\d,]+ rows, [\d.]+ KB of [\d.]+ KB, ", shown)
        assert "delivered            2,000" in shown

    def test_standard_input_has_no_total(self, server: LocalSegment) -> None:
        result = do_import(
            *("-", "--format", "jsonl", "--progress", 0), stdin=lines(row(1)), server=server
        )
        assert re.search(r"^1 rows, \d+/s, rejected: 0$", result.stdout, re.MULTILINE)


class TestRejects:
    def test_each_is_a_line(self, file: Path, server: LocalSegment) -> None:
        path = file.with_name("rejects")
        path.touch()
        body = b'{"code": "invalid", "message": "no"}'
        server.respond(400, body=body, times=None, when=has_2)
        do_import(file, "--rejects", path, status=1, server=server)
        found = sorted(
            map(json.loads, path.read_text().splitlines()), key=lambda one: one["number"]
        )
        assert {one.pop("file") for one in found} == {str(file)}
        assert [one.pop("row") for one in found] == [row(2), "{broken", {"event": "E"}]
        assert [(one["number"], one["status"], one["reason"]) for one in found] == [
            (2, 400, "no"),
            (3, None, BROKEN),
            (5, None, NO_TIME),
        ]

    @pytest.mark.parametrize("more", [(), ("--dry-run",)])
    @pytest.mark.parametrize("option", ["--rejects", "--state"])
    def test_no_file_to_import_is_written_over(
        self, option: str, more: tuple[str, ...], file: Path, reject: Callable[..., str]
    ) -> None:
        if option == "--state":
            file.write_bytes(b"")  # of which SQLite would make a database
        before = file.read_bytes()
        link, twin = file.with_name("link"), file.with_name("twin")
        link.symlink_to(file)
        twin.hardlink_to(file)
        (file.parent / "folder").mkdir()
        for name in (file, link, twin, file.parent / "folder" / ".." / file.name):
            arguments = ("--write-key", KEY, option, str(name), *more)
            if more and option == "--state":
                continue  # it has none
            text = f"{option} {name} would overwrite a file to import"
            assert reject("import", str(file), *arguments) == text
        assert file.read_bytes() == before

    def test_nor_is_standard_input(self, file: Path) -> None:
        before = file.read_bytes()
        with file.open("rb") as stdin:
            arguments = ("import", "-", "--format", "jsonl", "--rejects", str(file), "--dry-run")
            result = subprocess.run(  # noqa: S603  the command that is tested
                [*COMMAND, *arguments], stdin=stdin, capture_output=True, text=True, check=False
            )
        assert result.returncode == 2
        assert "would overwrite a file to import" in result.stderr
        assert file.read_bytes() == before

    @pytest.mark.parametrize("suffix", ["", "-wal"])
    def test_nor_is_the_state(self, suffix: str, file: Path, server: LocalSegment) -> None:
        do_import(file, status=1, server=server)
        state = file.with_name("events.jsonl.import-state")
        before = state.read_bytes()
        name = f"{file.parent}/./{state.name}{suffix}"
        text = f"--rejects {name} would overwrite the state; name another file"
        assert complaint(do_import(file, "--rejects", name, status=2, server=server)) == text
        assert state.read_bytes() == before

    def test_a_dry_run_leaves_the_rejects_of_an_import(
        self, file: Path, server: LocalSegment
    ) -> None:
        rejects = file.with_name("rejects")
        do_import(file, "--limit", 3, "--rejects", rejects, status=1, server=server)
        before = rejects.read_bytes()
        result = do_import(file, "--dry-run", "--rejects", rejects, status=2)
        text = f"--rejects {rejects} exists; name another file, or delete it"
        assert complaint(result) == text
        assert rejects.read_bytes() == before

    @pytest.mark.parametrize("options", [(), ("--restart",), ("--dry-run",)])
    def test_the_rejects_of_another_import_are_kept(
        self, options: tuple[str, ...], file: Path, reject: Callable[..., str]
    ) -> None:
        """Its rows were settled there, and may be nowhere else."""
        path = file.with_name("rejects")
        path.write_text("of another import\n")
        arguments = ("--write-key", KEY, "--rejects", str(path), *options)
        text = f"--rejects {path} exists; name another file, or delete it"
        assert reject("import", str(file), *arguments) == text
        assert path.read_text() == "of another import\n"

    def test_a_pattern_means_no_file_that_the_import_writes(
        self, file: Path, server: LocalSegment
    ) -> None:
        pattern, rejects = file.with_name("*.jsonl"), file.with_name("rejects.jsonl")
        do_import(pattern, "--rejects", rejects, "--limit", 3, status=1, server=server)
        result = do_import(pattern, "--rejects", rejects, "--json", status=1, server=server)
        assert report(result)["skipped"] == 3
        assert len(rejects.read_text().splitlines()) == 2

    def test_a_file_that_another_import_has_filled_meanwhile_is_kept(
        self, file: Path, server: LocalSegment
    ) -> None:
        """A loop over files with one file of rejects, run again after an outage."""
        other, rejects = file.with_name("other.jsonl"), file.with_name("rejects")
        other.write_text('{"userId": "ada", "event": "E"}\n')
        server.respond(401, times=None)
        do_import(file, "--rejects", rejects, "--max-retries", 0, status=1, server=server)
        server.clear()
        assert rejects.read_bytes() == b""
        do_import(other, "--rejects", rejects, status=1, server=server)
        before = rejects.read_bytes()
        result = do_import(file, "--rejects", rejects, status=2, server=server)
        assert complaint(result).endswith(f"{rejects} exists; name another file, or delete it")
        assert rejects.read_bytes() == before != b""

    @pytest.mark.parametrize(
        "name,problem",
        [
            ("/dev/full", "/dev/full is not a regular file; name one"),
            ("-", "- is not a regular file; name one"),
            ("{}", "{} is not a regular file; name one"),
            ("{}/fifo", "{}/fifo is not a regular file; name one"),
            ("{}/none/x", "{}/none/x: there is no folder {}/none"),
        ],
    )
    def test_only_a_regular_file_takes_them(
        self, name: str, problem: str, file: Path, reject: Callable[..., str]
    ) -> None:
        os.mkfifo(file.with_name("fifo"))
        arguments = ("--write-key", KEY, "--rejects", name.format(file.parent))
        text = problem.format(file.parent, file.parent)
        assert reject("import", str(file), *arguments) == f"--rejects {text}"

    def test_another_file_begins_anew(self, file: Path, server: LocalSegment) -> None:
        first, second = (file.with_name(name) for name in ("first", "second"))
        do_import(file, "--limit", 3, "--rejects", first, status=1, server=server)
        do_import(file, "--limit", 1, "--rejects", second, status=1, server=server)
        do_import(file, "--rejects", second, status=1, server=server)
        found = [json.loads(path.read_text())["number"] for path in (first, second)]
        assert found == [3, 5]

    def test_too_many_end_it(self, tmp_path: Path, server: LocalSegment) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(lines("{broken\n", "{broken\n", *map(row, range(5_000))))
        arguments = (path, "--max-rejects", 1, "--concurrency", 1)
        result = do_import(*arguments, status=1, server=server)
        assert complaint(result) == (
            "stopped: --max-rejects 1 is exceeded, 2 rows rejected;"
            " run the same command with a larger one to resume"
        )
        assert 0 < len(server.messages) < 5_000

    def test_those_of_requests_in_flight_are_counted(
        self, tmp_path: Path, server: LocalSegment
    ) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(lines(*(["{broken\n"] * 50 + [row(n) for n in range(200)]) * 40))
        result = do_import(path, "--max-rejects", 10, "--json", status=1, server=server)
        found = report(result)
        assert f"exceeded, {found['rejected']:,} rows rejected" in found["stopped"]

    def test_too_many_are_those_of_all_runs(self, file: Path, server: LocalSegment) -> None:
        """Whoever starts it again, as a scheduler does, must not let more through."""
        do_import(file, "--limit", 3, "--max-rejects", 1, status=1, server=server)
        result = do_import(file, "--max-rejects", 1, status=1, server=server)
        assert complaint(result).startswith(
            "stopped: --max-rejects 1 is exceeded, 2 rows rejected;"
        )

    def test_too_many_of_earlier_runs_let_no_request_through(
        self, tmp_path: Path, server: LocalSegment
    ) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(lines("{broken\n", "{broken\n", *map(row, range(5_000))))
        first = do_import(path, "--max-rejects", 1, "--concurrency", 1, status=1, server=server)
        requests = len(server.requests)
        again = do_import(path, "--max-rejects", 1, status=1, server=server)
        assert complaint(again) == complaint(first)
        assert len(server.requests) == requests
        do_import(path, "--max-rejects", 2, status=1, server=server)
        assert (len(server.messages), server.duplicates) == (5_000, 0)

    def test_a_percentage_is_of_a_thousand_rows_at_least(
        self, tmp_path: Path, server: LocalSegment
    ) -> None:
        path = tmp_path / "a.jsonl"
        bad = lines(*["{broken\n"] * 30)
        path.write_text(bad + lines(*map(row, range(5_000))))
        do_import(path, "--max-rejects", "3%", "--state", tmp_path / "s", status=1, server=server)
        assert len(server.messages) == 5_000
        result = do_import(path, "--max-rejects", "0.1%", "--dry-run", "--json", status=1)
        assert complaint(result) == "stopped: --max-rejects 0.1% is exceeded, 30 rows rejected"
        assert 1_000 <= report(result)["read"] < 5_000
        text = "--max-rejects 0.1% is exceeded, 30 rows rejected"
        assert report(result)["stopped"] == text


def has_2(request: Request) -> bool:
    return any(message["properties"]["n"] == 2 for message in request.messages)


class TestTrouble:
    def test_a_server_that_refuses_everything_ends_it(self, file: Path) -> None:
        with RawServer(lambda: [UNAUTHORIZED]) as server:
            arguments = (file, "--host", server.host, "--json")
            result = do_import(*arguments, status=1, SEGMENT_WRITE_KEY=KEY)
        assert "stopped: 127.0.0.1" in complaint(result)
        assert "401" in complaint(result)
        assert complaint(result).endswith("; run the same command again to resume")
        assert report(result)["delivered"] == 0

    def test_an_import_that_runs_has_its_state_for_itself(
        self, tmp_path: Path, server: LocalSegment
    ) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(lines(*map(row, range(10))))
        with server.hold():
            first = start("import", str(path), "--quiet", server=server)
            assert server.wait_until(lambda: server.held == 1)
            for options in ((), ("--restart",)):
                result = do_import(path, *options, status=2, server=server)
                state = f"{path}.import-state"
                text = f"{state} is in use: another import of these files is running"
                assert complaint(result) == text
        assert first.communicate(timeout=240) == ("", "")
        assert first.returncode == 0
        assert sorted(sequence_numbers(server)) == [*range(10)]


SIGNALS = [
    (signal.SIGINT, 130, "Ctrl-C", "interrupted"),
    (signal.SIGTERM, 143, "SIGTERM", "terminated"),
]


class TestCtrlC:
    """And SIGTERM, by which systemd, Kubernetes and `timeout` end a process."""

    @pytest.mark.parametrize("number,status,name,word", SIGNALS)
    def test_the_first_ends_it_when_requests_have_ended(
        self, number: int, status: int, name: str, word: str, tmp_path: Path, server: LocalSegment
    ) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(lines(*map(row, range(5_000))))
        with server.hold():
            process = start("import", str(path), "--concurrency", "1", server=server)
            assert server.wait_until(lambda: server.held == 1)
            process.send_signal(number)
            line = process.stderr.readline()
        assert line == (
            f"segment-librato: finishing the requests in flight; {name} again quits at once\n"
        )
        output, errors = process.communicate(timeout=240)
        assert (process.returncode, errors) == (status, f"segment-librato: {word}\n")
        delivered = len(server.messages)
        assert f"delivered {delivered:16,}\n" in output
        assert output.endswith("\nrun the same command again to resume\n")
        assert 0 < delivered < 5_000
        do_import(path, server=server)
        assert sorted(sequence_numbers(server)) == [*range(5_000)]
        assert server.duplicates == 0

    @pytest.mark.parametrize("more", [(), ("--dry-run",)])
    def test_it_ends_a_wait_for_standard_input(
        self, more: tuple[str, ...], server: LocalSegment
    ) -> None:
        """And what was read before has its outcome."""
        arguments = ("import", "-", "--format", "jsonl", "--concurrency", "1", "--json", *more)
        with server.hold():
            process = start(*arguments, server=server)
            process.stdin.write(lines(*map(row, range(3_000))))  # a request, and more
            process.stdin.flush()
            assert more or server.wait_until(lambda: server.held == 1)
            process.send_signal(2)
            assert "Ctrl-C again" in process.stderr.readline()
        assert process.wait(240) == 130
        last = json.loads(process.stdout.read().splitlines()[-1])
        assert process.stderr.read() == "segment-librato: interrupted\n"
        process.communicate()
        assert last["valid" if more else "delivered"] == (len(server.messages) or last["read"])
        assert last["stopped"] == "interrupted"

    @pytest.mark.parametrize("number,status,name,word", SIGNALS)
    def test_the_second_ends_it_at_once(
        self, number: int, status: int, name: str, word: str, tmp_path: Path, server: LocalSegment
    ) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(lines(*map(row, range(10))))
        with server.hold():
            process = start("import", str(path), server=server)
            assert server.wait_until(lambda: server.held == 1)
            process.send_signal(number)
            assert name in process.stderr.readline()
            process.send_signal(number)
            assert process.wait(240) == status
        assert word not in process.stderr.read()
        process.communicate()


class TestState:
    def test_a_finished_import_sends_nothing(self, file: Path, server: LocalSegment) -> None:
        do_import(file, status=1, server=server)
        before = len(server.requests)
        output = do_import(file, status=1, server=server).stdout
        assert output.startswith("nothing to send: every row was already imported\n")
        assert "rejected                 0  (in earlier runs: 2)\n" in output
        assert "skipped                  5\n" in output
        assert len(server.requests) == before

    def test_a_limit_is_gone_on_from(self, file: Path, server: LocalSegment) -> None:
        assert report(do_import(file, "--limit", 2, "--json", server=server))["read"] == 2
        last = report(do_import(file, "--json", status=1, server=server))
        assert [last[name] for name in ("read", "delivered", "rejected", "skipped")] == [5, 1, 2, 2]
        assert sorted(sequence_numbers(server)) == [1, 2, 3]
        assert server.duplicates == 0

    def test_a_file_that_changed_is_refused(self, file: Path, server: LocalSegment) -> None:
        do_import(file, "--limit", 2, server=server)
        file.write_text(file.read_text() + lines(row(4)))
        assert complaint(do_import(file, status=2, server=server)) == (
            f"{file} has changed since its import began: if rows were added, import them"
            " from a file of their own; --restart sends all again"
        )
        do_import(file, "--restart", status=1, server=server)
        assert sorted(sequence_numbers(server)) == [1, 2, 3, 4]
        assert server.duplicates == 2

    def test_a_file_may_have_another_name(self, file: Path, server: LocalSegment) -> None:
        state = file.with_name("state")
        do_import(file, "--limit", 2, "--state", state, server=server)
        moved = file.rename(file.with_name("b.jsonl"))
        do_import(moved, "--state", state, status=1, server=server)
        assert (sorted(sequence_numbers(server)), server.duplicates) == ([1, 2, 3], 0)

    @pytest.mark.parametrize(
        "options,what",
        [
            (("--name", "x"), "another --name"),
            (("--write-key", "other"), "another write key or host"),
            (("--event", "E", "--type", "track"), "another --type, another --event"),
        ],
    )
    def test_other_options_are_refused(
        self, options: tuple[str, ...], what: str, file: Path, server: LocalSegment
    ) -> None:
        do_import(file, "--limit", 2, server=server)
        assert complaint(do_import(file, *options, status=2, server=server)) == (
            f"{file}.import-state belongs to an import with {what}: use the same,"
            " another --state FILE, or --restart to send everything again"
        )

    @pytest.mark.parametrize(
        "options", [("--map", "properties.value=amount"), ("--text", "--encoding", "latin-1")]
    )
    def test_options_that_ids_do_not_depend_on_are_told(
        self, options: tuple[str, ...], tmp_path: Path, server: LocalSegment
    ) -> None:
        path = tmp_path / "a.csv"
        path.write_text(f"userId,event,timestamp,id,amount\n7,E,{TIMESTAMP},x,1\n")
        do_import(path, "--key", "id", server=server)
        result = do_import(path, "--key", "id", *options, status=2, server=server)
        assert complaint(result).endswith(
            "or --restart to send everything again; ids may stay the same, and Segment drops those"
            " that it has had within a day: a new --name makes new ones"
        )
        do_import(path, "--key", "id", *options, "--restart", server=server)
        assert (len(server.messages), server.duplicates) == (1, 1)
        do_import(path, "--key", "id", *options, "--restart", "--name", "new", server=server)
        assert (len(server.messages), server.duplicates) == (2, 1)

    def test_a_state_is_never_taken_for_another_file(
        self, file: Path, server: LocalSegment
    ) -> None:
        other = file.with_name("mine")
        other.write_text("precious" * 100)
        for options in ((), ("--restart",)):
            result = do_import(file, "--state", other, *options, status=2, server=server)
            assert "is not the state of an import" in complaint(result)
        assert other.read_text() == "precious" * 100

    def test_several_states_are_told(self, tmp_path: Path, server: LocalSegment) -> None:
        for name in ("a.jsonl", "b.jsonl"):
            (tmp_path / name).write_text(lines(row(1)))
            do_import(tmp_path / name, server=server)
        result = do_import(tmp_path / "*", status=2, server=server)
        a, b = (tmp_path / f"{name}.jsonl.import-state" for name in "ab")
        text = f"these files have several states, {a} and {b}: choose one with --state"
        assert complaint(result) == text

    def test_a_state_is_for_files(self, server: LocalSegment) -> None:
        for options in (("--state", "s"), ("--restart",)):
            result = do_import("-", "--format", "jsonl", *options, status=2, server=server)
            text = f"{options[0]} is for files: standard input cannot be read again"
            assert complaint(result) == text

    def test_a_folder_that_takes_no_state(self, file: Path, server: LocalSegment) -> None:
        state = file / "s"
        result = do_import(file, "--state", state, status=1, server=server)
        text = f"{state}: Not a directory; put the state elsewhere with --state FILE"
        assert complaint(result) == text

    def test_nothing_settled_binds_nothing(self, file: Path, server: LocalSegment) -> None:
        """After a "no" to the question, say."""
        with RawServer(lambda: [UNAUTHORIZED]) as other:
            do_import(file, "--host", other.host, "--limit", 1, status=1, SEGMENT_WRITE_KEY=KEY)
        file.write_text(file.read_text() + lines(row(4)))
        do_import(file, "--name", "x", status=1, server=server)
        assert sorted(sequence_numbers(server)) == [1, 2, 3, 4]

    def test_the_write_key_is_not_in_it(self, file: Path, server: LocalSegment) -> None:
        do_import(file, status=1, server=server)
        data = file.with_name("events.jsonl.import-state").read_bytes()
        assert KEY.encode() not in data
