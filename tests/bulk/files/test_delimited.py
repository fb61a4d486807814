"""CSV and TSV: records, their values, and what costs only itself."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment_librato.bulk.files import delimited
from segment_librato.bulk.files.delimited import ReadCell, read_header, read_records, to_value
from segment_librato.bulk.files.items import FileError, Gap
from segment_librato.bulk.outcomes import Unreadable

NO_LINE_FEEDS = "its lines end in carriage returns alone; convert them with tr '\\r' '\\n'"
NOT_SO = "it is probably not utf-8; name its encoding with --encoding"


def read(data: bytes, delimiter: str = ",", cell: ReadCell | None = None) -> list[Any]:
    stream = BytesIO(data)
    columns, body = read_header(stream, delimiter, "utf-8")
    stream.seek(body.first)
    return [*read_records(stream, body, delimiter, columns, cell or ReadCell(), "utf-8")]


def rows(data: bytes, delimiter: str = ",", cell: ReadCell | None = None) -> list[Any]:
    return [item.row for item in read(data, delimiter, cell)]


def test_each_record_is_a_row_with_its_end_and_number() -> None:
    data = b'a,b\r\n1,x\r\n\r\n"2","two\r\nlines, ""quoted"""\r\n3,z'
    assert [item[:3] for item in read(data)] == [
        ({"a": 1, "b": "x"}, 10, 2),
        ({"a": 2, "b": 'two\r\nlines, "quoted"'}, 42, 4),
        ({"a": 3, "b": "z"}, len(data), 6),
    ]


def test_a_gap_is_read_by_itself() -> None:
    data = b'a,b\n1,x\n2,"y\ny"\n3,z\n'
    items = read(data)
    for first, before in enumerate([Gap(4, None, 1), *items[:-1]]):
        begin = before.first if isinstance(before, Gap) else before.end
        for last in range(first, len(items)):
            stream = BytesIO(data)
            stream.seek(begin)
            number = before.number if isinstance(before, Gap) else before.until
            gap = Gap(begin, items[last].end, number)
            found = [*read_records(stream, gap, ",", ["a", "b"], ReadCell(), "utf-8")]
            assert found == items[first : last + 1]


def test_tabs() -> None:
    assert rows(b"a\tb\n1,5\tx\n", "\t") == [{"a": "1,5", "b": "x"}]


@pytest.mark.parametrize(
    "text,value",
    [
        *(("42", 42), ("-5", -5), ("0", 0), ("4.50", 4.5), ("-0.5", -0.5), ("0.0", 0.0)),
        *(("true", True), ("TRUE", True), ("False", False), ("false", False)),
        *((text, text) for text in ("007", "+5", "1e5", ".5", "5.", "1,5", "0x1f", "NaN", "yes")),
        ("123456789012345", 123456789012345),
        ("1234567890123456", "1234567890123456"),
        ("0.12345678901234567", "0.12345678901234567"),
        ("٤٢", "٤٢"),
    ],
)
def test_only_what_is_surely_a_number_becomes_one(text: str, value: object) -> None:
    assert repr(to_value(text)) == repr(value)


@given(st.integers() | st.floats(allow_nan=False).map(lambda x: round(x, 3)))
def test_a_number_is_never_changed(number: float) -> None:
    value = to_value(str(number))
    assert str(value) == str(number) or isinstance(value, (int, float))
    assert float(value) == float(number)


def test_cells_can_stay_text() -> None:
    data = b"user,amount,is_new,note\n042,1.5,true,\n42,2,false,x\n"
    assert rows(data, cell=ReadCell(texts={"user"})) == [
        {"user": "042", "amount": 1.5, "is_new": True},
        {"user": "42", "amount": 2, "is_new": False, "note": "x"},
    ]
    assert rows(data, cell=ReadCell(as_text=True))[0] == {
        "user": "042",
        "amount": "1.5",
        "is_new": "true",
    }


def test_a_line_of_blanks_is_no_record() -> None:
    data = b'  \na,b\n \n1,x\n\t \r\n"2",y\n  '
    assert [(item.row, item.number) for item in read(data)] == [
        ({"a": 1, "b": "x"}, 4),
        ({"a": 2, "b": "y"}, 6),
    ]
    assert [item.row for item in read(b'a\n" "\n  \n')] == [{"a": " "}]
    tabs = read(b"a\tb\n\t\n1\t2\n", "\t")  # as commas without anything between them
    assert [item.row for item in tabs] == [{}, {"a": 1, "b": 2}]


class TestBadRecord:
    """It costs only itself: its first line, if it is not known where it ends."""

    @pytest.mark.parametrize(
        "line,reason",
        [
            (b'2,"y"y', "not a record: ',' expected after '\"'"),
            (b"2,\xff", "not UTF-8; name its encoding with --encoding"),
            (
                b"2,y\r3,z",
                "a carriage return outside quotes; a row must end in a line feed",
            ),
            (b"2", "the header has 2 columns, the row 1"),
            (b"2,y,z", "the header has 2 columns, the row 3"),
            (b'2,"y', "not a record: ',' expected after '\"'"),  # the next line closes it
        ],
    )
    def test_in_the_middle(self, line: bytes, reason: str) -> None:
        data = b'a,b\n1,x\n%s\n3,"z"z"\n4,w\n' % line
        found = read(data.replace(b'"z"z"', b'"z"'))
        assert [item.number for item in found] == [2, 3, 4, 5]
        good, bad, *more = (item.row for item in found)
        assert [good, *more] == [{"a": 1, "b": "x"}, {"a": 3, "b": "z"}, {"a": 4, "b": "w"}]
        assert bad == Unreadable(reason, line.decode("utf-8", "backslashreplace"))

    def test_a_large_cell_is_part_of_its_record(self) -> None:
        """Its lines must not be taken for records of their own."""
        text = "x" * 200_000 + "\n2,y\n"
        assert rows(f'a,b\n1,"{text}"\n'.encode()) == [{"a": 1, "b": text}]

    def test_a_quote_that_is_never_closed(self) -> None:
        first, second, third = read(b'a,b\n1,"x\n2,y\n3,z\n')
        assert first == (Unreadable("a quote is not closed", '1,"x'), 9, 2, 2)
        assert [second.row, third.row] == [{"a": 2, "b": "y"}, {"a": 3, "b": "z"}]
        assert [second.number, third.number] == [3, 4]

    def test_a_quote_that_is_closed_too_late(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(delimited, "MAX_ROW_BYTES", 20)
        data = b'a,b\n1,"x\n' + b"2,y\n" * 10 + b'3,z"\n4,w\n'
        found = rows(data)
        assert found[0] == Unreadable("a quote is not closed", '1,"x')
        assert found[1:11] == [{"a": 2, "b": "y"}] * 10
        assert found[-1] == {"a": 4, "b": "w"}

    def test_a_line_that_is_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(delimited, "MAX_ROW_BYTES", 10)
        monkeypatch.setattr("segment_librato.bulk.files.lines.MAX_ROW_BYTES", 10)
        found = rows(b'a,b\n1,"' + b"x" * 100 + b"\n2,y\n")
        assert found[0].reason == "the line has more than 1 MiB"
        assert found[1] == {"a": 2, "b": "y"}

    def test_a_record_of_several_lines_that_is_not_utf_8(self) -> None:
        found = rows(b'a,b\n1,"x\n\xff\nx"\n2,y\n')
        assert found == [
            Unreadable("not UTF-8; name its encoding with --encoding", '1,"x\n\\xff\nx"'),
            {"a": 2, "b": "y"},
        ]


@pytest.mark.parametrize(
    "data,problem",
    [
        (b"", "it has no header"),
        (b"\n\n", "it has no header"),
        (b"a,,b\n", "column 2 of its header has no name"),
        (
            b",a\n0,x\n",
            "column 1 of its header has no name; if pandas wrote it, use to_csv(index=False)",
        ),
        (b"a,b,a\n", "its header has the column a twice"),
        (
            b"a;b\n",
            "its header has only one column; if semicolons separate columns, use --delimiter",
        ),
        (b"a\tb\n", "its header has only one column; if tabs separate columns, use --delimiter"),
        (b"\xffa,b\n", "its header cannot be read: not UTF-8; name its encoding with --encoding"),
        (b'"a,b\n', "its header cannot be read: a quote is not closed"),
        *((data, NO_LINE_FEEDS) for data in (b"a,b\r1,2\r", b"a,b\r" + b"1,2\r" * 300_000)),
        (b"a,\x01b\n", f"its header has the control character '\\x01': {NOT_SO}"),
        ("a,\x85b\n".encode(), f"its header has the control character '\\x85': {NOT_SO}"),
    ],
)
def test_a_header_that_cannot_be_used(data: bytes, problem: str) -> None:
    with pytest.raises(FileError) as caught:
        read(data)
    assert str(caught.value) == problem


def test_a_header_may_have_one_column() -> None:
    assert rows(b"a\n1\n") == [{"a": 1}]
