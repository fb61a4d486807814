"""Values of pandas as properties and timestamps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from segment_librato import Client

client = Client("test-key", send=False)

FRAME = pd.DataFrame(
    {"sku": ["a", "b"], "n": [1, 2], "at": pd.to_datetime(["2026-01-02", None])}, index=[7, 9]
)
SET_BACK = pd.Timestamp(year=2026, month=10, day=25, hour=2, minute=30, tz="Europe/Berlin", fold=1)
ROWS = [{"sku": "a", "n": 1, "at": "2026-01-02T00:00:00"}, {"sku": "b", "n": 2, "at": None}]


@pytest.mark.parametrize(
    "value, expected",
    [
        (FRAME, ROWS),
        (FRAME.head(0), []),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), [{"a": 1, "a_2": 2}]),
        (FRAME["n"], [1, 2]),
        (FRAME.iloc[0], ROWS[0]),
        (FRAME["sku"].value_counts(), {"a": 1, "b": 1}),
        (FRAME.index, [7, 9]),
        (FRAME.columns, ["sku", "n", "at"]),
        (FRAME["at"], ["2026-01-02T00:00:00", None]),
        (pd.Timestamp("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05+00:00"),
        (pd.Timestamp("2026-01-02T03:04:05.123456789"), "2026-01-02T03:04:05.123456789"),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.array([1, None], dtype="Int64"), [1, None]),
        (pd.Timedelta("1.5s"), 1.5),
        (pd.Categorical(["a", "b"]), ["a", "b"]),
        (FRAME["n"].sum(), 3),
        (FRAME["at"].to_numpy()[0], "2026-01-02T00:00:00"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_becomes_what_one_expects(
    value: object, expected: object, caplog: pytest.LogCaptureFixture
) -> None:
    _, message = client.track("user", "event", {"value": value})
    assert message["properties"] == {"value": expected}
    assert not caplog.records


@pytest.mark.parametrize(
    "value, text",
    [
        (pd.Timestamp("2026-01-02T03:04:05.123456789Z"), "2026-01-02T03:04:05.123+00:00"),
        (SET_BACK, "2026-10-25T01:30:00.000+00:00"),
    ],
)
def test_a_timestamp_is_one(value: Any, text: str) -> None:
    assert client.track("user", "event", timestamp=value)[1]["timestamp"] == text


def test_a_gauge_takes_a_number() -> None:
    _, message = client.gauge("mean", FRAME["n"].mean())
    assert message["properties"] == {"value": 1.5}
    assert client.gauge("sum", np.int64(3))[1]["properties"] == {"value": 3}
