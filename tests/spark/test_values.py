"""What the columns of a DataFrame are in a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyspark
import pytest

from segment_librato.spark import deliver

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from segment_librato.devserver import LocalSegment

needs_variant = pytest.mark.skipif(pyspark.__version__ < "4", reason="variants came with Spark 4")

MESSAGE = {"userId": "'u'", "event": "'E'", "timestamp": "timestamp_ntz'2025-03-01 10:00:00'"}


def send(
    spark: SparkSession, server: LocalSegment, columns: dict[str, str], **options: Any
) -> dict[str, Any]:
    """Deliver a row of SQL expressions; return the message."""
    query = ", ".join(f"{expression} `{name}`" for name, expression in columns.items())
    (row,) = deliver(spark.sql(f"select {query}"), "key", host=server.host, **options).collect()
    assert row.outcome == "delivered", row.reason
    (message,) = server.messages
    return message


@pytest.mark.parametrize(
    "expression, sent",
    [
        ("named_struct('a', 1, 'b', named_struct('c', array(1, 2)))", {"a": 1, "b": {"c": [1, 2]}}),
        ("map('a', 1, 'b', null)", {"a": 1, "b": None}),
        ('\'{"a": [1, {"b": 2.5}]}\'', {"a": [1, {"b": 2.5}]}),
        pytest.param(
            'parse_json(\'{"a": [1, {"b": 2.5}], "t": null}\')',
            {"a": [1, {"b": 2.5}], "t": None},
            marks=needs_variant,
        ),
        ("cast(null as string)", {}),
        (
            "named_struct('p', cast(array() as array<struct<codes: array<string>>>))",
            {"p": []},
        ),
        (
            "named_struct('m', map('k', timestamp'2025-03-01 10:00:00'))",
            {"m": {"k": "2025-03-01T15:00:00+00:00"}},
        ),
    ],
)
def test_an_object_may_be_a_struct_a_map_json_or_a_variant(
    spark: SparkSession, server: LocalSegment, expression: str, sent: dict[str, Any]
) -> None:
    message = send(spark, server, {**MESSAGE, "properties": expression, "context": expression})
    assert message["properties"] == sent
    assert message["context"] == {**message["context"], **sent}


@pytest.mark.parametrize(
    "expression, sent",
    [
        ("timestamp'2025-03-01 10:00:00.123456'", "2025-03-01T15:00:00.123+00:00"),
        ("timestamp_ntz'2025-03-01 10:00:00'", "2025-03-01T10:00:00.000+00:00"),
        ("'2025-03-01T10:00:00+02:00'", "2025-03-01T08:00:00.000+00:00"),
        ("date'2025-03-01'", "2025-03-01T00:00:00.000+00:00"),
        ("1740823200L", "2025-03-01T10:00:00.000+00:00"),
    ],
)
def test_a_timestamp_is_a_moment_whatever_the_zone_of_the_session(
    spark: SparkSession, server: LocalSegment, expression: str, sent: str
) -> None:
    assert spark.conf.get("spark.sql.session.timeZone") == "America/New_York"
    assert send(spark, server, {**MESSAGE, "timestamp": expression})["timestamp"] == sent


def test_other_columns_become_properties(spark: SparkSession, server: LocalSegment) -> None:
    columns = {
        "customer": "'u'",
        "when": "timestamp_ntz'2025-03-01 10:00:00'",
        "amount": "12.50bd",
        "data": "X'00ff'",
        "nothing": "cast(null as int)",
        "day": "date'2025-03-01'",
        "properties.nested.deep": "1",
    }
    mapping = {"userId": "customer", "timestamp": "when", "properties.value": "amount"}
    message = send(spark, server, columns, mapping=mapping, event="Order Completed")
    assert message["userId"] == "u"
    assert message["event"] == "Order Completed"
    assert message["properties"] == {
        "value": 12.5,
        "data": "AP8=",
        "nothing": None,
        "day": "2025-03-01",
        "nested": {"deep": 1},
    }


def test_what_is_no_object_is_rejected(spark: SparkSession, server: LocalSegment) -> None:
    df = spark.sql(
        "select 'u' userId, 'E' event, current_timestamp() timestamp, x properties "
        "from values ('[1]'), ('{'), ('5'), ('{\"fine\": true}') as t(x)"
    )
    rows = deliver(df, "key", host=server.host).collect()
    problem = "properties: expected a dict, or the JSON of an object, got "
    problems = [problem + kind for kind in ("int", "list", "str")]
    assert sorted(row.reason or "delivered" for row in rows) == ["delivered", *problems]


def test_a_value_that_python_cannot_have_is_rejected(
    spark: SparkSession, server: LocalSegment
) -> None:
    df = spark.sql(
        "select 'u' userId, 'E' event, current_timestamp() timestamp, "
        "named_struct('text', cast(x as string)) properties "
        "from values (X'c328'), (X'61') as t(x)"
    )
    rows = deliver(df, "key", host=server.host).collect()
    fine, broken = sorted(rows, key=lambda row: row.outcome)
    assert broken.outcome == "rejected"
    assert broken.reason == "properties: the text is not UTF-8"
    assert fine.outcome == "delivered"
