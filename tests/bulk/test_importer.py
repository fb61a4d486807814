"""Each row comes to one outcome, and no more rows are read than fit in the requests under way."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.script import sequence_numbers

from segment_librato import APIError, ConfigError, ImportStoppedError, ShutdownTimeoutError
from segment_librato.bulk import importer as module
from segment_librato.bulk import options
from segment_librato.bulk.allowance import Allowance
from segment_librato.bulk.chunk import Chunk
from segment_librato.bulk.delivery import ChunkSender
from segment_librato.bulk.importer import Importer
from segment_librato.bulk.outcomes import Settled
from segment_librato.bulk.rows import RowEncoder
from segment_librato.bulk.rules import RowRules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from segment_librato.bulk.outcomes import Outcome
    from segment_librato.devserver import LocalSegment, Request

    MakeImporter = Callable[..., Importer]

AT = "2024-03-05T12:13:14.567Z"
NEVER = {"max_retries": 0}


@pytest.fixture
def make_importer(server: LocalSegment) -> Iterator[MakeImporter]:
    made: list[Importer] = []

    def make(**others: Any) -> Importer:
        rules = others.pop("rules", RowRules(key=["properties.n"]))
        made.append(Importer("test-key", **{"host": server.host, "rules": rules, **others}))
        return made[-1]

    yield make
    server.release()
    for importer in made:
        importer.close()
    assert not import_threads()


def import_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("segment-import")]


def row(number: int, **properties: Any) -> dict[str, Any]:
    properties["n"] = number
    return {"userId": "ada", "event": "Imported", "timestamp": AT, "properties": properties}


def rows(count: int, first: int = 1) -> Iterator[dict[str, Any]]:
    return map(row, range(first, first + count))


def collect(
    results: Iterable[Settled], found: list[Outcome], then: Callable[[], object] = list
) -> None:
    """Collect outcomes; each has its number."""
    for settled in results:
        numbers = [outcome.number for outcome in settled.outcomes]
        assert numbers == [*range(settled.first, settled.first + len(numbers))]
        found += settled.outcomes
        then()


def outcomes_of(importer: Importer, some_rows: Iterable[object]) -> list[Outcome]:
    """Return the outcomes in the order of the rows."""
    found: list[Outcome] = []
    collect(importer.settle(some_rows), found)
    return sorted(found, key=lambda outcome: outcome.number)


def release_when_held(server: LocalSegment, count: int) -> None:
    assert server.wait_until(lambda: server.held == count)
    server.release()


def has(*numbers: int) -> Callable[[Request], bool]:
    return lambda request: any(one["properties"]["n"] in numbers for one in request.messages)


def test_each_row_arrives_once_and_has_its_outcome(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    outcomes = outcomes_of(make_importer(), rows(10_000))
    assert [one.number for one in outcomes] == [*range(1, 10_001)]
    assert {(one.outcome, one.status, one.reason) for one in outcomes} == {
        ("delivered", None, None)
    }
    assert {one.row for one in outcomes} == {None}
    assert sorted(sequence_numbers(server)) == [*range(1, 10_001)]
    assert {one["messageId"] for one in server.messages} == {one.message_id for one in outcomes}
    assert (server.duplicates, server.dropped) == (0, [])


def test_requests_are_as_large_as_the_api_takes(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    outcomes_of(make_importer(), rows(5_000))
    *full, last = sorted(server.requests, key=lambda one: -one.raw_size)
    assert all(499_000 < one.raw_size <= 500_000 for one in full)
    assert last.raw_size < 500_000


def test_a_request_has_as_many_rows_as_the_api_takes(
    server: LocalSegment, make_importer: MakeImporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "MAX_BATCH_MESSAGES", 100)
    outcomes_of(make_importer(concurrency=1), rows(201))
    assert [one.batch_size for one in server.requests] == [100, 100, 1]


def test_rows_that_cannot_be_messages_are_rejected_where_they_are(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    some = [row(1), {"userId": "ada"}, 5, row(4), {**row(5), "timestamp": None}]
    outcomes = outcomes_of(make_importer(), some)
    assert [one.outcome for one in outcomes] == [
        *("delivered", "rejected", "rejected", "delivered", "rejected")
    ]
    assert [one.row for one in outcomes] == [None, some[1], 5, None, some[4]]
    assert outcomes[2].reason == "row: expected a dict, got int"
    assert [one.message_id is None for one in outcomes] == [False, True, True, False, True]
    assert sorted(sequence_numbers(server)) == [1, 4]


def test_rows_of_which_none_is_a_message_are_settled_without_a_request(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    outcomes = outcomes_of(make_importer(), [None] * 6_000)
    assert [one.number for one in outcomes] == [*range(1, 6_001)]
    assert server.requests == []


def test_few_rows_are_held_if_they_are_large_and_rejected(make_importer: MakeImporter) -> None:
    large = {"userId": "ada", "properties": {"text": "x" * 600_000}}
    settled = [*make_importer().settle([large] * 10)]
    assert [len(one.outcomes) for one in settled] == [1] * 10


def test_nor_are_many_that_are_large_in_another_way(make_importer: MakeImporter) -> None:
    many = {"userId": "ada", "properties": {"values": [0.5] * 20_000}}
    settled = [*make_importer().settle([many] * 3)]
    assert [len(one.outcomes) for one in settled] == [1] * 3


def test_few_rows_are_held_if_much_of_them_is_not_sent(
    server: LocalSegment, make_importer: MakeImporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_KEPT_BYTES", 20_000)
    archived = [{**one, "_metadata": {"text": "x" * 10_000}} for one in rows(6)]
    outcomes_of(make_importer(concurrency=1), archived)
    assert [one.batch_size for one in server.requests] == [2, 2, 2]


@pytest.mark.once
@pytest.mark.parametrize("status", [400, 413])
def test_rows_that_the_server_rejects_are_found_and_cost_only_themselves(
    status: int, server: LocalSegment, make_importer: MakeImporter
) -> None:
    importer = make_importer()
    outcomes_of(importer, rows(1))
    bad = {2, 3, 500, 1_001}
    body = b'{"code": "bad", "message": "value: not a number"}'
    for number in bad:
        server.respond(status, times=None, when=has(number), body=body)
    some = [*rows(499, 2), None, *rows(501, 501)]
    outcomes = outcomes_of(importer, some)
    rejected = [one for one in outcomes if one.outcome == "rejected"]
    assert [one.number for one in rejected] == [2, 3, 500, 501, 1_002]
    for one in rejected:
        is_ours = one.number == 501
        assert one.status == (None if is_ours else status)
        assert one.reason == (
            "row: expected a dict, got NoneType" if is_ours else "value: not a number"
        )
        assert (one.message_id is None) == is_ours
    assert sorted(sequence_numbers(server)) == sorted({*range(1, 1_002)} - bad)
    assert server.duplicates == 0


@pytest.mark.once
def test_the_server_may_reject_any_number_of_rows_in_a_row_if_it_accepts_others(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    importer = make_importer()
    outcomes_of(importer, rows(1))
    for number in range(2, 202):
        server.respond(400, times=None, when=has(number))
    outcomes = outcomes_of(importer, rows(300, 2))
    assert [one.outcome for one in outcomes] == ["rejected"] * 200 + ["delivered"] * 100


@pytest.mark.once
def test_a_server_that_rejects_everything_rejects_no_row(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    server.respond(400, times=None)
    text = "answered 400 to every request; if the rows are to blame, remove them, or allow them"
    with pytest.raises(ImportStoppedError, match=text) as caught:
        outcomes_of(make_importer(), rows(300))
    assert caught.value.unsettled == 300


@pytest.mark.once
def test_nor_if_it_rejects_the_rows_of_several_requests_at_once(
    server: LocalSegment, make_importer: MakeImporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "MAX_BATCH_MESSAGES", 100)
    server.respond(400, times=None, delay=0.001)
    found: list[Outcome] = []
    with pytest.raises(ImportStoppedError, match="answered 400 to every request"):
        collect(make_importer(concurrency=4).settle(rows(400)), found)
    assert found == []


@pytest.mark.once
@pytest.mark.parametrize(
    "content_type, body, what",
    [
        ("text/html", b"<p>Welcome", "a web page"),
        ("application/json", b'{"success": false}', "success: false"),
    ],
)
def test_not_every_success_proves_that_anything_arrived(
    content_type: str, body: bytes, what: str, server: LocalSegment, make_importer: MakeImporter
) -> None:
    server.respond(200, body=body, headers={"Content-Type": content_type}, times=None)
    text = f"127.0.0.1:{server.port} answered 200 with {what}; check `host`"
    with pytest.raises(ImportStoppedError, match=text) as caught:
        outcomes_of(make_importer(), rows(3))
    assert caught.value.unsettled == 3


@pytest.mark.once
@pytest.mark.parametrize("status", [400, 413])
def test_nor_does_one_that_begins_to(
    status: int, server: LocalSegment, make_importer: MakeImporter
) -> None:
    """As a gateway may in the night, when much has arrived."""
    importer = make_importer(concurrency=1)
    outcomes_of(importer, rows(1))
    server.respond(status, times=None)
    found: list[Outcome] = []
    text = f"answered {status} to the last 100 rows, each by itself"
    with pytest.raises(ImportStoppedError, match=text) as caught:
        collect(importer.settle([*rows(100, 2), None]), found)
    assert (found, caught.value.unsettled) == ([], 101)
    assert len(server.requests) == 200


@pytest.mark.once
def test_nor_does_one_whose_requests_are_small(
    server: LocalSegment, make_importer: MakeImporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a low rate, or with large rows: no more is lost than by one large request."""
    monkeypatch.setattr(options, "MAX_BATCH_MESSAGES", 10)
    importer = make_importer(concurrency=1)
    outcomes_of(importer, rows(30))
    server.respond(400, times=None)
    found: list[Outcome] = []
    with pytest.raises(ImportStoppedError, match="answered 400 to the last 70 rows") as caught:
        collect(importer.settle(rows(200, 31)), found)
    assert {one.status for one in found} == {400}
    assert len(found) == 60
    assert caught.value.unsettled >= 10


@pytest.mark.once
def test_rows_that_are_accepted_in_between_count(
    server: LocalSegment, make_importer: MakeImporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "MAX_BATCH_MESSAGES", 10)
    server.respond(
        400,
        times=None,
        when=lambda request: any(one["properties"]["n"] % 10 for one in request.messages),
    )
    outcomes = outcomes_of(make_importer(concurrency=1), rows(200))
    assert sum(one.outcome == "rejected" for one in outcomes) == 180


def test_unless_it_may(server: LocalSegment, make_importer: MakeImporter) -> None:
    importer = make_importer(concurrency=1, allowance=Allowance(100))
    outcomes_of(importer, rows(1))
    server.respond(400, times=None)
    assert {one.status for one in outcomes_of(importer, rows(100, 2))} == {400}


@pytest.mark.once
@pytest.mark.parametrize("allowed", ["100", "1%"])
def test_or_may_begin_so(allowed: str, server: LocalSegment, make_importer: MakeImporter) -> None:
    server.respond(400, times=None, when=has(*range(1, 101)))
    importer = make_importer(allowance=Allowance.read(allowed))
    outcomes = outcomes_of(importer, rows(200))
    assert [one.number for one in outcomes if one.outcome == "rejected"] == [*range(1, 101)]


@pytest.mark.once
def test_but_no_row_is_rejected_if_more_are_than_may(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    server.respond(400, times=None)
    importer = make_importer(allowance=Allowance(100))
    with pytest.raises(ImportStoppedError, match="answered 400 to every request") as caught:
        outcomes_of(importer, rows(300))
    assert caught.value.unsettled == 300


def test_what_fails_for_a_while_is_tried_again(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    server.respond(503, times=2)
    server.respond(None, times=1)
    server.respond(500, accept=True, times=1)  # it has arrived all the same
    assert len(outcomes_of(make_importer(), rows(3_000))) == 3_000
    assert sorted(sequence_numbers(server)) == [*range(1, 3_001)]
    assert server.duplicates > 0  # the same ids: Segment drops them


def test_what_is_neither_delivered_nor_rejected_raises(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    server.respond(401, times=None, when=has(1))
    importer = make_importer()
    found: list[Outcome] = []
    with pytest.raises(ImportStoppedError) as caught:
        collect(importer.settle([None, *rows(9_999)]), found)
    assert isinstance(caught.value.error, APIError)
    assert caught.value.error.status == 401
    assert "check `write_key`" in str(caught.value)
    delivered = [one for one in found if one.outcome == "delivered"]
    assert len(delivered) == len(server.messages)
    rejected = [one.number for one in found if one.outcome == "rejected"]
    assert rejected == [1]  # it comes before those without outcome
    assert 1 not in sequence_numbers(server)
    with pytest.raises(ImportStoppedError):
        outcomes_of(importer, rows(1))


def test_the_rows_without_an_outcome_are_counted(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    server.respond(500, times=None)
    with pytest.raises(ImportStoppedError) as caught:
        outcomes_of(make_importer(**NEVER), [None, *rows(99)])
    assert caught.value.unsettled == 99


def test_tries_end_in_time(server: LocalSegment, make_importer: MakeImporter) -> None:
    server.respond(429, headers={"Retry-After": "60"}, times=None)
    with pytest.raises(ImportStoppedError, match="429"):
        outcomes_of(make_importer(retry_for=30), rows(1))
    assert len(server.requests) == 1


@pytest.mark.once
def test_no_more_rows_are_read_than_fit_in_the_requests_under_way(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    read = 0

    def count_rows() -> Iterator[dict[str, Any]]:
        nonlocal read
        for one in rows(40_000):
            read += 1
            yield one

    importer = make_importer(concurrency=3)
    ahead = []
    settled = 0
    server.hold()
    releasing = threading.Thread(target=release_when_held, args=(server, 3))
    releasing.start()
    for one in importer.settle(count_rows()):
        ahead.append(read - settled)
        settled += len(one.outcomes)
    releasing.join()
    assert settled == 40_000
    assert max(ahead) <= 4 * 2_500 + 1


def test_all_requests_are_under_way_at_once(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    importer = make_importer(concurrency=5)
    server.hold()
    releasing = threading.Thread(target=release_when_held, args=(server, 5))
    releasing.start()
    results = importer.settle(rows(40_000))
    next(results)
    releasing.join()
    assert len(import_threads()) == 5
    results.close()
    assert import_threads() == []


def test_it_may_be_called_again_and_numbers_go_on(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    importer = make_importer()
    for first in (1, 4, 7):
        outcomes = outcomes_of(importer, rows(3, first))
        assert [one.number for one in outcomes] == [*range(first, first + 3)]
    assert sequence_numbers(server) == [*range(1, 10)]
    assert len(import_threads()) == 1
    assert len({request.client_address for request in server.requests}) == 1


def test_the_rows_that_were_read_before_an_error_have_their_outcome(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    def fail() -> Iterator[dict[str, Any]]:
        yield from rows(3_000)
        raise OSError("the disk is gone")

    importer = make_importer()
    found: list[Outcome] = []
    with pytest.raises(OSError, match="the disk is gone"):
        collect(importer.settle(fail()), found)
    assert len(found) == len(server.messages) == 3_000
    assert len(outcomes_of(importer, rows(1, 3_001))) == 1


def test_so_have_those_before_one_that_memory_is_too_small_for(
    server: LocalSegment, make_importer: MakeImporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = RowEncoder.take

    def fail(encoder: RowEncoder, one: Any) -> Any:
        if one["properties"]["n"] == 3:
            raise MemoryError
        return take(encoder, one)

    monkeypatch.setattr(RowEncoder, "take", fail)
    with pytest.raises(MemoryError):
        outcomes_of(make_importer(), rows(10))
    assert sequence_numbers(server) == [1, 2]


def test_ctrl_c_while_rows_are_read_is_raised_at_once_and_nothing_is_left_running(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    def interrupt() -> Iterator[dict[str, Any]]:
        yield from rows(100)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outcomes_of(make_importer(), interrupt())
    assert import_threads() == []
    assert server.requests == []


def test_leaving_early_waits_for_the_requests_under_way_and_no_longer(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    server.respond(503, headers={"Retry-After": "300"}, times=None, when=has(2_501))
    importer = make_importer(concurrency=2)
    for _ in importer.settle(rows(1_000_000)):
        break  # the generator is closed here
    assert import_threads() == []
    assert server.held == 0
    with pytest.raises(ImportStoppedError):
        outcomes_of(importer, rows(1))


def test_a_stop_lets_the_requests_under_way_end(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    importer = make_importer(concurrency=2)
    found: list[Outcome] = []
    with pytest.raises(ImportStoppedError) as caught:
        collect(importer.settle(rows(1_000_000)), found, importer.stop)
    assert isinstance(caught.value.error, ShutdownTimeoutError)
    assert len(found) == len(server.messages)
    assert caught.value.unsettled <= 5_000
    assert str(caught.value).startswith("the import stopped: on request; ")


def test_every_row_that_was_read_has_an_outcome_or_is_counted(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    """Also the one that did not fit in the last request."""
    read = 0

    def count_rows() -> Iterator[dict[str, Any]]:
        nonlocal read
        for one in rows(100_000):
            read += 1
            yield one

    importer = make_importer(concurrency=1)
    first = outcomes_of(importer, rows(10))
    server.respond(403, times=None)
    with pytest.raises(ImportStoppedError) as caught:
        outcomes_of(importer, count_rows())
    assert len(first) == 10
    assert caught.value.unsettled == read > 1_000


def test_a_row_that_is_lost_on_its_way_is_told(
    server: LocalSegment, make_importer: MakeImporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = Chunk.outcome

    def forget_one(chunk: Chunk) -> Settled:
        first, outcomes = outcome(chunk)
        return Settled(first, outcomes[:-1])

    monkeypatch.setattr(Chunk, "outcome", forget_one)
    with pytest.raises(
        ImportStoppedError, match="some rows have no outcome: this is a bug"
    ) as caught:
        outcomes_of(make_importer(), rows(3))
    assert caught.value.unsettled == 1


def test_a_crash_on_a_thread_ends_the_import(
    make_importer: MakeImporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(ChunkSender, "deliver", crash)
    with pytest.raises(ImportStoppedError, match="interrupted by SystemExit") as caught:
        outcomes_of(make_importer(), rows(10))
    assert caught.value.unsettled == 10


def test_rows_of_an_earlier_run_are_counted_for_the_ids_of_equal_ones(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    whole = make_importer(rules=RowRules())
    equal = [row(1)] * 3
    ids = [one.message_id for one in outcomes_of(whole, equal)]
    assert len({*ids}) == 3
    assert whole.tells_equal_rows_apart
    resumed = make_importer(rules=RowRules())
    for one in (equal[0], None, {"event": "no timestamp"}, equal[1]):
        resumed.count(one)
    (last,) = outcomes_of(resumed, equal[2:])
    assert (last.number, last.message_id) == (1, ids[2])
    assert server.duplicates == 1


def test_with_a_key_nothing_is_counted(make_importer: MakeImporter) -> None:
    importer = make_importer()
    importer.count(row(1))
    assert not importer.tells_equal_rows_apart


def test_requests_hold_no_more_than_the_rate_allows_in_a_second(
    server: LocalSegment, make_importer: MakeImporter
) -> None:
    outcomes_of(make_importer(rate=1_000), rows(1_001))
    assert sorted(one.batch_size for one in server.requests) == [1, 1_000]


def test_requests_can_be_compressed(server: LocalSegment, make_importer: MakeImporter) -> None:
    outcomes_of(make_importer(gzip=True), rows(100))
    assert [one.headers["Content-Encoding"] for one in server.requests] == ["gzip"]


@pytest.mark.parametrize(
    "others, text",
    [
        ({"concurrency": 0}, "concurrency: expected at least 1, got 0"),
        ({"concurrency": 17}, "concurrency: expected at most 16, got 17"),
        ({"rate": 0}, "rate: expected more than 0 messages a second, got 0"),
        ({"rate": float("nan")}, "rate: expected more than 0 messages a second, got nan"),
        ({"rate": "fast"}, "rate: expected a number of messages a second, or None, got str"),
        ({"retry_for": -1}, "retry_for: expected at least 0 seconds, got -1"),
        ({"max_retries": -1}, "max_retries: expected at least 0, got -1"),
        ({"timeout": 0}, "timeout: expected more than 0 seconds, got 0"),
    ],
)
def test_a_wrong_option_is_named(
    others: dict[str, Any], text: str, make_importer: MakeImporter
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_importer(**others)
    assert str(caught.value) == text


@pytest.mark.parametrize("write_key", ["", None])
def test_a_write_key_is_needed(write_key: Any) -> None:
    with pytest.raises(ConfigError, match="write_key"):
        Importer(write_key, rules=RowRules())
