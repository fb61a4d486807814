"""The names of the package, in each version of Spark."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

from segment_librato import spark as package


def test_the_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        _ = package.other


def test_all_names_can_be_imported_in_any_version() -> None:
    names: dict[str, object] = {}
    exec("from segment_librato.spark import *", names)  # noqa: S102  only a module may do it
    assert names["deliver"] is package.deliver


def test_a_missing_package_is_told_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("segment_librato.spark")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r'; Spark needs .*"segment-librato\[spark\]"$'):
        import_module("segment_librato.spark")


def test_a_spark_without_data_sources_says_what_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "segment_librato.spark.source", raising=False)
    monkeypatch.setitem(sys.modules, "pyspark.sql.datasource", None)
    with pytest.raises(ImportError) as caught:
        _ = package.SegmentDataSource
    assert str(caught.value) == "SegmentDataSource needs Spark 4; with 3.5, use `deliver`"
