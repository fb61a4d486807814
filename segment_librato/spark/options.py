"""The options of the data source: texts, as Spark passes them on.

Must not know what they are for, or Spark.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from segment_librato.bulk.allowance import Allowance
from segment_librato.bulk.rules import RowRules
from segment_librato.errors import ConfigError
from segment_librato.foreign.narrowing import is_dict
from segment_librato.spark.job import Job
from segment_librato.spark.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from segment_librato.spark.task import Secret

__all__ = ["WRITE_KEY", "read_options"]

WRITE_KEY = "writeKey"
OF_SPARK = {"checkpointlocation", "path"}  # it adds them itself
SWITCHES = {"true": True, "false": False}


def _mapping(text: str) -> dict[str, str]:
    value = json.loads(text)
    if not is_dict(value):
        raise TypeError
    return value


def _columns(text: str) -> list[str]:
    columns = [column.strip() for column in text.split(",")]
    if not all(columns):
        raise ValueError
    return columns


def _switch(text: str) -> bool:
    return SWITCHES[text.lower()]


# By option: whose it is, the name that it has there, how it is read, and what it should be.
_OPTIONS: dict[str, tuple[type, str, Callable[[str], Any], str]] = {
    "name": (RowRules, "name", str, "a text"),
    "type": (RowRules, "message_type", str, "a type of messages"),
    "event": (RowRules, "event", str, "a text"),
    "mapping": (RowRules, "mapping", _mapping, "a JSON object of targets to columns"),
    "key": (RowRules, "key", _columns, "columns with commas between them"),
    "now": (RowRules, "now", _switch, "true or false"),
    "host": (Task, "host", str, "a URL"),
    "rate": (Task, "rate", float, "a number"),
    "partitions": (Task, "partitions", int, "a whole number"),
    "concurrency": (Task, "concurrency", int, "a whole number"),
    "gzip": (Task, "gzip", _switch, "true or false"),
    "maxRetries": (Task, "max_retries", int, "a whole number"),
    "retryFor": (Task, "retry_for", float, "a number of seconds"),
    "maxRejects": (Job, "max_rejects", Allowance.read, "a number, or a percentage such as 5%"),
}
_BY_LOWER_CASE = {name.lower(): name for name in _OPTIONS}


def read_options(options: Mapping[str, str], secret: Secret) -> Job:
    """Return the write that options describe; Spark does not tell upper from lower case in them.

    Raises:
        ConfigError: there is no such option, or its value is wrong.
    """
    values: dict[type, dict[str, Any]] = {RowRules: {}, Task: {}, Job: {}}
    for given, text in options.items():
        if given.lower() in OF_SPARK or given.lower() == WRITE_KEY.lower():
            continue
        if given.lower() not in _BY_LOWER_CASE:
            raise ConfigError(f"{given}: no such option; the options are {_names()}")
        name = _BY_LOWER_CASE[given.lower()]
        owner, field, read, expected = _OPTIONS[name]
        try:
            values[owner][field] = read(text)
        except (KeyError, TypeError, ValueError):
            raise ConfigError(f"{name}: expected {expected}") from None
    allowance = values[Job].get("max_rejects", Allowance())
    values[Task]["allowance"] = allowance if allowance.most else None
    task = Task(secret, RowRules(**values[RowRules]), **values[Task])
    return Job(task, allowance)


def _names() -> str:
    return ", ".join([WRITE_KEY, *_OPTIONS])
