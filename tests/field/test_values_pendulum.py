"""Times of pendulum as timestamps and properties."""

from __future__ import annotations

import pendulum
import pytest

from segment_librato import Client

client = Client("test-key", send=False)


@pytest.mark.parametrize(
    "fold, text, offset", [(0, "2026-10-25T00:30", "+02:00"), (1, "2026-10-25T01:30", "+01:00")]
)
def test_both_hours_of_a_clock_set_back_are_told_apart(fold: int, text: str, offset: str) -> None:
    value = pendulum.datetime(2026, 10, 25, 2, 30, tz="Europe/Berlin", fold=fold)
    _, message = client.track("user", "event", {"at": value}, timestamp=value)
    assert message["timestamp"] == f"{text}:00.000+00:00"
    assert message["properties"] == {"at": f"2026-10-25T02:30:00{offset}"}


def test_its_other_values_are_those_of_the_standard_library() -> None:
    start = pendulum.datetime(2026, 1, 1)
    values = {
        "day": pendulum.date(2026, 1, 2),
        "clock": pendulum.time(3, 4),
        "duration": pendulum.duration(minutes=1, milliseconds=500),
        "interval": pendulum.datetime(2026, 1, 2) - start,
    }
    assert client.track("user", "event", values, timestamp=start.date())[1]["properties"] == {
        "day": "2026-01-02",
        "clock": "03:04:00",
        "duration": 60.5,
        "interval": 86_400,
    }
