"""`import_rows`: what a program sees of an import."""

from __future__ import annotations

import inspect
import json
import re
import signal
import subprocess
import sys
import textwrap
import threading
import typing
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

import segment_librato as analytics
from segment_librato import ConfigError, ImportReport, ImportStoppedError, import_rows
from segment_librato.bulk.dry_run import DryRun
from segment_librato.bulk.outcomes import Outcome, Unreadable, reject_line
from segment_librato.bulk.report import MAX_REASONS, OTHER_REASONS, Tally
from segment_librato.bulk.rules import RowRules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

KEY = "test-key"
AT = "2024-03-05T12:13:14.567Z"


def row(number: int) -> dict[str, Any]:
    return {"userId": "ada", "event": "Imported", "timestamp": AT, "properties": {"n": number}}


class Source:
    """Rows, and how many of them were read."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._rows = rows
        self.read = 0

    def __iter__(self) -> Iterator[Any]:
        for one in self._rows:
            self.read += 1
            yield one


def test_it_reports_what_became_of_the_rows(server: LocalSegment) -> None:
    rows = Source([row(1), {}, row(2), {}, 5])
    report = import_rows(rows, KEY, host=server.host)
    reasons = {
        "type: missing; a row without an event needs one": 2,
        "row: expected a dict, got int": 1,
    }
    assert report == ImportReport(rows.read, 2, 3, 0, reasons)
    assert rows.read == 5
    assert import_rows([], KEY, host=server.host) == ImportReport()


def test_the_same_rows_again_are_the_same_messages_and_others_in_another_import(
    server: LocalSegment,
) -> None:
    rows = [row(1), row(1), row(2)]
    for _ in range(2):
        import_rows(iter(rows), KEY, host=server.host)
    assert (len(server.messages), server.duplicates) == (3, 3)
    import_rows(rows, KEY, host=server.host, name="again")
    assert (len(server.messages), server.duplicates) == (6, 3)


def test_flat_rows_are_imported_with_a_mapping(server: LocalSegment) -> None:
    rows = [{"customer": 7, "amount": 42, "when": "2024-03-05", "currency": "EUR"}]
    import_rows(
        rows,
        KEY,
        host=server.host,
        event="Order Completed",
        message_type="track",
        mapping={"userId": "customer", "properties.value": "amount", "timestamp": "when"},
        key=["customer", "when"],
        rate=1_000,
        concurrency=1,
        gzip=True,
        max_retries=0,
    )
    (message,) = server.messages
    assert (message["userId"], message["event"]) == ("7", "Order Completed")
    assert message["timestamp"] == "2024-03-05T00:00:00.000+00:00"
    assert message["properties"] == {"value": 42, "currency": "EUR"}


def test_rejected_rows_are_told_and_written(server: LocalSegment, tmp_path: Path) -> None:
    server.respond(400, body=b'{"message": "n: too large"}', when=lambda _: True)
    told: list[Outcome] = []
    path = tmp_path / "rejects.jsonl"
    path.write_text("of an earlier import")
    rows = [row(1), {"userId": b"\xff"}]
    import_rows(rows, KEY, host=server.host, rejects=path, on_reject=told.append)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert lines == [
        {
            "number": 1,
            "message_id": told[0].message_id,
            "status": 400,
            "reason": "n: too large",
            "row": row(1),
        },
        {
            "number": 2,
            "message_id": None,
            "status": None,
            "reason": "type: missing; a row without an event needs one",
            "row": {"userId": lines[1]["row"]["userId"]},
        },
    ]
    assert [one.row for one in told] == rows


def test_a_line_of_rejects_tells_of_what_could_not_be_read_and_of_what_is_too_large() -> None:
    outcome = Outcome(3, None, "rejected", None, "not JSON", Unreadable("not JSON", "{"))
    assert json.loads(reject_line(outcome, file="a.jsonl")) == {
        "file": "a.jsonl",
        "number": 3,
        "message_id": None,
        "status": None,
        "reason": "not JSON",
        "row": "{",
    }
    huge = outcome._replace(row={"a": "x" * 11_000_000})
    assert json.loads(reject_line(huge))["row"] is None


def test_it_reports_its_progress(server: LocalSegment) -> None:
    reports: list[ImportReport] = []
    rows = Source([None, *map(row, range(5_000))])

    def show(report: ImportReport) -> None:
        reports.append(report)
        assert report.delivered <= len(server.messages)
        assert report.read <= rows.read

    import_rows(rows, KEY, host=server.host, progress=show)
    assert reports[-1] == import_rows(rows, KEY, host=server.host)
    assert (reports[-1].read, reports[-1].delivered) == (5_001, len(server.messages))
    assert [one.read for one in reports] == sorted({one.read for one in reports})


@pytest.mark.parametrize("callback", ["on_reject", "progress"])
def test_what_a_callback_raises_ends_the_import(server: LocalSegment, callback: str) -> None:
    def enough(_: object) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        import_rows([{}], KEY, host=server.host, **{callback: enough})  # type: ignore[arg-type]
    assert not [one for one in threading.enumerate() if one.name.startswith("segment-import")]


def test_an_import_that_stops_says_what_was_done_before(server: LocalSegment) -> None:
    server.respond(200)
    server.respond(403, times=None)
    rows = Source([{}, *map(row, range(9_999))])
    with pytest.raises(ImportStoppedError) as caught:
        import_rows(rows, KEY, host=server.host, concurrency=1)
    error = caught.value
    assert error.delivered + error.rejected + error.unsettled == rows.read < 10_000
    assert error.delivered == len(server.messages) > 0
    assert error.rejected == 1
    assert error.unsettled > 0
    assert error.__cause__ is error.__context__ is None
    assert KEY not in repr(error)


@pytest.mark.parametrize("most", [0, "0", 9, "1%"])
def test_too_many_rejected_rows_end_the_import(server: LocalSegment, most: int | str) -> None:
    rows = Source([*({} for _ in range(1_000)), *map(row, range(99_000))])
    told: list[Outcome] = []
    with pytest.raises(ImportStoppedError) as caught:
        import_rows(
            rows, KEY, host=server.host, concurrency=1, max_rejects=most, on_reject=told.append
        )
    error = caught.value
    assert f"max_rejects={most} is exceeded, rows rejected: 1,000; " in str(error)
    assert len(told) == error.rejected == 1_000
    assert error.delivered + error.rejected + error.unsettled == rows.read < 10_000
    assert error.delivered == len(server.messages)
    assert error.__cause__ is error.__context__ is None


@pytest.mark.parametrize("most", [100, "3%", None])
def test_as_many_as_may_be_rejected_do_not(server: LocalSegment, most: int | str | None) -> None:
    rows = [row(number) if number % 50 else {} for number in range(5_000)]
    report = import_rows(rows, KEY, host=server.host, max_rejects=most)
    assert (report.delivered, report.rejected) == (4_900, 100)


def test_so_many_may_be_rejected_by_the_server(server: LocalSegment) -> None:
    server.respond(
        400,
        times=None,
        when=lambda request: any(one["properties"]["n"] < 100 for one in request.messages),
    )
    rows = [*map(row, range(200))]
    with pytest.raises(ImportStoppedError, match="answered 400 to every request"):
        import_rows(rows, KEY, host=server.host)
    report = import_rows(rows, KEY, host=server.host, max_rejects=100)
    assert (report.delivered, report.rejected) == (100, 100)


@pytest.mark.parametrize("most", [-1, 1.5, True, "few", "-1%", b"1"])
def test_how_many_may_be_rejected_is_a_number_or_a_percentage(most: Any) -> None:
    with pytest.raises(ConfigError, match=r"^max_rejects: expected a number such as 10, or "):
        import_rows([], KEY, max_rejects=most)


def test_ctrl_c_ends_an_import_that_waits(server: LocalSegment) -> None:
    server.respond(503, headers={"Retry-After": "300"}, times=None)
    script = f"""
        import segment_librato
        row = {row(1)!r}
        try:
            segment_librato.import_rows([row], "k", host={server.host!r})
        except KeyboardInterrupt:
            print("interrupted")
    """
    process = subprocess.Popen(  # noqa: S603  the test's own script
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.wait_until(lambda: len(server.requests) == 1)
    assert process.stderr
    assert "retrying in 300.0 s" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=240)
    assert (process.returncode, output, errors) == (0, "interrupted\n", "")


def test_it_is_imported_when_it_is_used() -> None:
    script = """
        import sys, typing
        import segment_librato
        assert not [one for one in sys.modules if "bulk" in one]
        typing.get_type_hints(segment_librato.import_rows)
        typing.get_type_hints(segment_librato.ImportReport)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)  # noqa: S603
    assert typing.get_type_hints(import_rows)["return"] is ImportReport
    assert "import_rows" in dir(analytics)


@pytest.mark.parametrize("name", ["on_reject", "progress"])
def test_a_callback_must_be_one(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: expected a callable, got int"):
        import_rows([], KEY, **{name: 5})  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [row(1), "text", b"text"])
def test_one_row_is_not_taken_for_many(rows: Any) -> None:
    with pytest.raises(ConfigError, match="rows: expected an iterable of dicts, got "):
        import_rows(rows, KEY)


def test_a_column_that_is_mapped_but_never_there_is_told(
    server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    flat = {"userId": "ada", "timestamp": AT, "amount": 1}
    for mapping in ({"properties.value": "amout"}, {"properties.value": "amount"}):
        assert import_rows([flat], KEY, host=server.host, event="E", mapping=mapping).delivered
    assert caplog.messages == ["no row has the column amout, which is mapped"]
    with closing(DryRun(KEY, RowRules(event="E", mapping={"properties.value": "b"}))) as dry:
        assert dry.unseen_columns == []
        assert list(dry.settle([flat] * 500))
        assert dry.unseen_columns == ["b"]


def test_reasons_are_counted_up_to_a_number_of_them() -> None:
    tally = Tally()
    for number in range(MAX_REASONS + 50):
        tally.add([Outcome(1, None, "rejected", None, f"reason r{number}", {})] * 2)
    report = tally.report(skipped=7)
    assert len(report.reasons) == MAX_REASONS + 1
    assert report.reasons[OTHER_REASONS] == 100
    assert report.rejected == sum(report.reasons.values()) == 300
    assert (report.read, report.skipped) == (307, 7)


def test_reasons_that_differ_in_numbers_only_are_one() -> None:
    tally = Tally()
    for number in range(MAX_REASONS + 50):
        for reason in ("expected 9, got 5", f"expected 9, got {number + 10}: a1", "column c2"):
            tally.add([Outcome(1, None, "rejected", None, reason, {})])
    tally.add([Outcome(1, None, "rejected", None, "something else", {})])
    assert tally.report().reasons == {
        "expected 9, got 5": 150,
        "expected N, got N: a1": 150,
        "column c2": 150,
        "something else": 1,
    }


def test_the_docstring_names_every_argument() -> None:
    described = set(re.findall(r"^ {4}(\w+): ", inspect.getdoc(import_rows) or "", re.MULTILINE))
    assert described >= set(import_rows.__annotations__) - {"return"}
