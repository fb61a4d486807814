"""urllib3, which comes with `requests`: too old a one is named."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import TYPE_CHECKING

import pytest
import urllib3

from segment_librato.errors import DeliveryError
from segment_librato.http import check_urllib3

if TYPE_CHECKING:
    from pathlib import Path

TOO_OLD = "sending needs urllib3 1.26.5 or later, not {}; pip install --upgrade urllib3"


@pytest.mark.parametrize("version", ["1.21.1", "1.24", "1.25.11", "1.26.4"])
def test_one_that_is_too_old_is_named(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib3, "__version__", version)
    with pytest.raises(DeliveryError) as raised:
        check_urllib3()
    assert str(raised.value) == TOO_OLD.format(version)


@pytest.mark.parametrize("version", ["1.26.5", "1.26.20", "2.0.0a1", "2.8.0", "10.0", "unknown"])
def test_any_other_will_do(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib3, "__version__", version)
    check_urllib3()


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have a urllib3 that cannot be imported, as old ones cannot on new versions of Python."""
    (tmp_path / "urllib3.py").write_text("from collections import Mapping")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "urllib3")


@pytest.mark.usefixtures("broken")
def test_one_that_cannot_be_imported_as_it_is_too_old_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: "1.22")
    with pytest.raises(DeliveryError) as raised:
        check_urllib3()
    assert str(raised.value) == TOO_OLD.format("1.22")


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("is_known", [True, False])
def test_any_other_failure_is_told_as_it_is(
    monkeypatch: pytest.MonkeyPatch, *, is_known: bool
) -> None:
    def version(name: str) -> str:
        if is_known:
            return "2.8.0"
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(ImportError, match="Mapping"):
        check_urllib3()
