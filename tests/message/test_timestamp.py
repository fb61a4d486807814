"""A time as it is usually written is read without dateutil, with the result that this has."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from segment_librato import ValidationError
from segment_librato.message import timestamp as module
from segment_librato.message.timestamp import format_timestamp

NOW = 1_774_353_600.0

numbers = st.integers(0, 99).map("{:02}".format)
days = st.builds(
    "{}-{}-{}".format, st.sampled_from(["0000", "0001", "2024", "9999"]), numbers, numbers
)
clocks = st.builds("{}:{}:{}".format, numbers, numbers, numbers)
fractions = st.sampled_from(
    ["", ".1", ".123", ".1239", ".123999", ".1234567", ",123", "567", "567890"]
)
offsets = st.sampled_from(["", "Z", "z", "+00:00", "-00:00", "+01:30", "-23:59", "+24:00", "+0100"])
texts = st.builds("{}{}{}{}{}".format, days, st.sampled_from("T t"), clocks, fractions, offsets)
moments = st.datetimes().map(lambda moment: moment.isoformat())


def slowly(text: str) -> str | None:
    try:
        return module._read_text(text).isoformat(timespec="milliseconds")  # noqa: SLF001  what is compared with
    except (OverflowError, ValueError):
        return None


@given(texts | moments | st.builds("{}{}".format, moments, offsets))
@example("2024-02-30T00:00:00Z")
@example("2016-12-31T23:59:60Z")
@example("2024-03-05T24:00:00Z")
@example("2024-03-05T12:13:14567Z")
@example("0001-01-01T00:00:00+00:01")
@example("2024-03-05T12:13:14.567+02:00")
@example("２０２４-03-05T12:13:14Z")  # noqa: RUF001  digits, but none of ISO 8601
def test_the_result_is_that_of_dateutil(text: str) -> None:
    expected = slowly(text)
    if expected is None:
        with pytest.raises(ValidationError):
            format_timestamp(text, NOW)
    else:
        assert format_timestamp(text, NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-05T12:13:14Z",
        "2024-03-05 12:13:14",
        "2024-03-05T12:13:14.567Z",
        "2024-03-05T12:13:14.567890+00:00",
        "2024-03-05T12:13:14.567-08:00",
    ],
)
def test_what_programs_write_needs_no_dateutil(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module, "_read_text")
    assert format_timestamp(text, NOW)


@pytest.mark.parametrize("text", ["2024-03-05T24:00:00Z", "2024-03-05T24:00:00.000+01:00"])
def test_the_end_of_a_day_is_left_to_dateutil(text: str) -> None:
    """From Python 3.14 on, `fromisoformat` takes it, but it is no time as Segment wants it."""
    assert module._USUAL.fullmatch(text) is None  # noqa: SLF001  earlier Pythons show no difference
