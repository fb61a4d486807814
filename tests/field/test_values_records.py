"""Records of msgspec and rows of SQLAlchemy."""

from __future__ import annotations

import msgspec
import sqlalchemy

from segment_librato import Client

client = Client("test-key", send=False)


class Point(msgspec.Struct):  # type: ignore[misc]  # only its own environment has the types
    """A record."""

    x: int
    y: float | None = None


class Person(msgspec.Struct, rename="camel"):  # type: ignore[misc, call-arg]  # the same
    """A record that is written with other names."""

    first_name: str
    age: int | msgspec.UnsetType = msgspec.UNSET


def test_a_struct_is_an_object_with_the_names_that_it_is_written_with() -> None:
    properties = {"point": Point(1), "person": Person("Ada"), "points": [Point(1, 2.5)]}
    assert client.track("user", "event", properties)[1]["properties"] == {
        "point": {"x": 1, "y": None},
        "person": {"firstName": "Ada", "age": None},
        "points": [{"x": 1, "y": 2.5}],
    }


def test_a_row_is_an_object() -> None:
    with sqlalchemy.create_engine("sqlite://").connect() as connection:
        query = sqlalchemy.text("SELECT 1 AS id, 'cup' AS name")
        row = connection.execute(query).one()
        result = connection.execute(query)
        properties = {"row": row, "rows": [row], "mapping": row._mapping, "result": result}  # noqa: SLF001  documented
        _, message = client.track("user", "event", properties)
    expected = {"id": 1, "name": "cup"}
    assert message["properties"] == {
        "row": expected,
        "rows": [expected],
        "mapping": expected,
        "result": [expected],
    }
