"""Lazy objects, texts and querysets of Django."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from django.db import connection, models
from django.utils.functional import SimpleLazyObject
from django.utils.functional import lazy as django_lazy
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from support import django_project
from support.stand_ins import expect_left_out

from segment_librato import Client

django_project.configure()

client = Client("test-key", send=False)


class Account(models.Model):  # type: ignore[misc]  # Any to a type checker
    """A model of an application."""

    name = models.CharField(max_length=20)

    class Meta:
        """Where it belongs."""

        app_label = "field"

    def __str__(self) -> str:
        return str(self.name)


def lazy(value: object) -> Any:
    return SimpleLazyObject(lambda: value)


def made_by_lazy(value: object) -> Any:
    return django_lazy(lambda: value, type(value))()


LAZIES = pytest.mark.parametrize("make", [lazy, made_by_lazy])


@LAZIES
@pytest.mark.parametrize("value", ["text", "töxt", 7, 1.5, True, None, [1, {"a": 2}], {"a": 1}])
def test_a_lazy_value_is_what_it_stands_for(make: Any, value: object) -> None:
    properties = {"value": make(value), "nested": [{"value": make(value)}]}
    assert client.track("user", "event", properties)[1]["properties"] == {
        "value": value,
        "nested": [{"value": value}],
    }


@LAZIES
def test_so_are_arguments(make: Any) -> None:
    _, message = client.track("user", "event", make({"a": make([1])}), make({"b": 2}))
    assert message["properties"] == {"a": [1]}
    assert message["context"]["b"] == 2
    assert client.identify(make(7), make({"a": 1}))[1]["traits"] == {"a": 1}
    at = make(datetime(2026, 1, 2, tzinfo=timezone.utc))
    _, message = client.gauge("depth", make(3), timestamp=at)
    assert message["properties"] == {"value": 3}
    assert message["timestamp"] == "2026-01-02T00:00:00.000+00:00"


@LAZIES
def test_none_is_none(make: Any) -> None:
    expect_left_out(make(None))


@pytest.mark.parametrize("make", [lazy, gettext_lazy, mark_safe])
def test_ids_names_and_the_write_key_are_their_text(make: Any) -> None:
    _, message = client.track(make("user"), make("bought"), message_id=make("id"))
    assert (message["userId"], message["event"], message["messageId"]) == ("user", "bought", "id")
    _, message = client.page("user", make("docs"), make("home"))
    assert (message["category"], message["name"]) == ("docs", "home")
    assert client.alias(make("before"), "user")[1]["previousId"] == "before"
    other = Client(make("key"), send=False)
    assert type(other.write_key) is str
    assert other.write_key == "key"


def test_the_id_of_a_lazy_user_is_a_number() -> None:
    user = lazy(Account(id=7, name="ada"))
    _, message = client.identify(user.id, {"name": user.name, "user": user})
    assert message["userId"] == "7"
    assert message["traits"] == {"name": "ada", "user": "ada"}


def test_a_queryset_is_null_with_a_line_in_the_log_and_makes_no_query(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError

    queryset = Account.objects.all()
    with connection.execute_wrapper(refuse):
        _, message = client.track("user", "event", {"accounts": queryset})
    assert message["properties"] == {"accounts": None}
    assert caplog.messages == [
        "properties.accounts: a value of type QuerySet cannot be written as JSON; sent as null"
    ]
