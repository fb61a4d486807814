"""The journal's file: what a restart finds, what is kept, and what is no journal."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.debugger import ask, events, get
from support.local_server import batch, in_background, post, track

from segment_librato import Client, LibratoConfig
from segment_librato.devserver.page.debugger import Debugger
from segment_librato.devserver.page.journal import Journal, JournalError, Limits
from segment_librato.devserver.page.outlines import Measured, outline
from segment_librato.devserver.segment import store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.mark.usefixtures("unmeasured")  # coverage imports sqlite3
def test_a_server_without_the_page_imports_nothing_of_it() -> None:
    script = """
import sys
from segment_librato.devserver import LocalSegment
import segment_librato.devserver.__main__
with LocalSegment():
    print([name for name in sys.modules if "sqlite3" in name or "devserver.page" in name])
"""
    process = subprocess.run(  # noqa: S603  the test's own script
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert process.stdout == "[]\n"


class TestRestart:
    def test_everything_is_there_again(self, file: Path) -> None:
        paths = ["/events", "/events/1", "/requests", "/names", "/gauges"]
        with Debugger(database=file) as debugger:
            post(debugger.server, batch(track("a"), track(event="Else"), track("a")))
            gauges = LibratoConfig("ada@example.com", "token", debugger.host)
            with Client(None, gauges=gauges) as client:
                client.configure_gauge("Else", period=10, summarize="sum")
            before = [get(debugger, path) for path in paths]
        assert before[-1][0]["display"]["period"] == 10

        with Debugger(database=file) as debugger:
            assert [get(debugger, path) for path in paths] == before
            post(debugger.server, batch(track()))
            assert events(debugger)[0]["id"] == 4
            assert get(debugger, "/requests")["requests"][0]["id"] == 3

    def test_ids_go_on_after_everything_was_cleared(self, file: Path) -> None:
        with Debugger(database=file) as debugger:
            post(debugger.server, batch(track(), track()))
            ask(debugger, "/events", method="DELETE")
        with Debugger(database=file) as debugger:
            post(debugger.server, batch(track()))
            assert [event["id"] for event in events(debugger)] == [3]

    def test_the_file_is_for_its_owner_only(self, file: Path) -> None:
        Debugger(database=file).close()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_memory_is_the_name_of_a_file_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for count in (1, 2):
            with Debugger(database=Path(":memory:")) as debugger:
                post(debugger.server, batch(track()))
                assert get(debugger, "/events")["kept"] == count

    def test_closing_leaves_one_file_and_the_number_of_events(self, file: Path) -> None:
        debugger = Debugger(database=file)
        post(debugger.server, batch(track()))

        assert debugger.close() == debugger.close() == 1
        assert [path.name for path in file.parent.iterdir()] == [file.name]


class TestWhatCannotBeUsed:
    @pytest.mark.parametrize("content", [b"text\n" * 1000, b"SQLite format 3\0" + b"x" * 5000])
    def test_another_kind_of_file_stays_as_it_is(self, file: Path, content: bytes) -> None:
        file.write_bytes(content)
        with pytest.raises(JournalError, match=r"events\.db: not a journal of the debugger$"):
            Debugger(database=file)
        assert file.read_bytes() == content

    @pytest.mark.parametrize(
        "damage, text",
        [
            (
                "PRAGMA user_version = 7",
                "written by another version of the debugger: choose another file",
            ),
            ("DROP TABLE events", "the journal cannot be read: no such table: events"),
            ("DROP TABLE requests", "the journal cannot be read: no such table: requests"),
        ],
    )
    def test_a_journal_that_is_not_as_ours_is_named_with_the_reason(
        self, file: Path, damage: str, text: str
    ) -> None:
        Debugger(database=file).close()
        with closing(sqlite3.connect(file)) as database:
            database.execute(damage)
            database.commit()
        for _ in range(2):  # nor is it left open
            with pytest.raises(JournalError, match=rf"events\.db: {text}$"):
                Debugger(database=file)

    def test_another_kind_of_database_stays_as_it_is(self, file: Path) -> None:
        with sqlite3.connect(file) as database:
            database.execute("CREATE TABLE events (id)")
        database.close()
        content = file.read_bytes()
        with pytest.raises(JournalError, match="not a journal"):
            Debugger(database=file)
        assert file.read_bytes() == content

    def test_a_file_in_use_is_refused(self, file: Path) -> None:
        with (
            Debugger(database=file),
            pytest.raises(JournalError, match=r"events\.db: another debugger uses it$"),
        ):
            Debugger(database=file)

    def test_a_file_that_cannot_be_written_is_named_with_the_reason(self, file: Path) -> None:
        (file.parent / f"{file.name}-journal").mkdir()
        with pytest.raises(JournalError, match=r"events\.db: unable to open database file$"):
            Debugger(database=file)

    def test_a_folder_that_is_not_there(self, file: Path) -> None:
        with pytest.raises(JournalError, match="No such file or directory"):
            Debugger(database=file / "x.db")

    def test_a_port_that_is_taken_leaves_no_journal_open(self, file: Path) -> None:
        with Debugger() as other:
            with pytest.raises(OSError, match="in use"):
                Debugger(other.server.port, database=file)
            Debugger(database=file).close()

    def test_a_full_disk_costs_clients_nothing(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with Debugger(database=file) as debugger:
            pages = debugger.journal.select("PRAGMA page_count")[0][0]
            debugger.journal.select(f"PRAGMA max_page_count = {pages + 5}")
            for _ in range(10):
                message = track(properties={"x": "y" * 10_000})
                assert post(debugger.server, batch(message))[0] == 200

            found = get(debugger, "/events")
            assert 0 < found["kept"] == len(found["events"]) < 10
            assert [one["id"] for one in found["events"]] == [*range(found["kept"], 0, -1)]
            assert ask(debugger, "/events", b'{"type": "x", "y": "%b"}' % (b"z" * 50_000)).json == {
                "code": "error",
                "message": "the journal cannot be written: database or disk is full "
                "(0 events were imported before)",
            }
        assert (
            capsys.readouterr().err == "the journal cannot be written: database or disk is full; "
            "clients are answered, but the page misses their requests\n"
        )

    def test_a_disk_that_is_full_in_between_costs_clients_nothing(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with Debugger() as debugger:
            slow = debugger.server.respond(200, delay=60)
            sender = in_background(debugger.server, track("a"))
            assert debugger.server.wait_until(lambda: slow.waiting == 1)
            debugger.journal.select("PRAGMA query_only = ON")
            debugger.server.withdraw(slow)
            sender.join()
            for _ in range(3):
                assert post(debugger.server, batch(track()))[0] == 200
            debugger.journal.select("PRAGMA query_only = OFF")
            assert post(debugger.server, batch(track()))[0] == 200
            assert get(debugger, "/events")["kept"] == 2
            debugger.journal.select("PRAGMA query_only = ON")
            assert post(debugger.server, batch(track()))[0] == 200

        complaint = (
            "the journal cannot be written: attempt to write a readonly database; "
            "clients are answered, but the page misses their requests\n"
        )
        assert capsys.readouterr().err == complaint * 2  # each time it begins

    def test_what_cannot_be_kept_leaves_no_gap(self) -> None:
        event, _ = outline(track(), 0, "accepted", "")
        journal = Journal()
        too_large = Measured("g", "s", 0, 2**64, 0, is_direct=True)
        with pytest.raises(OverflowError):
            journal.add(None, [event] * 3, [too_large])

        _, ids = journal.add(None, [event], [])
        assert (ids, journal.state.events, journal.state.oldest) == ([1], 1, 1)
        journal.close()

    def test_a_journal_that_cannot_be_read_says_so(self) -> None:
        with Debugger() as debugger:
            debugger.journal.close()
            answer = ask(debugger, "/events")
            assert answer.status == 500
            assert answer.json["message"].startswith("the journal cannot be read: ")


class TestLimits:
    def test_the_newest_of_each_are_kept(self) -> None:
        with Debugger(limits=Limits(events=20, requests=5, measurements=10)) as debugger:
            for number in range(40):
                post(debugger.server, batch(track(event=f"e{number}")))

            found = get(debugger, "/events")
            assert 20 <= found["kept"] <= 21
            assert [event["id"] for event in found["events"]] == [
                *range(40, 40 - found["kept"], -1)
            ]
            assert get(debugger, "/requests")["kept"] == 5
            assert len(get(debugger, "/gauges")) == 10
            assert get(debugger, "/events/40")["request"]["id"] == 40
            assert get(debugger, "/events/30")["request"] is None
            assert ask(debugger, "/events/19").status == 404
            payloads = debugger.journal.select("SELECT count(*) FROM payloads")[0][0]
            assert payloads == found["kept"]

    def test_matches_that_are_gone_count_no_more(self) -> None:
        with Debugger(limits=Limits(events=20)) as debugger:
            post(debugger.server, batch(*[track(event="old")] * 15))
            assert get(debugger, "/events", event="old")["matching"] == 15
            post(debugger.server, batch(*[track(event="new")] * 15))
            assert get(debugger, "/events", event="old")["matching"] == 5

    def test_large_messages_give_way_sooner(self, file: Path) -> None:
        large = track(properties={"x": "y" * 10_000})
        for expected in (6, 8):  # a restart knows the sizes, too
            with Debugger(database=file, limits=Limits(bytes=85_000)) as debugger:
                for _ in range(6):
                    post(debugger.server, batch(large))
                found = get(debugger, "/events")
                assert found["kept"] == len(found["events"]) == expected
        with Debugger(limits=Limits(bytes=85_000)) as debugger:
            post(debugger.server, batch(*[track(properties={"x": "y" * 50_000})] * 4))
            assert get(debugger, "/events")["kept"] == 1

    def test_the_server_itself_keeps_little(self) -> None:
        with Debugger() as debugger:
            post(debugger.server, batch(*[track()] * 1500))

            assert get(debugger, "/events")["kept"] == 1500
            assert len(debugger.server.messages) == 1000
            (request,) = debugger.server.requests
            assert (request.status, request.messages) == (200, ())

    def test_of_a_request_with_too_many_messages_the_first_are_events(self) -> None:
        with Debugger() as debugger:
            post(debugger.server, batch(*[track(number=number) for number in range(2_600)]))
            post(debugger.server, b'{"batch": [%b{}]}' % (b"{}," * 2_600))

            assert get(debugger, "/events", verdict="dropped")["matching"] == 2_500
            assert get(debugger, "/events", verdict="rejected")["matching"] == 2_500
            assert get(debugger, "/events/2500")["message"]["number"] == 2_499
            assert [one["messages"] for one in get(debugger, "/requests")["requests"]] == [
                2_500,
                2_600,
            ]

    def test_long_texts_are_cut(self) -> None:
        with Debugger() as debugger:
            post(debugger.server, b"", path="/" + "x" * 60_000)
            line = {"receivedAt": "2026-11-28", "verdict": "dropped", "reason": "y" * 60_000}
            ask(debugger, "/events", {**line, "message": {"type": "z" * 60_000}})

            assert get(debugger, "/requests")["requests"][0]["path"] == "/" + "x" * 999
            (event,) = events(debugger)
            assert (event["reason"], event["type"]) == ("y" * 1_000, "z" * 1_000)

    def test_of_the_message_ids_the_newest_are_remembered(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "LIMITED_IDS", 10)
        with Debugger() as debugger:
            for number in [*range(11), 1, 0]:
                post(debugger.server, batch(track(str(number))))

            assert [event["verdict"] for event in events(debugger)[:2]] == ["accepted", "duplicate"]

    def test_a_journal_may_be_closed_twice(self) -> None:
        journal = Journal()
        journal.close()
        journal.close()
