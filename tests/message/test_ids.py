"""The ids of messages: UUIDs, each given once, in all threads and all processes."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from support.marks import needs_fork
from support.script import run

from segment_librato.message import ids as message_ids
from segment_librato.message.build import build
from segment_librato.message.ids import new_id

if TYPE_CHECKING:
    import pytest

    from segment_librato.devserver import LocalSegment

STOCK = 256  # ids that differ in their last two digits only


def new_ids(count: int) -> list[str]:
    return [new_id() for _ in range(count)]


def prefixes(ids: list[str]) -> set[str]:
    return {one[:-2] for one in ids}


def test_every_id_is_a_random_uuid_in_its_usual_form() -> None:
    for text in new_ids(10 * STOCK):
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)
        assert str(parsed) == text


def test_a_stock_that_is_used_up_is_renewed_with_other_ids() -> None:
    ids = new_ids(20 * STOCK)
    assert len(set(ids)) == len(ids)
    assert 20 <= len(prefixes(ids)) <= 21


def test_all_digits_that_may_be_random_are() -> None:
    # of 600, each of the 16 is in each place: that one is missing has a chance of 1 in 10 ** 14
    digits = list(zip(*prefixes(new_ids(600 * STOCK)), strict=True))
    fixed = {place for place, found in enumerate(digits) if len(set(found)) == 1}
    assert fixed == {8, 13, 14, 18, 19, 23}  # the hyphens, the version and the variant
    assert all(len(set(digits[place])) == 16 for place in set(range(len(digits))) - fixed)


def test_threads_get_different_ids() -> None:
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(new_ids, [12_500] * 8))
    assert len(set().union(*parts)) == 100_000


def test_copies_of_a_machine_differ_from_the_next_second_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They have the same stock, and perhaps get the same random bytes."""
    monkeypatch.setattr("segment_librato.message.ids.os.urandom", bytes)
    new_id()
    stock = message_ids._ids._stock  # noqa: SLF001  what a snapshot has in it
    assert len(stock) > 5

    def ids_of_copy(now: float) -> set[str]:
        monkeypatch.setattr(message_ids._ids, "_stock", stock.copy())  # noqa: SLF001
        return {
            build("track", "u", None, None, None, None, None, now=now)["messageId"]
            for _ in range(5)
        }

    snapshot_at = 1_700_000_000.0
    ids_of_copy(snapshot_at)
    assert ids_of_copy(snapshot_at) == ids_of_copy(snapshot_at)
    first, second = ids_of_copy(snapshot_at + 1), ids_of_copy(snapshot_at + 2)
    assert len(first | second | set(stock)) == 10 + len(stock)


@needs_fork
def test_parents_and_children_get_different_ids(server: LocalSegment) -> None:
    """Eight processes, each of which has ids left when it forks, use more than these."""
    output = run(
        server,
        """
        from segment_librato.message.ids import new_id

        def ids_of_family(children):
            ids = [new_id()]
            for younger_siblings in range(children):
                reader, writer = os.pipe()
                child = os.fork()
                if child == 0:
                    with open(writer, "w") as pipe:
                        print(*ids_of_family(younger_siblings), file=pipe)
                    os._exit(0)
                os.close(writer)
                ids += [new_id() for _ in range(100)]
                with open(reader) as pipe:
                    ids += pipe.read().split()
                assert os.waitpid(child, 0)[1] == 0
            return ids + [new_id() for _ in range(300)]

        ids = ids_of_family(3)
        print(len(ids), len(set(ids)))
        """,
    )
    assert output == "3108 3108\n"  # a first and 300 last of each of 8, 100 beside each of 7


@needs_fork
def test_a_fork_while_a_stock_is_made_gives_different_ids(server: LocalSegment) -> None:
    output = run(
        server,
        """
        from segment_librato.message import ids as message_ids

        random_bytes = os.urandom
        reader, writer = os.pipe()
        children = []

        def fork_and_go_on(size):  # as a signal handler may
            bits = random_bytes(size)
            if not children:
                children.append(os.fork())
            return bits

        message_ids.os.urandom = fork_and_go_on
        ids = [message_ids.new_id() for _ in range(300)]
        if children == [0]:
            with open(writer, "w") as pipe:
                print(*ids, file=pipe)
            os._exit(0)
        os.close(writer)
        with open(reader) as pipe:
            ids += pipe.read().split()
        assert os.waitpid(children[0], 0)[1] == 0
        print(len(ids), len(set(ids)))
        """,
    )
    assert output == "600 600\n"


def test_no_id_takes_the_import_of_uuid(server: LocalSegment) -> None:
    """It takes 5 ms. The package `orjson`, which is hidden here, needs it all the same."""
    output = run(
        server,
        """
        client = make()
        accepted, message = client.track("user", "event")
        print(client.flush(timeout=20), len(message["messageId"]))
        """,
        before_import="""
            import sys
            sys.modules["orjson"] = sys.modules["uuid"] = None  # so that their import fails
        """,
    )
    assert output == "True 36\n"
    assert len(server.messages) == 1
