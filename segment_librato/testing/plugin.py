"""The pytest plugin: the fixture `segment`, and the ini option `segment_capture`.

Every test run of an environment with this package loads it, so it imports neither HTTP nor
asyncio. Owns when a capture begins and ends. Must not know what it records.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from segment_librato.testing.capture import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.testing.capture import Capture

OPTION = "segment_capture"
HELP = "`all` has every test record what it tracks instead of sending it, with or without `segment`"


@pytest.fixture
def segment(_segment_capture: Capture) -> Capture:
    """Record what is tracked during a test, instead of sending it; see docs/testing.md."""
    return _segment_capture


@pytest.fixture
def _segment_capture() -> Iterator[Capture]:
    # By another name than `segment`, which a suite may have given to a fixture of its own.
    with capture() as captured:
        yield captured


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini option."""
    parser.addini(OPTION, HELP, default="")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """With `all`, record from now on: what a conftest.py imports may track, too."""
    _record_all_if_asked(early_config)


def pytest_configure(config: pytest.Config) -> None:
    """Do the same where a conftest.py has named this plugin, and it is loaded only now."""
    _record_all_if_asked(config)


def _record_all_if_asked(config: pytest.Config) -> None:
    value = config.getini(OPTION)
    if value not in {"", "all"}:
        raise pytest.UsageError(f'{OPTION}: expected "all" or nothing, got "{value}"')
    if value and not config.pluginmanager.has_plugin(OPTION):
        whole_run = ExitStack()
        whole_run.enter_context(capture())
        config.add_cleanup(whole_run.close)
        config.pluginmanager.register(_CaptureAll(), OPTION)


class _CaptureAll:
    """Gives each test a capture of its own, so that none finds what another has left."""

    @pytest.fixture(autouse=True)
    def _segment_captures_all(self, _segment_capture: Capture) -> None:
        """Make the capture before the other fixtures of the test."""
