"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from segment_librato.recording import recordings

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.devserver import LocalSegment

    Run = Callable[..., pytest.RunResult]

FAILING = """
    import segment_librato as analytics

    def test_checkout(segment):
        analytics.track("user-1", "Order Completed", {"value": 40, "currency": "EUR"})
        segment.assert_tracked("Order Completed", user_id="user-1", value=42.5)
"""
# Each test of a suite, a module that it imports, and a fixture track once.
SUITE = {
    "conftest": """
        import pytest
        from shop import client

        @pytest.fixture(scope="session", autouse=True)
        def shop():
            client.track("user", "of the session")
            yield
            client.track("user", "of the session")
    """,
    "shop": """
        from segment_librato import Client

        client = Client("test-key", {host!r})
        client.track("user", "of the import")
    """,
    "test_shop": """
        import unittest
        from shop import client
        from segment_librato.recording import recordings

        def test_plain():
            client.track("user", "event")
            client.shutdown()
            assert len(recordings) == 2

        def test_with_the_fixture(segment):
            assert segment.messages == []
            assert client.track("user", "event")[0]
            segment.assert_tracked("event", times=1)
            assert len(recordings) == 2

        class TestOfUnittest(unittest.TestCase):
            def test(self):
                assert client.track("user", "event")[0]
                assert len(recordings) == 2
    """,
}


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run the tests of some files, in this process unless told otherwise."""

    def run_(*args: str, ini: str = "", in_process: bool = True, **files: str) -> pytest.RunResult:
        pytester.makeini(f"[pytest]\nfilterwarnings = error\n{ini}")
        pytester.makepyfile(**{"test_nothing": "", **files})
        run = pytester.runpytest_inprocess if in_process else pytester.runpytest_subprocess
        return run("-p", "no:asyncio", "-p", "no:cacheprovider", *args)

    return run_


def test_a_failing_test_shows_the_difference_and_nothing_of_ours(run: Run) -> None:
    result = run(test_shop=FAILING)
    result.assert_outcomes(failed=1)
    head = '"Order Completed" was not tracked like this; the only track message'
    lines = [line for line in result.outlines if line.startswith(("E ", "> ", "test_shop.py:"))]
    assert lines == [
        '>       segment.assert_tracked("Order Completed", user_id="user-1", value=42.5)',
        f"E       AssertionError: {head} (- expected, + recorded):",
        'E         event             "Order Completed"',
        'E         userId            "user-1"',
        "E       - properties.value  42.5",
        "E       + properties.value  40",
        "E         its other properties: currency",
        "test_shop.py:5: AssertionError",
    ]


def test_each_test_starts_empty_and_leaves_no_recording(run: Run) -> None:
    test = """
        from segment_librato import Client
        client = Client("test-key", "http://127.0.0.1:9")

        def check(segment):
            assert segment.messages == []
            client.track("user", "event")
            segment.assert_tracked("event", times=1)

        def test_one(segment): check(segment)
        def test_two(segment): check(segment)
    """
    run(test_shop=test).assert_outcomes(passed=2)
    assert recordings == []


@pytest.mark.parametrize("args", [[], ["-n", "2"]], ids=["alone", "with pytest-xdist"])
def test_a_whole_suite_sends_nothing(run: Run, server: LocalSegment, args: list[str]) -> None:
    files = {name: text.format(host=server.host) for name, text in SUITE.items()}
    result = run(*args, ini="segment_capture = all", in_process=not args, **files)
    result.assert_outcomes(passed=3)
    assert server.requests == []
    assert recordings == []


@pytest.mark.parametrize("is_named_by", ["the command line", "conftest.py"])
def test_a_suite_may_name_the_plugin_itself(
    run: Run, server: LocalSegment, monkeypatch: pytest.MonkeyPatch, is_named_by: str
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    name = "segment_librato.testing.plugin"
    files = {name: text.format(host=server.host) for name, text in SUITE.items()}
    args = ["-p", name]
    if is_named_by == "conftest.py":
        files, args = {**files, "conftest": f"pytest_plugins = [{name!r}]"}, []
    result = run(*args, ini="segment_capture = all", in_process=False, **files)
    result.assert_outcomes(passed=3)
    assert server.requests == []


def test_without_the_option_only_tests_with_the_fixture_record(
    run: Run, server: LocalSegment
) -> None:
    test = f"""
        from segment_librato import Client
        client = Client("test-key", {server.host!r})

        def test_one(): client.track("user", "sent")
        def test_two(segment): client.track("user", "recorded")
        def test_three(): assert client.shutdown(10)
    """
    run(in_process=False, test_shop=test).assert_outcomes(passed=3)
    assert [message["event"] for message in server.messages] == ["sent"]


def test_a_suite_may_have_a_fixture_of_this_name_for_something_else(run: Run) -> None:
    test = """
        import pytest
        from segment_librato import Client

        @pytest.fixture
        def segment():
            raise AssertionError

        def test_one(): assert Client().track("user", "event")
    """
    run(ini="segment_capture = all", test_shop=test).assert_outcomes(passed=1)


def test_hypothesis_may_repeat_a_test_that_records(run: Run) -> None:
    test = """
        from hypothesis import given, settings
        from hypothesis.strategies import integers
        from segment_librato import Client

        client = Client("test-key", "http://127.0.0.1:9")

        @given(integers())
        @settings(max_examples=3, database=None)
        def test_one(number):
            assert client.track("user", "event", {"number": number})[0]
    """
    run(ini="segment_capture = all", test_shop=test).assert_outcomes(passed=1)


def test_another_value_of_the_option_is_an_error(run: Run) -> None:
    result = run(ini="segment_capture = some", in_process=False)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.errlines == ['ERROR: segment_capture: expected "all" or nothing, got "some"', ""]


def test_the_option_and_the_fixture_are_described(run: Run) -> None:
    result = run("--help", in_process=False)
    result.stdout.fnmatch_lines(["  segment_capture (string):"])
    result = run("--fixtures")
    result.stdout.fnmatch_lines(["segment -- *plugin.py:*", "    Record what is tracked *"])


@pytest.mark.usefixtures("unmeasured")
def test_the_plugin_imports_neither_http_nor_asyncio() -> None:
    heavy = ["asyncio", "http", "ssl", "socket", "requests", "urllib3", "backoff", "orjson"]
    code = f"""
import sys
import pytest
before = set(sys.modules)
import segment_librato.testing.plugin
print(sorted(({{*sys.modules}} - before) & {{*{heavy!r}}}))
"""
    assert output(code) == "[]\n"


@pytest.mark.usefixtures("unmeasured")
def test_a_capture_needs_no_pytest() -> None:
    code = """
import sys
from segment_librato import Client
from segment_librato.testing import capture
with capture() as segment:
    Client().track("user", "event")
segment.assert_tracked("event")
print("pytest" in sys.modules)
"""
    assert output(code) == "False\n"


def output(code: str) -> str:
    done = subprocess.run(  # noqa: S603  our own code
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    return done.stdout
