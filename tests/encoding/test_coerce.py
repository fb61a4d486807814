"""Every kind of value that JSON does not have, and what is logged about it."""

from __future__ import annotations

import io
import json
import logging
import math
import sys
import threading
import uuid
from array import array
from collections import Counter, OrderedDict, UserDict, UserList, UserString, defaultdict, deque
from collections import namedtuple as make_namedtuple
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import PurePosixPath
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import MagicMock, Mock

import numpy as np
import pydantic
import pytest
from support.stand_ins import STAND_INS, Unbound, Wrapped

from segment_librato.encoding import coerce as coerce_module
from segment_librato.encoding.coerce import MAX_DEPTH, coerce
from segment_librato.errors import MessageTooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT = 32 * 1024


@pytest.fixture(autouse=True)
def _nothing_reported_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coerce_module, "_reported", {})


class Color(Enum):
    RED = "red"
    MANY = (1, Decimal(2))


class Level(IntEnum):
    HIGH = 3


class Shout(str):
    __slots__ = ()

    def __str__(self) -> str:
        return self.upper()


class Amount(float):
    def __float__(self) -> NoReturn:
        raise ValueError("no")


class Number(int):
    def __int__(self) -> NoReturn:
        raise ValueError("no")

    def __repr__(self) -> NoReturn:
        raise ValueError("no")


class NotATime(datetime):
    """A date that equals nothing, as the NaT of pandas."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, _: object) -> bool:
        return False


Point = make_namedtuple("Point", "x y")  # noqa: PYI024 - the untyped kind is one, too


@dataclass
class Item:
    name: str
    price: Decimal = Decimal("1.50")
    dtype: str = "not an array"
    parts: list[Any] = field(default_factory=list)


@dataclass
class Slotted:
    __slots__ = ("unset",)
    unset: int


class Model(pydantic.BaseModel):
    name: str
    at: date


class Texts(pydantic.RootModel[list[str]]):
    pass


class OldModel:
    """A model as those of pydantic 1."""

    __fields__ = ("name",)

    def dict(self) -> dict[str, str]:
        return {"name": "old"}


class Attribute:
    name = "size"


class Attrs:
    """An instance of a class made by attrs."""

    __attrs_attrs__ = (Attribute,)
    size = 3


class Struct:
    """An instance as those of msgspec."""

    __struct_fields__ = ("full_name",)
    __struct_encode_fields__ = ("fullName",)
    full_name = "Ada"


class Row(tuple[Any, ...]):
    """A row as those of SQLAlchemy: to iterate over it gives only its values."""

    __slots__ = ()
    _fields = ("id", "name")
    _mapping = {"id": 1, "name": "cup"}  # noqa: RUF012


class OtherRow:
    """A row as those of sqlite3."""

    def keys(self) -> list[str]:
        return ["id", "name"]

    def __getitem__(self, key: str) -> Any:
        return {"id": 1, "name": "cup"}[key]

    def __iter__(self) -> Iterator[Any]:
        return iter([1, "cup"])


class Half:
    """A number of a library, as a bfloat16."""

    def __init__(self, number: float) -> None:
        self._number = number

    def __float__(self) -> float:
        return self._number


class Tensor:
    """An array as those of torch and jax, whose attributes are not numpy's."""

    def __init__(self, values: Any) -> None:
        self._values = values
        self.dtype = "torch.float32"
        self.shape = np.shape(values) if isinstance(values, list) else ()

    def item(self) -> Any:
        return self._values

    def tolist(self) -> Any:
        return self._values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, at: int) -> Tensor:
        return Tensor(self._values[at])


class Frame:
    """A data frame as those of pandas: to iterate over it gives only the names of its columns."""

    columns = ("name", "n")

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows

    @property
    def shape(self) -> tuple[int, int]:
        return len(self._rows), 2

    def itertuples(self, *, index: bool, name: None) -> Iterator[tuple[Any, ...]]:
        assert not index
        return iter(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, _: object) -> bool:
        return False


class RowFrame(Frame):
    """One as those of polars."""

    itertuples = property()

    def iter_rows(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._rows)


class Series(UserList[Any]):
    """A labelled array as those of pandas, with labels of a kind of numpy's."""

    dtype = np.dtype("O")

    def __init__(self, values: list[Any], labels: str) -> None:
        super().__init__(values)
        self.index = SimpleNamespace(dtype=SimpleNamespace(kind=labels))  # type: ignore[assignment]
        self.shape = (len(values),)

    def item(self) -> NoReturn:
        raise AssertionError

    def keys(self) -> Any:
        return ["x", "y"]

    def items(self) -> Any:
        return zip(self.keys(), self.data, strict=True)


class LazyText:
    """A text that is made when it is needed, as those of Django."""

    casefold = str.casefold

    def __str__(self) -> str:
        return "lazy"

    def __iter__(self) -> Iterator[str]:
        return iter("lazy")

    def __len__(self) -> int:
        return 4

    def __contains__(self, _: object) -> bool:
        return False


class Proxy:
    """A stand-in that says it is a str, as those of Werkzeug."""

    __class__ = str  # type: ignore[assignment]

    def __str__(self) -> str:
        return "proxied"


class Named:
    def __str__(self) -> str:
        return "a name"


class Session:
    pass


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        raise ValueError(name)


class Nameless(metaclass=Meta):
    pass


class Broken:
    """An object of which every method raises."""

    def reject(self, *_: object) -> NoReturn:
        raise ZeroDivisionError

    __iter__ = __len__ = __contains__ = __str__ = reject


class BrokenMapping(UserDict[str, int]):
    def __iter__(self) -> NoReturn:
        raise ZeroDivisionError


class BrokenModel:
    def model_dump(self) -> NoReturn:
        raise ZeroDivisionError


class Matryoshka:
    """A model that dumps another one like itself, without an end."""

    def model_dump(self) -> Matryoshka:
        return Matryoshka()


def fail_after_one() -> Iterator[int]:
    yield 1
    raise ZeroDivisionError


MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
IDENTIFIER = uuid.UUID(int=1)
LONG_INTEGER = 10 ** (sys.get_int_max_str_digits() + 1)


@pytest.mark.parametrize(
    "value, expected",
    [
        # Texts
        ("plain", "plain"),
        (Shout("quiet"), "quiet"),
        ("é日🎉", "é日🎉"),
        ("\ud83c\udf89", "🎉"),
        (UserString("text"), "text"),
        (LazyText(), "lazy"),
        pytest.param(Proxy(), "proxied", id="a proxy of a str"),
        (np.str_("text"), "text"),
        # Numbers
        (True, True),
        (None, None),
        pytest.param(Number(7), 7, id="an int that rejects"),
        (2**63, 2**63),
        (-(2**63), -(2**63)),
        pytest.param(Amount(1.5), 1.5, id="a float that rejects"),
        (Level.HIGH, 3),
        (Decimal(5), 5),
        (Decimal("5.00"), 5),
        (Decimal("1.5"), 1.5),
        (Decimal("1E+20"), 10**20),
        (Decimal("1E-1000000"), 0.0),
        (Decimal("1E+400"), 10**400),
        (Decimal("-1.5E+400"), -15 * 10**399),
        (Decimal("9" * 320 + ".5"), int("9" * 320)),
        (Fraction(1, 4), 0.25),
        (2 - 1j, "(2-1j)"),
        # Enums, identifiers, times
        (Color.RED, "red"),
        (Color.MANY, [1, 2]),
        (IDENTIFIER, str(IDENTIFIER)),
        (MOMENT, "2026-01-02T03:04:05+00:00"),
        (MOMENT.replace(tzinfo=None), "2026-01-02T03:04:05"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (timedelta(minutes=1, milliseconds=500), 60.5),
        (NotATime(2026, 1, 2), None),
        # Containers
        ((1, (2,)), [1, [2]]),
        (Point(1, 2), [1, 2]),
        ({1}, [1]),
        (frozenset({"a"}), ["a"]),
        (deque([1, 2]), [1, 2]),
        (array("i", [1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        (UserList([1]), [1]),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.values(), [1]),
        ({"a": 1}.items(), [["a", 1]]),
        ((number for number in (1, 2)), [1, 2]),
        (map(str, (1, 2)), ["1", "2"]),
        (OrderedDict(a=1), {"a": 1}),
        (Counter("aa"), {"a": 2}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (UserDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        # Records
        (Item("cup"), {"name": "cup", "price": 1.5, "dtype": "not an array", "parts": []}),
        (Slotted.__new__(Slotted), {"unset": None}),
        (Model(name="cup", at=date(2026, 1, 2)), {"name": "cup", "at": "2026-01-02"}),
        (Texts(["a"]), ["a"]),
        (OldModel(), {"name": "old"}),
        (Attrs(), {"size": 3}),
        (Struct(), {"fullName": "Ada"}),
        (Row(), {"id": 1, "name": "cup"}),
        (OtherRow(), {"id": 1, "name": "cup"}),
        # Tensors of other libraries, data frames, what is missing
        (Tensor(1.5), 1.5),
        (Tensor([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (Tensor(Half(1.5)), 1.5),
        (Frame([("cup", 1), ("pot", 2)]), [{"name": "cup", "n": 1}, {"name": "pot", "n": 2}]),
        (RowFrame([("cup", 1)]), [{"name": "cup", "n": 1}]),
        (Series(["a", "b"], "O"), {"x": "a", "y": "b"}),
        (Series(["a", "b"], "i"), ["a", "b"]),
        # Bytes, paths, addresses
        ("é".encode(), "é"),
        (b"\xff\xfe", "//4="),
        (bytearray(b"abc"), "abc"),
        (memoryview(b"abcd")[::2], "ac"),
        (PurePosixPath("/a/b"), "/a/b"),
        (ip_address("::1"), "::1"),
        (ip_interface("10.0.0.1/8"), "10.0.0.1/8"),
        (ip_network("10.0.0.0/8"), "10.0.0.0/8"),
        # numpy
        (np.float64(1.5), 1.5),
        (np.float32(1.5), 1.5),
        (np.longdouble(1.5), 1.5),
        (np.int64(7), 7),
        (np.bool_(1), True),
        (np.bytes_(b"abc"), "abc"),
        (np.array(3), 3),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(["a", None], dtype=object), ["a", None]),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (np.datetime64("NaT", "s"), None),
        (np.datetime64("2026-01-02T03:04:05", "ns"), "2026-01-02T03:04:05"),
        (np.datetime64("2026-01-02T03:04:05.123456789"), "2026-01-02T03:04:05.123456789"),
        (np.array(["2026-01-02", "NaT"], "M8[ns]"), ["2026-01-02T00:00:00", None]),
        (np.datetime64(12_000, "Y"), "13970"),
        (np.timedelta64(1_500_000_000, "ns"), 1.5),
        (np.array([250_000_000], "m8[ns]"), [0.25]),
        (np.timedelta64("NaT", "ns"), None),
        (np.ma.masked, None),
        (np.ma.array([1, 2], mask=[False, True]), [1, None]),
        (np.ma.array(5), 5),
        (np.clongdouble(1 + 2j), "(1+2j)"),
        (np.float16(1.5), 1.5),
        (np.timedelta64(1500, "ms"), 1.5),
        (np.array([(1, 2.5)], dtype="i4,f8"), [[1, 2.5]]),
    ],
)
def test_a_value_becomes_what_it_stands_for(
    value: object, expected: object, caplog: pytest.LogCaptureFixture
) -> None:
    plain = coerce(value, LIMIT)
    assert plain == expected
    assert type(plain) is type(expected)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert not caplog.records


@pytest.mark.parametrize("stand_in", STAND_INS)
@pytest.mark.parametrize(
    "value, expected",
    [
        ("text", "text"),
        (7, 7),
        (True, True),
        (None, None),
        (1.5, 1.5),
        (Decimal("1.5"), 1.5),
        ([1, {"a": {2}}], [1, {"a": [2]}]),
        ({"a": 1}, {"a": 1}),
        (MOMENT, "2026-01-02T03:04:05+00:00"),
        (
            Item("cup", parts=[]),
            {"name": "cup", "price": 1.5, "dtype": "not an array", "parts": []},
        ),
        pytest.param(Wrapped("text"), "text", id="a stand-in"),
    ],
)
def test_a_stand_in_becomes_what_it_stands_for(
    stand_in: Callable[[object], Any], value: object, expected: object
) -> None:
    plain = coerce({"a": stand_in(value), stand_in("key"): 1}, LIMIT)
    assert plain == {"a": expected, "key": 1}
    assert type(plain["a"]) is type(expected)


def test_a_stand_in_for_nothing_is_null_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    assert coerce({"a": Unbound()}, LIMIT) == {"a": None}
    assert caplog.messages == ["a: a value of type Unbound cannot be written as JSON; sent as null"]


def test_a_stand_in_for_itself_ends() -> None:
    class Endless:
        @property
        def __wrapped__(self) -> Endless:
            return Endless()

        @property  # type: ignore[misc]  # it may not be set
        def __class__(self) -> Any:
            return str

    assert coerce({"a": Endless()}, LIMIT) == {"a": None}


def test_a_table_and_an_array_are_checked_by_their_size_before_they_are_read() -> None:
    class Endless(Frame):
        shape = (10**9, 2)

        def itertuples(self, *, index: bool, name: None) -> NoReturn:
            raise AssertionError

    with pytest.raises(MessageTooLargeError):
        coerce(Endless([]), LIMIT)


NAN = "NaN or infinity"


@pytest.mark.parametrize(
    "value, kind",
    [
        (math.nan, NAN),
        (math.inf, NAN),
        (np.float64("nan"), NAN),
        (Decimal("NaN"), NAN),
        (Decimal("sNaN"), NAN),
        (Decimal("-Infinity"), NAN),
        (Decimal("1E+1000000"), NAN),
        (Decimal("1E+4300"), NAN),
        (Fraction(10**400), "Fraction"),
        pytest.param(LONG_INTEGER, "int", id="an integer longer than Python will spell"),
        (Session, "type"),
        (Color, "EnumType" if sys.version_info >= (3, 11) else "EnumMeta"),
        (len, "builtin_function_or_method"),
        (json, "module"),
        (threading.Lock(), type(threading.Lock()).__qualname__),
        (io.StringIO("a file"), "StringIO"),
        (Session(), "Session"),
        (SimpleNamespace(), "SimpleNamespace"),
        (Mock(), "Mock"),
        (Mock(spec=dict), "Mock"),
        (Broken(), "Broken"),
        (BrokenMapping(a=1), "BrokenMapping"),
        (BrokenModel(), "BrokenModel"),
        (Matryoshka(), "Matryoshka"),
        (fail_after_one(), "generator"),
    ],
)
def test_a_value_without_a_json_form_becomes_null_and_is_reported(
    value: object, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert coerce({"properties": {"user": value}}, LIMIT) == {"properties": {"user": None}}
    what = kind if kind == NAN else f"a value of type {kind}"
    assert [record.getMessage() for record in caplog.records] == [
        f"properties.user: {what} cannot be written as JSON; sent as null"
    ]
    assert caplog.records[0].name == "segment"
    assert caplog.records[0].levelno == logging.WARNING


def test_an_unknown_value_with_a_text_is_sent_as_that_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert coerce({"user": Named()}, LIMIT) == {"user": "a name"}
    assert caplog.messages == [
        "user: a value of type Named cannot be written as JSON; sent as its text"
    ]


def test_lone_surrogates_are_replaced_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    assert coerce(["\ud83c", "a\udf89b", "\udf89\ud83c", "\ufffd"], LIMIT) == [
        "\ufffd",
        "a\ufffdb",
        "\ufffd\ufffd",
        "\ufffd",
    ]
    assert caplog.messages == [
        "[]: text with a lone surrogate cannot be written as JSON; sent as text with U+FFFD in it"
    ]


def test_mocks_end_in_something_plain() -> None:
    plain = coerce({"mock": Mock(), "magic": MagicMock(), "spec": Mock(spec=Decimal)}, LIMIT)
    assert list(plain) == ["mock", "magic", "spec"]
    json.dumps(plain)


def test_an_integer_too_long_for_python_to_print_is_rejected_if_it_exceeds_the_budget() -> None:
    with pytest.raises(MessageTooLargeError):
        coerce(10**40_000, LIMIT)


def test_an_array_of_many_dimensions_is_checked_by_the_number_of_its_items() -> None:
    with pytest.raises(MessageTooLargeError):
        coerce(np.broadcast_to(0, (1_000, 1_000, 1_000)), LIMIT)


@pytest.mark.parametrize(
    "key, name",
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (1.5, "1.5"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (np.float64(0.5), "0.5"),
        (np.int64(2), "2"),
        (Color.RED, "red"),
        (Level.HIGH, "3"),
        (date(2026, 1, 2), "2026-01-02"),
        (IDENTIFIER, str(IDENTIFIER)),
        (b"abc", "abc"),
        ((1, "é"), '[1,"é"]'),
        (frozenset({1}), "[1]"),
        (Session(), "null"),
        (Broken(), "null"),
        (Shout("quiet"), "quiet"),
        ("\ud800", "\ufffd"),
    ],
)
def test_a_key_becomes_a_text(key: object, name: str) -> None:
    plain = coerce({key: "value"}, LIMIT)
    assert plain == {name: "value"}
    assert type(next(iter(plain))) is str


def test_no_key_vanishes_when_two_have_the_same_text() -> None:
    plain = coerce({1: "a", "1": "b", "1_2": "c", Decimal("1.0"): "d"}, LIMIT)
    assert list(plain.items()) == [("1_3", "d"), ("1", "b"), ("1_2", "c")]
    plain = coerce({None: "a", Session(): "b", "null": "c", Session(): "d"}, LIMIT)
    assert list(plain.items()) == [("null_2", "a"), ("null_3", "b"), ("null", "c"), ("null_4", "d")]
    high, low = "\ud800", "\udfff"
    plain = coerce({high: 1, "\ufffd": 2, low: 3}, LIMIT)
    assert list(plain.items()) == [("\ufffd_2", 1), ("\ufffd", 2), ("\ufffd_3", 3)]


def test_a_mapping_that_yields_a_key_twice_keeps_both() -> None:
    class Headers(UserDict[str, int]):
        def items(self) -> Any:
            return iter([("accept", 1), ("accept", 2)])

    assert coerce(Headers(), LIMIT) == {"accept": 1, "accept_2": 2}


def test_a_container_that_changes_while_it_is_read_is_read_again() -> None:
    attempts = []

    def read() -> Iterator[int]:
        attempts.append(1)
        if len(attempts) < 3:
            raise RuntimeError("dictionary changed size during iteration")
        yield 1

    assert coerce_module._snapshot(read, 10) == [1]  # noqa: SLF001 - a race cannot be staged
    assert len(attempts) == 3


def test_a_container_that_never_stops_changing_is_given_up() -> None:
    def read() -> Iterator[int]:
        raise RuntimeError("dictionary changed size during iteration")
        yield 1

    with pytest.raises(RuntimeError):
        coerce_module._snapshot(read, 10)  # noqa: SLF001 - a race cannot be staged


def test_a_record_at_the_deepest_level_is_kept_and_one_below_it_is_null() -> None:
    def nested(levels: int) -> Any:
        value = Item("deepest", parts=[])
        for _ in range(levels):
            value = Item("outer", parts=[value])
        return value

    assert "deepest" in json.dumps(coerce(nested(MAX_DEPTH // 2 - 1), LIMIT))
    assert "deepest" not in json.dumps(coerce(nested(MAX_DEPTH // 2), LIMIT))


def test_a_record_that_contains_itself_is_null_where_it_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    item = Item("loop")
    item.parts.append(item)
    assert coerce({"item": item}, LIMIT)["item"]["parts"] == [None]
    assert caplog.messages == [
        "item.parts[]: a value of type Item cannot be written as JSON; sent as null"
    ]


def test_a_replacement_is_reported_once_for_each_path_and_type(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(3):
        coerce({"items": [Session()] * 5 + [{"x": len}] * 5, "y": Session()}, LIMIT)
    assert [message.split(" cannot")[0] for message in caplog.messages] == [
        "items[]: a value of type Session",
        "items[].x: a value of type builtin_function_or_method",
        "y: a value of type Session",
    ]


def test_the_memory_of_reports_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1_200):
        coerce({f"key{number}": len}, LIMIT)
    assert len(caplog.records) == 1_000
    assert len(coerce_module._reported) == 1_000  # noqa: SLF001 - memory has no other witness


def test_a_path_is_short_and_plain(caplog: pytest.LogCaptureFixture) -> None:
    coerce({"a\nb\udcffé": len, "k" * 10_000: {"in": len}}, LIMIT)
    coerce(len, LIMIT)
    first, second, third = (
        message.split(": ")[0] for message in caplog.messages if "surrogate" not in message
    )
    assert first == "a\\nb\\ufffd\\xe9"
    assert second == "k" * 200
    assert third == "message"


def test_neither_a_value_nor_its_text_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    class Secret:
        def __str__(self) -> str:
            return "hunter2"

        def __repr__(self) -> str:
            return "hunter2"

    class Failing:
        def __str__(self) -> str:
            raise ValueError("hunter2")

    coerce({"a": Secret(), "b": Failing(), "c": "hunter2\ud800"}, LIMIT)
    assert len(caplog.records) == 3
    assert "hunter2" not in caplog.text


def test_a_logging_handler_that_raises_does_no_harm() -> None:
    class Raising(logging.Handler):
        def emit(self, _: logging.LogRecord) -> NoReturn:
            raise ZeroDivisionError

    logger = logging.getLogger("segment")
    handler = Raising()
    logger.addHandler(handler)
    try:
        assert coerce({"a": len, "b": 1}, LIMIT) == {"a": None, "b": 1}
    finally:
        logger.removeHandler(handler)


def test_a_type_without_a_name_does_no_harm() -> None:
    assert coerce([Nameless()], LIMIT) == [None]


def test_a_logging_handler_may_coerce_the_same_value() -> None:
    seen = []

    class Recursive(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())
            coerce({"a": len}, LIMIT)

    logger = logging.getLogger("segment")
    handler = Recursive()
    logger.addHandler(handler)
    try:
        coerce({"a": len}, LIMIT)
    finally:
        logger.removeHandler(handler)
    assert len(seen) == 1
