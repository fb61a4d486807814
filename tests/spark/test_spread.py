"""How `deliver` brings equal rows together: what it asks of Spark, without one."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import functions
from pyspark.sql.types import DataType, DecimalType, DoubleType, FloatType, StructType

from segment_librato import ConfigError
from segment_librato.spark import deliver


class Table:
    """A DataFrame that notes by which columns it is to be spread."""

    def __init__(self, schema: StructType) -> None:
        self.schema = schema
        self.columns = schema.names
        self.dtypes = [(field.name, field.dataType.simpleString()) for field in schema]
        self.spread_by: list[Any] | None = None

    def repartition(self, *columns: Any) -> Table:
        self.spread_by = [*columns]
        return self

    def mapInArrow(self, function: object, schema: StructType) -> Table:  # noqa: N802  Spark's
        return self


@pytest.fixture(autouse=True)
def column_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have columns be their names: those of Spark need a session."""
    monkeypatch.setattr(functions, "col", lambda name: name)


def spread_by(schema: StructType, **options: Any) -> list[Any] | None:
    table: Any = Table(schema)
    return deliver(table, "key", **options).spread_by  # type: ignore[no-any-return]


MESSAGES = StructType().add("userId", "string").add("event", "string")


def test_rows_without_ids_are_spread_by_their_values() -> None:
    assert spread_by(MESSAGES) == ["`userId`", "`event`"]
    assert spread_by(MESSAGES, key=["userId"]) is None


def test_only_ids_that_all_rows_have_save_the_shuffle() -> None:
    perhaps = StructType().add("messageId", "string").add("userId", "string")
    always = StructType().add("messageId", "string", nullable=False).add("userId", "string")
    assert spread_by(perhaps) == ["`messageId`", "`userId`"]
    assert spread_by(always) is None
    assert spread_by(always, mapping={"messageId": "userId"}) == ["`messageId`", "`userId`"]


@pytest.mark.parametrize(
    "kind", [FloatType(), DoubleType(), DecimalType(38), StructType().add("a", DoubleType())]
)
def test_numbers_that_are_equal_in_json_but_not_in_spark_do_not_separate_rows(
    kind: DataType,
) -> None:
    assert spread_by(StructType([*MESSAGES.fields]).add("value", kind)) == ["`userId`", "`event`"]


def test_rows_that_no_column_can_bring_together_need_a_key() -> None:
    schema = StructType().add("value", "double").add("properties", "string")
    with pytest.raises(ConfigError, match=r"^key: expected the columns that identify a row"):
        spread_by(schema)
    assert spread_by(schema, key=["value"]) is None


def test_rows_without_columns_are_an_error() -> None:
    with pytest.raises(ConfigError, match=r"^df: expected at least one column$"):
        spread_by(StructType(), key=["userId"])


def test_two_columns_of_one_name_are_an_error() -> None:
    schema = StructType([*MESSAGES.fields, MESSAGES.fields[0]])
    with pytest.raises(ConfigError, match=r"^df: expected columns of different names; userId is"):
        spread_by(schema)
