"""An option is declared once: what the rest of the package says about it comes from there."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from regenerate import outdated

from segment_librato.config.client import Config
from segment_librato.config.gauges import DirectDelivery, LibratoConfig, OpenTelemetryConfig
from segment_librato.config.options import Options

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "options.py"))


def test_nothing_is_out_of_date(script: dict[str, Any]) -> None:
    files = [str(path.relative_to(ROOT)) for path in outdated(script["generated"]())]
    assert not files, "run `make options`"


@pytest.mark.parametrize("kind", [Config, DirectDelivery, LibratoConfig, OpenTelemetryConfig])
def test_every_option_is_described(script: dict[str, Any], kind: type[Options]) -> None:
    for name, description in script["descriptions"](kind).items():
        assert description.endswith("."), f"{name}: write a sentence"
        assert len(script["first_sentence"](description)) < 120, f"{name}: say it in short first"


def test_what_is_not_described_or_not_declared_is_named(script: dict[str, Any]) -> None:
    class Undescribed(Options):
        """Options.

        Attributes:
            known: An option.
        """

        known: int = 0
        unknown: int = 0

    class Undeclared(Options):
        """Options.

        Attributes:
            gone: An option.
        """

    with pytest.raises(SystemExit, match=r"^Undescribed\.unknown: add it to the Attributes"):
        script["descriptions"](Undescribed)
    with pytest.raises(SystemExit, match=r"^Undeclared\.gone: add it to the body"):
        script["descriptions"](Undeclared)
