"""The error tree: what catches what, and what an error carries."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest

from segment_librato import errors
from segment_librato.errors import (
    APIError,
    ClientClosedError,
    ConfigError,
    DeliveryError,
    ImportStoppedError,
    MessageTooLargeError,
    NetworkError,
    QueueFullError,
    SegmentError,
    ShutdownTimeoutError,
    SpoolCorruptError,
    SpoolExpiredError,
    SpoolFullError,
    ValidationError,
    unexpected,
)

WITH_A_TEXT: list[type[SegmentError]] = [
    ConfigError,
    ValidationError,
    MessageTooLargeError,
    QueueFullError,
    ClientClosedError,
    ShutdownTimeoutError,
    SpoolExpiredError,
    SpoolFullError,
    DeliveryError,
    NetworkError,
]
ALL = [
    *(kind("something happened") for kind in WITH_A_TEXT),
    APIError(500),
    APIError(429, "too_many", "slow down", 12.5),
    SpoolCorruptError("/spool/quarantine/1.seg", 380),
    SpoolCorruptError("/spool/1.seg", 0, 7, "somebody deleted a file of the spool"),
]


@pytest.mark.parametrize("error", ALL, ids=repr)
def test_every_error_is_a_segment_error_with_all_attributes(error: SegmentError) -> None:
    assert isinstance(error, SegmentError)
    assert isinstance(error.message, str)
    assert error.message
    assert re.fullmatch("[a-z_]+", error.code)
    assert error.status is None or isinstance(error, APIError)
    assert error.retry_after is None or isinstance(error, APIError)


@pytest.mark.parametrize(
    "kind, caught_as",
    [
        (ConfigError, AssertionError),
        (ConfigError, ValueError),
        (ValidationError, AssertionError),
        (ValidationError, ValueError),
        (MessageTooLargeError, RuntimeError),
        (APIError, DeliveryError),
        (NetworkError, DeliveryError),
    ],
)
def test_an_error_is_caught_by_handlers_of_its_bases(
    kind: type[SegmentError], caught_as: type[Exception]
) -> None:
    assert issubclass(kind, caught_as)


def test_a_message_that_is_too_large_has_the_arguments_that_applications_look_at() -> None:
    error = MessageTooLargeError("message: expected less", 50_000).with_largest("traits", 40_000)
    for one in (error, copy.deepcopy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301
        assert isinstance(one, MessageTooLargeError)
        template, kilobytes, withheld = one.args
        assert (template, kilobytes) == ("Message exceeds %skb limit. (%s)", "32")
        assert len(withheld) == one.size == 50_000
        assert str(withheld) == str(one) == "message: expected less; the largest part is traits"
        assert f"{withheld}" == "".join(withheld) == str(one)
        assert len(pickle.loads(pickle.dumps(withheld))) == 50_000  # noqa: S301


def test_the_size_of_a_message_that_is_too_large_is_estimated_if_nobody_knows_it() -> None:
    error = MessageTooLargeError("message: expected so much").with_largest("traits", 40_000)
    assert error.size == len(error.args[2]) == 40_000
    assert str(error) == "message: expected so much, got about 40000; the largest part is traits"


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in WITH_A_TEXT]
    assert len(set(codes)) == len(codes)


def test_the_docstring_draws_the_whole_tree() -> None:
    kinds = [name for name in errors.__all__ if name.endswith("Error")]
    drawn = re.findall(r"^(?: *[├│└─ ]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE)
    assert sorted(drawn) == kinds


def test_an_api_error_carries_what_the_server_said_but_does_not_show_it() -> None:
    error = APIError(400, "invalid", "properties.email a@b.c is invalid", 3.0)
    assert (error.status, error.code, error.retry_after) == (400, "invalid", 3.0)
    assert error.message == "properties.email a@b.c is invalid"
    assert str(error) == "the server answered 400"
    assert "a@b.c" not in repr(error)
    assert "invalid" not in str(error.args)


def test_an_api_error_without_a_body_has_a_message_all_the_same() -> None:
    error = APIError(503)
    assert (error.code, error.message) == ("unknown", "the server answered 503")
    assert error.retry_after is None


@pytest.mark.parametrize("error", ALL, ids=repr)
@pytest.mark.parametrize(
    "reproduce",
    [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))],  # noqa: S301
    ids=["copy", "deepcopy", "pickle"],
)
def test_an_error_survives_on_its_way_to_another_process(
    reproduce: Any, error: SegmentError
) -> None:
    again = reproduce(error)
    assert type(again) is type(error)
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))
    assert again.code == error.code


def test_an_import_that_stopped_says_why_on_its_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(ImportStoppedError(APIError(401), 7, 3, 1)))  # noqa: S301
    assert str(error) == "the import stopped: the server answered 401; rows without an outcome: 7"
    assert (error.error.status, error.unsettled, error.delivered, error.rejected) == (401, 7, 3, 1)
    assert error.code == "import_stopped"


def test_a_part_of_a_spool_that_is_lost_says_where_and_how_much() -> None:
    error = SpoolCorruptError("/spool/quarantine/1.seg", 380, 2)
    assert str(error) == "unreadable bytes of the spool: 380, moved to /spool/quarantine/1.seg"
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (again.path, again.bytes, again.lost) == ("/spool/quarantine/1.seg", 380, 2)


def test_unexpected_names_the_type_and_never_the_value() -> None:
    text = unexpected("field", "a str", ["a secret"])
    assert text == "field: expected a str, got list"
