"""The table counts what a dict would count, in memory that does not grow."""

from __future__ import annotations

import errno
import os
import random
import tempfile
from collections import Counter, deque
from typing import TYPE_CHECKING

import pytest
from support.disk import failing

from segment_librato.bulk import occurrences as module
from segment_librato.bulk.importer import Importer
from segment_librato.bulk.occurrences import Occurrences
from segment_librato.bulk.rules import RowRules

if TYPE_CHECKING:
    import mmap

    from segment_librato.devserver import LocalSegment


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_BITS", 3)
    monkeypatch.setattr(module, "MAX_BITS_IN_MEMORY", 5)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("bits", [4, 16, 56])
def test_it_counts_as_a_dict_does(bits: int) -> None:
    chance = random.Random(bits)  # noqa: S311  the same each time
    table, expected = Occurrences(), Counter[int]()
    for _ in range(20_000):
        number = chance.getrandbits(bits)
        expected[number] += 1
        digest = (number << 56 - bits).to_bytes(7, "big") + b"more"
        assert table.add(digest) == expected[number]
    assert table.distinct == len(expected)
    table.close()


@pytest.mark.usefixtures("small")
def test_digests_that_share_their_place_are_told_apart() -> None:
    """The last slots of the table are taken, and the first ones come next."""
    table = Occurrences()
    digests = [(2**56 - 1 - number).to_bytes(7, "big") for number in range(100)]
    assert [table.add(one) for one in digests * 2] == [1] * 100 + [2] * 100
    table.close()


def test_it_is_on_disk_as_soon_as_it_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[mmap.mmap] = []
    monkeypatch.setattr(module, "FIRST_BITS", 3)
    monkeypatch.setattr(module, "MAX_BITS_IN_MEMORY", 5)
    original = module._map_file  # noqa: SLF001  there is no other way to see it

    def remember(size: int) -> mmap.mmap:
        made.append(original(size))
        return made[-1]

    monkeypatch.setattr(module, "_map_file", remember)
    table = Occurrences()
    for number in range(200):
        table.add(number.to_bytes(7, "big"))
    table.close()
    assert len(made) == 4  # of 64, 128, 256 and 512 slots
    assert all(one.closed for one in made)


def fail_to_reserve(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(os, "posix_fallocate", failing(code))


@pytest.mark.usefixtures("small")
def test_a_full_disk_is_an_error_and_no_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_to_reserve(monkeypatch, errno.ENOSPC)
    table = Occurrences()
    with pytest.raises(OSError, match="No space left on device; set TMPDIR to") as caught:
        deque(table.add(number.to_bytes(7, "big")) for number in range(200))
    assert caught.value.filename == tempfile.gettempdir()


@pytest.mark.usefixtures("small")
def test_which_ends_an_import(monkeypatch: pytest.MonkeyPatch, server: LocalSegment) -> None:
    fail_to_reserve(monkeypatch, errno.ENOSPC)
    row = {"userId": "ada", "event": "E", "timestamp": "2026-03-01"}
    rows = ({**row, "properties": {"n": n}} for n in range(200))
    with (
        pytest.raises(OSError, match="No space left on device"),
        Importer("key", rules=RowRules(), host=server.host) as importer,
    ):
        deque(importer.settle(rows))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("code", [None, errno.EINVAL, errno.EOPNOTSUPP])
def test_a_system_that_reserves_nothing_has_one_as_well(
    code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does NFS, or ZFS, where glibc does not help."""
    if code is None:
        monkeypatch.delattr(os, "posix_fallocate")
    else:
        fail_to_reserve(monkeypatch, code)
    table = Occurrences()
    assert [table.add(number.to_bytes(7, "big")) for number in range(200)] == [1] * 200
    table.close()
