"""Errors of common types: where the library catches one, it may be that of a signal handler.

The tests of whole calls strike at each of their places. Here are the places that they do not reach,
or only now and then.
"""

from __future__ import annotations

import email.utils
import json
import threading
import urllib.parse
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, InvalidURL
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from support.interruptions import OF_ALL_TYPES, OURS, interrupted, within

from segment_librato.config.validators import is_http_url, is_loopback, truth
from segment_librato.encoding.coerce import coerce
from segment_librato.foreign.interruption import clear_locals
from segment_librato.gauge_delivery.otlp_endpoint import _timeout_of_environment
from segment_librato.http.failures import _problem_of_file
from segment_librato.http.pool import Pool
from segment_librato.http.response import Response
from segment_librato.librato.values import read_time
from segment_librato.message.ids import new_id
from segment_librato.message.timestamp import _is_local
from segment_librato.process.fork import _make_mark
from segment_librato.process.locks import SignalSafeCondition
from segment_librato.queue.schedule import count_fitting

if TYPE_CHECKING:
    from collections.abc import Callable


class Undecided:
    def __bool__(self) -> bool:
        return True


@dataclass
class Order:
    total: int = field(init=False)

    def __getattr__(self, name: str) -> Any:
        return 1


class AnyUnicodeError(UnicodeDecodeError):
    def __init__(self) -> None:
        super().__init__("utf-8", b"", 0, 1, "a time limit")


def response(**headers: str) -> Response:
    return Response(503, "", headers, b"{}", 0.0)


def notify() -> None:
    condition = SignalSafeCondition(threading.RLock())
    with condition:
        condition.is_locked_by_caller()
        condition.notify_all()


def lend() -> None:
    pool = Pool(Connection)
    for _ in range(2):
        with pool.lend():
            pass


class Connection:
    def close(self) -> None:
        pass


def failure() -> InvalidURL:
    try:
        HTTPConnection("host:port")
    except InvalidURL as error:
        return error
    raise AssertionError


CALLS: dict[str, Callable[[], object]] = {
    "new_id": new_id,
    "read_time": partial(read_time, "2026-01-02T03:04:05Z"),
    "is_http_url": partial(is_http_url, "https://a.b:80/"),
    "truth": partial(truth, "debug", Undecided()),
    "_timeout_of_environment": _timeout_of_environment,
    "is_loopback": partial(is_loopback, "127.0.0.1"),
    "json_object": response().json_object,
    "retry_after": response(**{"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}).retry_after,
    "redirect_target": partial(response(Location="/here").redirect_target, "http://a.b"),
    "count_fitting": partial(count_fitting, deque([b"a", b"b"]), 2, 10),
    "coerce": partial(coerce, {"order": Order(), "bytes": b"a"}, 1_000),
    "_problem_of_file": partial(_problem_of_file, "path", lambda: None, ""),
    "_make_mark": _make_mark,
    "notify_all": notify,
    "lend": lend,
    "clear_locals": partial(clear_locals, failure()),
}

# `read_time` has a line without a call, where no signal handler runs.
PLACES = [one for one in product(CALLS, ["call", "line"]) if one != ("read_time", "line")]

# What they call in Python, too, as far as it lets such an exception pass.
is_near = within(
    OURS, __file__, *(str(module.__file__) for module in (email.utils, json.decoder, urllib.parse))
)


@pytest.mark.parametrize("exceptions", [OF_ALL_TYPES, OF_ALL_TYPES[::-1], (AnyUnicodeError,)])
@pytest.mark.parametrize("name, by", PLACES)
def test_a_time_limit_reaches_the_caller_whatever_its_type(
    name: str, by: str, exceptions: tuple[type[Exception], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "5")
    call = CALLS[name]
    call()
    place = 1
    while interrupted(call, place, exceptions, is_near, by=by):
        place += 1
    assert place > 1


def test_an_operating_system_that_cannot_tell_local_time_is_no_time_limit() -> None:
    """Its error comes out of C code, as the exception of another thread would."""

    class AncientTime:
        tzinfo = None
        timestamp = staticmethod(partial(open, "/nothing/here"))

    assert not _is_local(AncientTime(), 0.0)  # type: ignore[arg-type]  # no datetime fails so on Linux
