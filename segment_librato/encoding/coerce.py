"""Any value becomes plain JSON values: a copy, made within a budget of bytes.

A value that JSON does not have is replaced, by null or by its text, and reported to the logger
`segment`: once for each path and type, never with the value.

Code of the application runs in between (`__iter__`, `__str__`, properties, ...). Whatever it
raises costs only the value it was raised for; what a signal handler raises meanwhile, such as a
time limit, reaches the caller (`interruption`). An endless value ends with the budget, and one
that contains itself becomes null where it does. It is one long module because the conversions
call one another. Must not know messages, threads or the network.
"""

from __future__ import annotations

import io
import json
import math
from base64 import b64encode
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Collection, Iterator
from enum import Enum
from itertools import count, islice
from typing import TYPE_CHECKING, Any, TypeVar

from segment_librato.encoding.kinds import (
    array_item,
    conversions,
    dump_method,
    field_names,
    is_array,
    is_missing,
    is_table,
    keyed_entries,
    table_rows,
)
from segment_librato.errors import MessageTooLargeError
from segment_librato.foreign.interruption import is_interruption, is_out_of_stack
from segment_librato.foreign.narrowing import is_mapping, type_of
from segment_librato.foreign.stand_ins import as_str, is_text, stands_for
from segment_librato.log import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["MAX_DEPTH", "MAX_PLAIN_INTEGER", "coerce"]

MAX_DEPTH = 100
"""Maximum number of containers inside one another."""
MAX_PLAIN_INTEGER = 2**63 - 1
"""The digits of integers up to this one, and down to its negative, need not be counted."""
MAX_REPORTS = 1_000
MAX_PATH_LENGTH = 200

_reported: dict[tuple[str, str], object] = {}
_ITEM = "[]"  # the name of every item of a list, so that a list is reported once
_ITERABLE: tuple[type[Any], ...] = (Collection, Iterator)
_STORED = frozenset({dict, OrderedDict, defaultdict, Counter, list, tuple, set, frozenset, deque})

_key_encoder = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))
_Entry = TypeVar("_Entry")


def coerce(value: object, limit: int) -> Any:
    """Return a copy made only of dict, list, str, int, float, bool and None.

    The order of keys is kept, and no key vanishes: of two with the same text, one gets a
    suffix such as `_2`. Iterators are consumed.

    Raises:
        MessageTooLargeError: the JSON would have more than `limit` bytes.
        MemoryError: too little was left even for the keys of the root.
        RecursionError: too little was left of the stack.
        Exception: a signal handler raised it.
    """
    return _Conversion(limit).plain(value)


class _Conversion:
    """One value on its way to plain JSON: the budget left, and the values that are open."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._room = limit
        self._open: dict[int, str] = {}  # from the root to here: identity and name
        self._escaping = 0  # identity of the error that no value is to blame for; no cycle

    def plain(self, value: Any, name: str = "") -> Any:
        """Convert a value, known to its parent as `name`; to null if there is no other way."""
        kind = type_of(value)
        if kind is str and value.isascii():
            self._spend(1 + len(value))
            return value
        self._spend(1)
        if value is None or kind is bool:
            return value
        if kind is int and -MAX_PLAIN_INTEGER <= value <= MAX_PLAIN_INTEGER:
            return value
        identity = id(value)
        if identity in self._open or len(self._open) > MAX_DEPTH:
            return self._replaced(value, name)
        self._open[identity] = name
        try:
            return self._convert(value)
        except Exception as error:  # the application's code may raise anything
            if self._room < 0 or self._must_escape(error):
                raise
            return self._replaced(value)
        finally:
            del self._open[identity]

    def _must_escape(self, error: Exception) -> bool:
        """Return whether no value is to blame for an error: if all give up, none becomes null."""
        if id(error) == self._escaping:
            return True
        if is_interruption(error) or is_out_of_stack(error):
            self._escaping = id(error)
            return True
        is_root = len(self._open) == 1
        return is_root and isinstance(error, (MemoryError, RecursionError))

    def _spend(self, size: int) -> None:
        """Take bytes from the budget; once it is overdrawn, every level gives up."""
        self._room -= size
        if self._room < 0:
            raise MessageTooLargeError(f"message: expected at most {self._limit} bytes of JSON")

    def _expect(self, size: int) -> None:
        """Give up now if spending this many bytes would overdraw the budget."""
        if size > self._room:
            self._spend(size)

    def _again(self, value: object) -> Any:
        """Convert what a value stands for: the two are one value, paid for once."""
        self._room += 1
        return self.plain(value)

    def _convert(self, value: Any) -> Any:  # noqa: PLR0911  one for each kind
        kind = type_of(value)
        if kind in _STORED:
            return self._container(value)
        target = stands_for(value)
        if target is not value:
            return self._again(target)
        if isinstance(value, Enum):
            return self._again(value.value)
        # Also UserString, and the lazy texts of web frameworks, which look like lists.
        if is_text(value):
            return self._text(value)
        if issubclass(kind, int):
            return self._integer(value)
        if issubclass(kind, float):
            number = float.__float__(value)
            return number if math.isfinite(number) else self._replaced(value)
        return self._convert_rare(value)

    def _convert_rare(self, value: Any) -> Any:
        kind = type_of(value)
        if isinstance(value, (type, io.IOBase)):  # a file would be read, and might block
            return self._replaced(value)
        if is_missing(value):
            return None
        if issubclass(kind, (bytes, bytearray, memoryview)):
            return self._bytes(memoryview(value))
        if is_array(value):
            return self._array(value)
        for kinds, step in conversions():
            if isinstance(value, kinds):
                return self._again(step(value))
        return self._container(value)

    def _text(self, value: object) -> str:
        if issubclass(type(value), str):
            self._expect(str.__len__(value))  # type: ignore[arg-type]  # before a copy is made
        text = as_str(value)
        self._spend(len(text))
        if text.isascii():
            return text
        joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        if joined.count("\ufffd") > text.count("\ufffd"):
            report_replacement(self._open.values(), value, "text with U+FFFD in it")
        return joined

    def _integer(self, value: int) -> int:
        self._expect(int.bit_length(value) * 3 // 10)  # a decimal digit holds 3.32 bits
        number = int.__int__(value)
        # Counting the digits raises for more than `sys.get_int_max_str_digits()`.
        self._spend(len(repr(number)) - 1)
        return number

    def _bytes(self, view: memoryview) -> str:
        self._expect(view.nbytes)
        data = view.tobytes()
        try:
            return self._text(data.decode())
        except UnicodeDecodeError as error:
            if is_interruption(error):
                raise
            return self._text(b64encode(data).decode("ascii"))

    def _array(self, value: Any) -> Any:
        shape = tuple(value.shape)
        if not shape:
            return self._again(array_item(value))
        self._expect(math.prod(shape))
        entries = keyed_entries(value)
        if entries is not None:  # those of a pandas Series with labels
            return self._dict(entries)
        return self._list(value if hasattr(type_of(value), "__iter__") else value.tolist())

    def _container(self, value: Any) -> Any:  # noqa: PLR0911  one for each kind
        if len(self._open) > MAX_DEPTH:
            return self._replaced(value)
        if is_mapping(value):
            return self._dict(self._entries(value, value.items))
        names = field_names(value)
        if names is not None:
            return self._dict((name, _attribute(value, attribute)) for name, attribute in names)
        dump = dump_method(type_of(value))
        if dump is not None:
            return self._again(getattr(value, dump)())
        if is_table(value):
            self._expect(math.prod(value.shape))
            return [self._row(row) for row in table_rows(value)]
        entries = keyed_entries(value)
        if entries is not None:
            return self._dict(entries)
        if isinstance(value, _ITERABLE):
            return self._list(self._entries(value, value.__iter__))
        return self._unknown(value)

    def _entries(self, container: object, read: Callable[[], Iterable[_Entry]]) -> Iterable[_Entry]:
        """Read a container: a stored one as a snapshot, one that computes entry by entry."""
        if type(container) not in _STORED:
            return read()
        entries = _snapshot(read, self._room + 1)
        self._expect(len(entries))
        return entries

    def _list(self, items: Iterable[object]) -> list[Any]:
        return [self.plain(item, _ITEM) for item in items]

    def _row(self, pairs: Iterable[tuple[object, object]]) -> dict[str, Any]:
        self._spend(1)
        return self._dict(pairs)

    def _dict(self, pairs: Iterable[tuple[object, object]]) -> dict[str, Any]:
        entries: list[tuple[str, bool, Any]] = []
        exact: set[str] = set()
        for key, item in pairs:
            is_text = type(key) is str
            text = self.plain(key) if is_text else self._key(key)
            is_exact = is_text and text == key and text not in exact
            if is_exact:
                exact.add(text)
            entries.append((text, is_exact, self.plain(item, text)))
        if len(exact) == len(entries):
            return {text: item for text, _, item in entries}
        return _with_distinct_names(entries, exact)

    def _key(self, key: Any) -> str:
        """Write a key as `json.dumps` does, and one that it rejects as the text of its value."""
        plain = float.__float__(key) if issubclass(type(key), float) else self.plain(key)
        return plain if isinstance(plain, str) else _key_encoder.encode(plain)

    def _unknown(self, value: object) -> Any:
        if type(value).__str__ is object.__str__:
            return self._replaced(value)
        text = self._text(value)
        report_replacement(self._open.values(), value, "its text")
        return text

    def _replaced(self, value: object, *name: str) -> Any:
        """Report a value that becomes null; one that is not open yet needs its name."""
        report_replacement([*self._open.values(), *name], value, "null")


def _attribute(value: object, name: str) -> Any:
    """Return an attribute, None if it is missing: `getattr` would hide a time limit that struck."""
    try:
        return getattr(value, name)
    except AttributeError as error:
        if is_interruption(error):
            raise
        return None


def _with_distinct_names(entries: list[tuple[str, bool, Any]], exact: set[str]) -> dict[str, Any]:
    """Give a suffix to each name that another entry has, unless it was the exact key."""
    suffixes: defaultdict[str, count[int]] = defaultdict(lambda: count(2))
    plain: dict[str, Any] = {}
    for text, is_exact, item in entries:
        name = text
        while not is_exact and (name in exact or name in plain):
            name = f"{text}_{next(suffixes[text])}"
        plain[name] = item
    return plain


def _snapshot(read: Callable[[], Iterable[_Entry]], limit: int, attempts: int = 5) -> list[_Entry]:
    """Copy up to `limit` entries of a container that other threads may be changing."""
    try:
        return list(islice(read(), limit))
    except RuntimeError as error:  # it changed size meanwhile
        if attempts == 1 or is_interruption(error):
            raise
        return _snapshot(read, limit, attempts - 1)


def report_replacement(names: Iterable[str], value: object, sent_as: str) -> None:
    """Log a replacement, once for each path and type; never the value.

    Takes no lock of its own, because a signal handler may call it again. Raises nothing but what
    such a handler raises.
    """
    try:
        path = ".".join(filter(None, names)).replace(".[]", "[]")[:MAX_PATH_LENGTH]
        path = path.encode("unicode_escape").decode("ascii")[:MAX_PATH_LENGTH] or "message"
        entry = (path, type(value).__qualname__)
        ticket = object()
        # Threads that race past the size may each add one more.
        if len(_reported) >= MAX_REPORTS or _reported.setdefault(entry, ticket) is not ticket:
            return
        log.warning("%s: %s cannot be written as JSON; sent as %s", path, _describe(value), sent_as)
    except Exception as error:  # a metaclass may raise anything
        if is_interruption(error):
            raise


def _describe(value: object) -> str:
    """Say what JSON does not have: a kind of value, or a type."""
    kind = type(value)  # proxies lie about it
    if issubclass(kind, float):
        return "NaN or infinity"
    if issubclass(kind, str):
        return "text with a lone surrogate"
    if kind in _STORED:
        return f"a cycle, or more than {MAX_DEPTH} levels,"
    return f"a value of type {kind.__qualname__}"
