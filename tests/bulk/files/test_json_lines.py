"""JSON lines: rows, positions, and what is none."""

from __future__ import annotations

from io import BufferedReader, BytesIO
from typing import Any

import pytest

from segment_librato.bulk.files import json_lines, lines
from segment_librato.bulk.files.items import FileError, Gap
from segment_librato.bulk.files.json_lines import check_json_lines, read_json_lines
from segment_librato.bulk.outcomes import Unreadable


def read(data: bytes, gap: Gap | None = None) -> list[Any]:
    gap = gap or Gap()
    stream = BytesIO(data)
    stream.seek(gap.first)
    return [item[:3] for item in read_json_lines(stream, gap, "utf-8")]


def test_each_line_is_a_row_with_its_end_and_number() -> None:
    data = b'{"a": 1}\n\r\n{"a": 2}\r\n  \n{"a": 3}'
    rows = [({"a": 1}, 9, 1), ({"a": 2}, 21, 3), ({"a": 3}, 32, 5)]
    assert read(data) == rows
    assert read(data, Gap(9, 21, 1)) == rows[1:2]
    assert read(data, Gap(9, None, 1)) == rows[1:]
    assert read(data, Gap(32, None, 5)) == []
    assert read(b"") == []


def test_a_bad_line_costs_only_itself() -> None:
    found = read(b'{"a": 1}\n{"a"\n\xff\n[1]\n7\n{"a": 2}\n')
    assert [number for *_, number in found] == [1, 2, 3, 4, 5, 6]
    assert [row for row, *_ in found if not isinstance(row, Unreadable)] == [
        {"a": 1},
        [1],
        7,
        {"a": 2},
    ]
    bad = [row for row, *_ in found if isinstance(row, Unreadable)]
    assert bad == [
        Unreadable("not strict JSON: Expecting ':' delimiter: column 5 (char 4)", '{"a"'),
        Unreadable("not UTF-8; name its encoding with --encoding", "\\xff"),
    ]


def test_a_line_that_is_too_long_is_never_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lines, json_lines):
        monkeypatch.setattr(module, "MAX_ROW_BYTES", 20)
    monkeypatch.setattr(lines, "PIECE", 7)
    data = b'{"a": "%s"}\n{"a": 2}\n' % (b"x" * 100)
    (long, end, number), second = read(data)
    assert long.reason == "the line has more than 1 MiB"
    assert (len(long.text), end, number) == (21, 110, 1)
    assert second == ({"a": 2}, len(data), 2)
    (last,) = read(b"x" * 100)
    assert last[1:] == (100, 1)


@pytest.mark.parametrize("data", [b'[{"a": 1}]', b' \n[\n{"a": 1},\n{"a": 2}\n]\n'])
def test_one_array_is_told(data: bytes) -> None:
    with pytest.raises(FileError, match="it is one JSON array, not an object a line"):
        check_json_lines(BufferedReader(BytesIO(data)))


@pytest.mark.parametrize(
    "data", [b'{\n  "a": 1\n}\n', b' {\r\n"a": {}}', b'{ \n\n\t"a": 1\n}\n{\n\t"a": 2\n}\n']
)
def test_an_object_over_several_lines_is_told(data: bytes) -> None:
    with pytest.raises(FileError, match=r"its objects span several lines, not one each; `jq -c \."):
        check_json_lines(BufferedReader(BytesIO(data)))


@pytest.mark.parametrize("data", [b"", b"{", b'{\n{"a": 1}\n', b'{"a":\n1}', b"{}\n"])
def test_a_line_that_is_none_does_not_tell_of_the_others(data: bytes) -> None:
    check_json_lines(BufferedReader(BytesIO(data)))
