"""Files of an import: how they are named, opened, known again and read in parts."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import re
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segment_librato.bulk.files import opening, source
from segment_librato.bulk.files.finding import find_paths
from segment_librato.bulk.files.fingerprint import END_BYTES, WHOLE_BYTES, fingerprint
from segment_librato.bulk.files.items import FileError, Gap
from segment_librato.bulk.files.naming import find_kind, without_secrets
from segment_librato.bulk.files.opening import check_encoding
from segment_librato.bulk.files.source import Reading, Source
from segment_librato.bulk.outcomes import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ROWS = [{"n": n, "text": f"Zoë {n}" + "\nmore" * (n % 3)} for n in range(50)]


def json_lines() -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in ROWS)


def table(delimiter: str = ",") -> str:
    lines = ["n\ttext", *(f'{row["n"]}\t"{row["text"]}"' for row in ROWS)]
    return "\n".join(lines).replace("\t", delimiter)


def parquet() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), stream, row_group_size=7)
    return stream.getvalue()


FILES: dict[str, tuple[Callable[[], bytes], Reading]] = {
    "a.jsonl": (json_lines, Reading()),
    "a.NDJSON": (json_lines, Reading()),
    "a.json.gz": (lambda: gzip.compress(json_lines()), Reading()),
    "two-members.jsonl.gz": (
        lambda: gzip.compress(json_lines()[:100]) + gzip.compress(json_lines()[100:]),
        Reading(),
    ),
    "a.jsonl.zst": (lambda: zstd.compress(json_lines()), Reading()),
    "bom.jsonl": (lambda: b"\xef\xbb\xbf" + json_lines(), Reading()),
    "utf-16.jsonl": (lambda: json_lines().decode().encode("utf-16"), Reading()),
    "utf-32.jsonl.gz": (
        lambda: gzip.compress(json_lines().decode().encode("utf-32")),
        Reading(),
    ),
    "a.csv": (lambda: table().encode(), Reading()),
    "a.csv.gz": (lambda: gzip.compress(table().encode()), Reading()),
    "latin.csv": (lambda: table().encode("latin-1"), Reading(encoding="iso8859-1")),
    "excel.csv": (lambda: table(";").encode("utf-8-sig"), Reading(delimiter=";")),
    "excel.tsv": (lambda: table("\t").encode("utf-16"), Reading()),
    "a.parquet": (parquet, Reading()),
    "no-suffix": (lambda: table("\t").encode(), Reading(format="tsv")),
}


@pytest.fixture(params=FILES)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    make, reading = FILES[request.param]
    path = tmp_path / request.param
    path.write_bytes(make())
    return Source(str(path), reading)


def rows(items: Any) -> list[Any]:
    return [item.row for item in items]


def test_all_rows_are_read(file: Source) -> None:
    assert rows(file.read([Gap()])) == ROWS
    assert rows(file.read([Gap()])) == ROWS
    assert file.bytes_done == file.size > 0


def test_any_parts_are_read(file: Source) -> None:
    items = [*file.read([Gap()])]
    first = Gap(0, items[4].end, 0)
    second = Gap(items[9].end, items[19].end, items[9].until)
    third = Gap(items[40].end, None, items[40].until)
    assert [*file.read([first, second, third])] == items[:5] + items[10:20] + items[41:]
    assert [*file.read([second])] == items[10:20]
    assert [*file.read([Gap(items[-1].end, None, items[-1].until)])] == []


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "no-suffix", "a.parquet", "a.csv.gz"])
def test_what_is_near_the_end_is_read_at_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "NEAR_BYTES", 100)
    monkeypatch.setattr(source, "NEAR_ROWS", 3)
    make, reading = FILES[name]
    path = tmp_path / name
    path.write_bytes(make())
    file = Source(str(path), reading)
    part = file.near_end()
    if file.kind.compression:
        assert part == []
    else:
        found = rows(file.look(part))
        assert file.bytes_done == 0
        assert found[-2:] == ROWS[-2:]
        assert len(found) < 15


def test_a_file_in_the_cloud_is_read() -> None:
    memory = fsspec.filesystem("memory")
    for name, (make, _) in FILES.items():
        memory.pipe(f"/bucket/{name}", make())
    try:
        paths = find_paths(["memory://bucket/*.csv.gz", "memory://bucket/a.[jp]*"])
        assert [path.rpartition("/")[2] for path in paths] == [
            *("a.csv.gz", "a.json.gz", "a.jsonl", "a.jsonl.zst", "a.parquet"),
        ]
        for path in paths:
            file = Source(path, Reading())
            items = [*file.read([Gap()])]
            assert rows(items) == ROWS
            assert rows(file.read([Gap(items[30].end, None, items[30].until)])) == ROWS[31:]
    finally:
        memory.rm("/bucket", recursive=True)


@pytest.mark.parametrize(
    "missing,path,problem",
    [
        ("fsspec", "s3://bucket/a.csv", "URLs need a package: pip install fsspec"),
        ("", "nowhere://bucket/a.csv", "fsspec cannot open it: Protocol not known: nowhere"),
        ("", "nowhere://bucket/*.csv", "fsspec cannot open it: Protocol not known: nowhere"),
    ],
)
def test_what_fsspec_cannot_open_is_told(
    missing: str, path: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing:
        monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(FileError) as caught:
        Source(find_paths([path])[0], Reading())
    assert str(caught.value).startswith(f"{path}: {problem}")


def test_without_its_package_zstd_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, opening.ZSTD, None)
    (tmp_path / "a.jsonl.zst").write_bytes(b"")
    with pytest.raises(FileError, match=r'pip install "segment-librato\[zstd\]"'):
        Source(str(tmp_path / "a.jsonl.zst"), Reading())


@pytest.mark.parametrize(
    "name,damage",
    [
        ("a.jsonl.gz", lambda data: data[:-30]),
        ("a.jsonl.gz", lambda data: data[:-40] + b"\xff" * 10 + data[-30:]),
        ("a.jsonl.zst", lambda data: data[:-30]),
        ("a.jsonl.zst", lambda data: data[:20] + b"\xff" * 20 + data[40:]),
        ("a.parquet", lambda data: data[:4] + b"\xff" * 300 + data[304:]),
    ],
)
def test_a_damaged_file_is_read_as_far_as_it_goes(
    name: str, damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    big = b"".join(b'{"n": %d}\n' % n for n in range(200_000))
    make = {
        "a.jsonl.gz": lambda: gzip.compress(big),
        "a.jsonl.zst": lambda: zstd.compress(big),
        "a.parquet": parquet,
    }[name]
    path = tmp_path / name
    path.write_bytes(damage(make()))
    found: list[Any] = []
    with pytest.raises(OSError, match="it is damaged: ") as caught:
        found.extend(item.row for item in Source(str(path), Reading()).read([Gap()]))
    assert caught.value.filename == str(path)
    if len(path.read_bytes()) < len(make()):
        assert len(found) > 190_000


def test_how_much_was_read_can_be_asked_for_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(json_lines())[:-30])
    file = Source(str(path), Reading())
    with pytest.raises(OSError, match="it is damaged: "):
        [*file.read([Gap()])]
    assert file.bytes_done <= file.size


def test_a_missing_file_is_told_by_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file or directory"):
        Source(str(tmp_path / "a.csv"), Reading())


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "shift_jis", "ascii", "utf-8"])
def test_what_is_not_in_the_encoding_costs_its_line(
    encoding: str, name: str, tmp_path: Path
) -> None:
    bad = {"utf-16": b"\x00\xd8"}.get(encoding, b"\x81\xff")
    lines = ["n\n", "1\n", "2", "\n", "3\n"]
    if name == "a.jsonl":
        lines = ["\n", '{"n": 1}\n', '{"n": "', '"}\n', '{"n": 3}\n']
    data = b"".join(line.encode(encoding.replace("utf-16", "utf-16-le")) for line in lines[:3])
    data += bad + b"".join(
        line.encode(encoding.replace("utf-16", "utf-16-le")) for line in lines[3:]
    )
    path = tmp_path / name
    path.write_bytes((b"\xff\xfe" if encoding == "utf-16" else b"") + data)
    first, second, third = rows(Source(str(path), Reading(encoding=encoding)).read([Gap()]))
    assert [first, third] == [{"n": 1}, {"n": 3}]
    assert isinstance(second, Unreadable)
    if encoding == "utf-8":
        assert second.reason == "not UTF-8; name its encoding with --encoding"
    else:
        advice = "fix the row, or name another encoding with --encoding"
        assert second.reason == f"not {encoding}; {advice}"


@pytest.mark.skipif(os.name == "nt", reason="needs a FIFO")
def test_a_pipe_with_a_name_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)  # else the other end would wait for one
    try:
        with pytest.raises(FileError, match=r"it cannot be read in parts .*: copy it to a file"):
            Source(str(path), Reading())
    finally:
        os.close(writer)


def test_encodings_are_known_by_any_name() -> None:
    assert check_encoding("UTF8") == opening.UTF_8
    assert check_encoding("latin-1") == "iso8859-1"
    for name in ("utf-9", "", "base64", "a\x00b", "punycode", "idna", "undefined"):
        with pytest.raises(FileError, match="there is no text encoding "):
            check_encoding(name)


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer = io.BufferedReader(io.BytesIO(table().encode()))

    monkeypatch.setattr(sys, "stdin", Input)
    file = Source("-", Reading(format="csv"))
    assert (file.is_stream, file.size, file.fingerprint) == (True, 0, "")
    assert file.columns == ["n", "text"]
    assert rows(file.read([Gap()])) == ROWS
    assert file.bytes_done == 0
    assert not Input.buffer.closed


@pytest.mark.parametrize(
    "path,wanted,kind",
    [
        ("a.jsonl", None, ("jsonl", "")),
        ("x.y/a.CSV.GZ", None, ("csv", "gzip")),
        ("s3://b/a.tsv.zst", None, ("tsv", "zstd")),
        ("a.log.gz", "jsonl", ("jsonl", "gzip")),
        ("a.csv", "tsv", ("tsv", "")),
        ("a.pq", None, ("parquet", "")),
    ],
)
def test_a_name_tells_how_a_file_is_read(
    path: str, wanted: str | None, kind: tuple[str, str]
) -> None:
    assert find_kind(path, wanted) == kind


@pytest.mark.parametrize("path", ["a.log", "a", "a.gz", "-"])
def test_a_name_that_tells_nothing(path: str) -> None:
    with pytest.raises(FileError, match=r"--format jsonl\|csv\|tsv"):
        find_kind(path, None)


@pytest.mark.parametrize("path", ["a.parquet.gz", "-"])
def test_parquet_needs_a_file_of_its_own(path: str) -> None:
    with pytest.raises(FileError, match="Parquet is read from a file that is not compressed"):
        find_kind(path, "parquet")


def test_patterns_leave_states_out(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "[1].csv", "a.csv.import-state", "a.csv.import-state-wal"):
        (tmp_path / name).touch()
    (tmp_path / "sub.csv").mkdir()
    (tmp_path / "sub.csv" / "c.csv").touch()

    def found(*patterns: str) -> list[str]:
        paths = find_paths(str(tmp_path / pattern) for pattern in patterns)
        return [path.removeprefix(f"{tmp_path}/") for path in paths]

    assert found("*") == ["[1].csv", "a.csv", "b.csv"]
    assert found("**/*.csv") == ["[1].csv", "a.csv", "b.csv", "sub.csv/c.csv"]
    assert found("b.csv", "a.csv") == ["b.csv", "a.csv"]
    assert found("[1].csv") == ["[1].csv"]  # it is there
    assert found("a.csv", "a.csv.import-state") == ["a.csv"]
    for patterns, problem in (
        (["*.tsv"], "no file matches"),
        (["a.csv", "a*"], "it is named twice"),
        (["sub.csv"], r"it is a folder; name its files, as in .*/sub.csv/\*.jsonl"),
        (["bad\udcff.csv"], "its path is not UTF-8; rename it, or pass it as standard input: -"),
        (["a.csv.import-state"], "no file to import, only states of imports"),
    ):
        with pytest.raises(FileError, match=problem):
            found(*patterns)


class TestFingerprint:
    def test_a_copy_is_the_same_file(self) -> None:
        assert fingerprint(io.BytesIO(b"abc")) == fingerprint(io.BytesIO(b"abc"))
        assert fingerprint(io.BytesIO(b"abc"))[1] == 3

    @pytest.mark.parametrize("size", [1, 1000, END_BYTES + 1])
    def test_any_change_of_a_small_file_is_seen(self, size: int) -> None:
        data = bytes(size)
        found = {fingerprint(io.BytesIO(data))[0]}
        for at in {0, size // 2, size - 1}:
            found.add(fingerprint(io.BytesIO(data[:at] + b"x" + data[at + 1 :]))[0])
        found.add(fingerprint(io.BytesIO(data + b"\0"))[0])
        assert len(found) == len({0, size // 2, size - 1}) + 2

    def test_of_a_large_file_some_pieces_are_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Counting(io.BytesIO):
            count = 0

            def read(self, size: int | None = -1) -> bytes:
                data = super().read(size)
                self.count += len(data)
                return data

        data = bytearray(2 * WHOLE_BYTES)
        for pieces in (16, 256):
            stream = Counting(data)
            found = {fingerprint(stream, pieces)[0]}
            assert stream.count == 2 * END_BYTES + pieces * 4096
        for at in (0, END_BYTES - 1, len(data) - END_BYTES, len(data) - 1, END_BYTES + 100):
            data[at] ^= 1
            found.add(fingerprint(io.BytesIO(data))[0])
        assert len(found) == 6


SIGNED = "https://bucket.s3.amazonaws.com/a.csv.gz?X-Amz-Signature=s3cret&X-Amz-Date=20261128"


@pytest.mark.parametrize(
    "text,shown",
    [
        (SIGNED, "https://bucket.s3.amazonaws.com/a.csv.gz"),
        ("https://ada:s3cret@host/a.csv", "https://host/a.csv"),
        ("https://s3cret@host:8080/a.csv", "https://host:8080/a.csv"),
        ("ftp://ada:s3cret@host/a.csv", "ftp://ada@host/a.csv"),
        ("sftp://ada:s3/cret@host/a.csv", "sftp://ada:s3/cret@host/a.csv"),  # it is no URL
        (
            "abfs://box@name.dfs.core.windows.net/a.csv",
            "abfs://box@name.dfs.core.windows.net/a.csv",
        ),
        ("s3://bucket/what?.csv", "s3://bucket/what?.csv"),
        (f"403, url='{SIGNED}'", "403, url='https://bucket.s3.amazonaws.com/a.csv.gz'"),
        ("no /ada:s3cret@host/a.csv here", "no /ada@host/a.csv here"),
    ],
)
def test_secrets_of_urls_are_left_out(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_a_signed_url_is_no_pattern() -> None:
    assert find_paths([SIGNED]) == [SIGNED]
    assert find_paths([f"{SIGNED}*"]) == [f"{SIGNED}*"]
    with pytest.raises(FileError) as caught:
        find_paths([SIGNED, f"{SIGNED}2"])
    text = "it is named twice; import URLs that differ in their queries one by one"
    assert str(caught.value) == f"https://bucket.s3.amazonaws.com/a.csv.gz: {text}"


class ForbiddenError(Exception):
    """What a back end raises for a bucket that nobody may read."""


class Broken(fsspec.AbstractFileSystem):  # type: ignore[misc]  # it has no types
    """A back end whose errors are its own."""

    protocol = "broken"

    def glob(self, path: str, **_: Any) -> list[str]:
        raise ForbiddenError(f"403\n for {SIGNED}")

    def open(self, path: str, *_: Any, **__: Any) -> Any:
        if path.endswith("gone.csv"):
            raise FileNotFoundError(path)
        if path.endswith("whole.csv"):
            raise ValueError("The HTTP server doesn't appear to support range requests. Only ...")
        if path.endswith("forbidden.csv"):
            raise ForbiddenError(f"403\n for {SIGNED}")
        raise ForbiddenError


FORBIDDEN = "it cannot be read: ForbiddenError: 403 for https://bucket.s3.amazonaws.com/a.csv.gz"


@pytest.mark.parametrize(
    "name,problem",
    [
        ("forbidden.csv", FORBIDDEN),
        ("silent.csv", "it cannot be read: ForbiddenError"),
        (
            "gone.csv",
            "it cannot be read: there is no such file, or its server cannot be reached",
        ),
        (
            "whole.csv",
            (
                "it cannot be read: its server sends files as a whole only; copy it to a file"
                " first, or pass it as standard input: -"
            ),
        ),
    ],
)
def test_what_a_back_end_raises_is_told_in_a_line(name: str, problem: str) -> None:
    fsspec.register_implementation("broken", Broken, clobber=True)
    with pytest.raises(OSError, match="it cannot be read") as caught:
        Source(f"broken://box/{name}", Reading())
    assert (caught.value.strerror, caught.value.filename) == (problem, f"broken://box/{name}")


def test_what_a_back_end_raises_for_a_pattern_is_told() -> None:
    fsspec.register_implementation("broken", Broken, clobber=True)
    with pytest.raises(FileError) as caught:
        find_paths(["broken://box/*.csv"])
    assert str(caught.value) == f"broken://box/*.csv: {FORBIDDEN}"


def test_a_back_end_that_cannot_begin_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Broken) -> None:
        raise ForbiddenError("no credentials")

    fsspec.register_implementation("broken", Broken, clobber=True)
    Broken.clear_instance_cache()
    monkeypatch.setattr(Broken, "__init__", fail)
    with pytest.raises(FileError) as caught:
        Source("broken://box/a.csv", Reading())
    problem = "it cannot be read: ForbiddenError: no credentials"
    assert str(caught.value) == f"broken://box/a.csv: {problem}"


def test_a_fault_of_ours_is_no_trouble_with_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError

    path = tmp_path / "a.jsonl"
    path.write_text("{}")
    monkeypatch.setattr(source, "open_text", fail)
    with pytest.raises(KeyError):
        Source(str(path), Reading())


def open_with(path: Path, data: bytes, **reading: Any) -> Source:
    path.write_bytes(data)
    return Source(str(path), Reading(**reading))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_byte_order_mark_that_is_missing_is_told(
    name: str, encoding: str, tmp_path: Path
) -> None:
    data = (table() if name == "a.csv" else json_lines().decode()).encode(f"{encoding}-le")
    path = tmp_path / name
    with pytest.raises(FileError) as caught:
        open_with(path, data, encoding=encoding)
    problem = f"it has no byte order mark; use --encoding {encoding}-le or {encoding}-be"
    assert str(caught.value) == f"{path}: {problem}"
    for end in ("le", "be"):
        data = data.decode(f"{encoding}-le").encode(f"{encoding}-{end}")
        problem = f"it looks like {encoding}-{end} without a byte order mark; use --encoding "
        with pytest.raises(FileError, match=problem):
            open_with(path, data)
        file = open_with(path, data, encoding=f"{encoding}-{end}")
        assert rows(file.read([Gap()])) == ROWS
        data = data.decode(f"{encoding}-{end}").encode(f"{encoding}-le")


def test_an_encoding_that_makes_no_lines_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="it is probably not cp037; name its encoding with"):
        open_with(tmp_path / "a.csv", table().encode(), encoding="cp037")


OTHERS = {
    "compressed with gzip: rename it to end in .gz, or pipe it through gunzip -c": gzip.compress(
        json_lines()
    ),
    "compressed with zstd: rename it to end in .zst, or pipe it through zstd -dc": zstd.compress(
        json_lines()
    ),
    "a Parquet file: import the file itself, with --format parquet": parquet(),
    "a ZIP archive or an Excel workbook: unpack it, or save it as CSV": b"PK\x03\x04\x14\0\x06\0",
    "an Excel workbook: save it as CSV": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "compressed with bzip2: pipe it through bunzip2 -c": bz2.compress(json_lines()),
    "compressed with xz: pipe it through xz -dc": lzma.compress(json_lines()),
    "an Avro file: convert it to JSON lines or Parquet": b"Obj\x01\x04\x16avro.schema",
    "an ORC file: convert it to Parquet": b"ORC\x0a\x03\0\0",
}


@pytest.mark.parametrize("problem", OTHERS)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.jsonl.gz", "-"])
def test_another_format_under_the_name_is_told(
    name: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = OTHERS[problem]
    if name == "-":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        with pytest.raises(FileError, match=f"-: it is {problem}"):
            Source(name, Reading(format="jsonl"))
        return
    data = gzip.compress(data) if name.endswith(".gz") else data
    with pytest.raises(FileError, match=f": it is {problem}"):
        open_with(tmp_path / name, data)


@pytest.mark.parametrize("text", ["PAR1,b\n1,2\n", "BZh9,b\n1,2\n", "ORC,b\n1,2\n", "PK,b\n1,2\n"])
def test_a_text_may_begin_with_the_name_of_a_format(text: str, tmp_path: Path) -> None:
    (row,) = rows(open_with(tmp_path / "a.csv", text.encode()).read([Gap()]))
    assert row["b"] == 2


@pytest.mark.parametrize(
    "name,data,problem",
    [
        ("a.jsonl.gz", b"{}\n", "gzip, but its content does not: rename it"),
        ("a.jsonl.zst", b"{}\n", "zstd, but its content does not: rename it"),
        ("a.jsonl.zst", gzip.compress(b"{}", mtime=0), "zstd, but it is compressed with gzip: "),
    ],
)
def test_a_file_that_is_not_compressed_is_told(
    name: str, data: bytes, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(FileError, match=f"its name says {problem}"):
        open_with(tmp_path / name, data)


def test_a_zstd_file_may_begin_with_what_is_to_be_skipped(tmp_path: Path) -> None:
    data = b"\x50\x2a\x4d\x18\x04\0\0\0skip" + zstd.compress(json_lines())
    assert rows(open_with(tmp_path / "a.jsonl.zst", data).read([Gap()])) == ROWS


def change_at(items: Any, count: int, change: Callable[[], object]) -> list[Any]:
    """Return the rows that are read, with a change after so many of them."""
    found: list[Any] = []
    found.extend(islice(items, count))
    change()
    with pytest.raises(OSError, match=" bytes ") as caught:
        found.extend(items)
    return [*found, caught.value.strerror]


class TestChanged:
    """A file that somebody writes to while it is read."""

    @pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
    def test_what_is_added_is_not_read(self, name: str, tmp_path: Path) -> None:
        make, _ = FILES[name]
        begun = make().rstrip(b"\n") + b"\n" + b'{"n": 5'
        path = tmp_path / name
        file = open_with(path, begun)

        def add() -> None:
            with path.open("ab") as stream:
                stream.write(b'0, "text": ""}\n' if name == "a.jsonl" else b"\n")

        *items, problem = change_at(file.read([Gap()]), 3, add)
        assert rows(items) == ROWS
        end = len(begun) - 7
        assert problem == (
            f"it grew from {len(begun):,} to {path.stat().st_size:,} bytes while it was read: what"
            f" was added was not imported; make a file of it with tail -c +{end + 1}"
            + (", and add the header" if name == "a.csv" else "")
        )
        assert path.read_bytes()[end:].startswith(b'{"n": 5')

    def test_the_rest_begins_behind_the_header(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.csv"
        file = open_with(path, b"n,text\n5")
        original = opening.open_text

        def open_text(*arguments: Any) -> Any:
            path.write_bytes(b"n,text\n5,five\n")
            return original(*arguments)

        monkeypatch.setattr(source, "open_text", open_text)
        with pytest.raises(OSError, match=r"with tail -c \+8, and add the header"):
            next(file.read([Gap()]))

    @pytest.mark.parametrize("name", ["excel.tsv", "a.json.gz", "a.jsonl.zst"])
    def test_where_it_cannot_seek_the_rest_is_not_told(self, name: str, tmp_path: Path) -> None:
        make, _ = FILES[name]
        path = tmp_path / name
        file = open_with(path, make())
        change = lambda: path.write_bytes(make() * 2)  # noqa: E731
        *items, problem = change_at(file.read([Gap()]), 3, change)
        assert len(items) >= len(ROWS) - 1
        assert rows(items) == ROWS[: len(items)]
        assert problem.endswith("while it was read: what was added was not imported")

    @pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
    def test_what_is_cut_off_is_told(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(opening, "BUFFER_BYTES", 100)
        numbers = {"n": range(20_000)}
        stream = io.BytesIO()
        pq.write_table(pa.table(numbers), stream, row_group_size=1000, use_dictionary=False)
        data = stream.getvalue() if name == "a.parquet" else FILES[name][0]()
        path = tmp_path / name
        file = open_with(path, data)
        *items, problem = change_at(file.read([Gap()]), 1, lambda: os.truncate(path, 300))
        assert len(items) < (20_000 if name == "a.parquet" else len(ROWS))
        advice = "restore the whole file, and run the same command again"
        sizes = f"from {len(data):,} to 300 bytes"
        assert problem == f"it shrank {sizes} while it was read: {advice}"

    @pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.csv.gz"])
    def test_a_change_before_anything_is_read_is_told(self, name: str, tmp_path: Path) -> None:
        path = tmp_path / name
        file = open_with(path, FILES[name][0]())
        path.write_bytes(b"{}\n")
        for read in (file.read, file.look):
            with pytest.raises(OSError, match=" since import looked at it") as caught:
                next(read([Gap()]))
            assert caught.value.filename == str(path)
            assert "if something still writes to it, import a copy" in str(caught.value)


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_one_file_under_two_names_is_told(link: str, tmp_path: Path) -> None:
    """Its rows would count as the second of equal ones."""
    file, latest = tmp_path / "2026-11-28.jsonl", tmp_path / "latest.jsonl"
    file.write_bytes(b"{}\n")
    getattr(latest, link)(file)
    text = f"{file} and {latest} are the same file; name one of them"
    with pytest.raises(FileError, match=re.escape(text)):
        find_paths([str(tmp_path / "*.jsonl")])
    with pytest.raises(FileError, match="are the same file; name one of them"):
        find_paths([str(file), f"{tmp_path}/./{file.name}"])


def test_the_rest_of_a_file_that_grew_begins_behind_all_that_was_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n": 1}\n' * 6)
    source = Source(str(path), Reading())
    items = source.read([Gap(9, 18, 1), Gap(45, None, 5)])
    next(items)
    with path.open("ab") as file:
        file.write(b'{"n": 2}\n' * 100_000)
    with pytest.raises(OSError, match=r"tail -c \+55"):
        list(items)
