"""cloudpickle, by which Spark, Dask, Ray and joblib send functions to other processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import cloudpickle

import segment_librato as analytics

if TYPE_CHECKING:
    import pytest

# As in a notebook: what `__main__` defines is pickled with the globals that it uses.
SENDER = """
    import sys
    import cloudpickle
    import segment_librato as analytics
    from segment_librato import track

    analytics.send = False

    def work(number):
        return [analytics.track("user", "event", {"n": number}), track("user", "event")]

    def stands_for_itself():
        return analytics

    sys.stdout.buffer.write(cloudpickle.dumps([work, stands_for_itself]))
"""


def test_a_function_that_uses_the_module_refers_to_it_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = subprocess.run(  # noqa: S603  our own code
        [sys.executable, "-c", textwrap.dedent(SENDER)], check=True, capture_output=True, timeout=60
    )
    for name in ("send", "default_client"):
        monkeypatch.setattr(analytics, name, getattr(analytics, name))
    analytics.default_client = None
    analytics.send = False
    work, stands_for_itself = pickle.loads(process.stdout)  # noqa: S301  made above
    assert stands_for_itself() is analytics
    first, second = work(5)
    assert first[0]
    assert second[0]
    assert first[1]["properties"] == {"n": 5}


def test_the_module_itself_is_pickled_by_its_name() -> None:
    assert pickle.loads(cloudpickle.dumps(analytics)) is analytics  # noqa: S301  made here
