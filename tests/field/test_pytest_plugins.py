"""Plugins of pytest and packages for tests, beside which the fixture `segment` records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio  # noqa: F401  its plugin of pytest is tried here
import freezegun  # noqa: F401  the runs below import it
import pytest
import pytest_asyncio  # noqa: F401  the same
import pytest_socket  # noqa: F401  the same
import time_machine  # noqa: F401  the same

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]

# Every part of a test tracks, by a client that was made before and by one of its own.
ASYNCHRONOUS = """
    import pytest
    from segment_librato import Client

    early = Client("test-key", "http://127.0.0.1:9")

    {fixture}
    async def user():
        early.identify("user-1")
        yield "user-1"
        early.track("user-1", "torn down")

    {test}
    async def test_checkout(segment, user):
        async with Client() as client:
            client.track(user, "event")
            assert await client.aflush()
        early.track(user, "event")
        segment.assert_tracked("event", user_id=user, times=2)

    {test}
    async def test_another(segment):
        assert segment.messages == []
"""
FROZEN = """
    from segment_librato import Client
    {imports}

    early = Client("test-key", "http://127.0.0.1:9")
    stamp = "2012-01-14T03:21"

    {decorator}
    def test_a_decorated_test(segment):
        early.track("user-1", "event")
        early.gauge("gauge", 42)
        assert early.flush(30)
        assert segment.tracked("event")[0]["timestamp"].startswith(stamp)
        assert segment.measurements[1].measure_time == 1326511294

    def test_a_block(segment):
        with {block}:
            early.track("user-1", "event")
            assert early.shutdown()
        early.track("user-1", "too late")
        assert [message["timestamp"][:16] for message in segment.messages] == [stamp]
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    def run_(test: str, *args: str, ini: str = "") -> pytest.RunResult:
        pytester.makeini(f"[pytest]\nfilterwarnings = error\n{ini}")
        pytester.makepyfile(test_shop=test)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *args)

    return run_


@pytest.mark.parametrize("option", ["", "segment_capture = all\n"], ids=["fixture", "all"])
@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_pytest_asyncio(run: Run, mode: str, option: str) -> None:
    marks = {"fixture": "@pytest_asyncio.fixture", "test": "@pytest.mark.asyncio"}
    test = "    import pytest_asyncio\n" + ASYNCHRONOUS.format(**marks)
    ini = f"{option}asyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function"
    run(test, ini=ini).assert_outcomes(passed=2)


@pytest.mark.parametrize("option", ["", "segment_capture = all"], ids=["fixture", "all"])
def test_anyio(run: Run, option: str) -> None:
    test = ASYNCHRONOUS.format(fixture="@pytest.fixture", test="@pytest.mark.anyio")
    backend = """
    @pytest.fixture
    def anyio_backend():
        return "asyncio"
    """
    run(test + backend, "-p", "no:asyncio", ini=option).assert_outcomes(passed=2)


def test_pytest_socket(run: Run) -> None:
    test = """
        import threading
        from segment_librato import Client, LibratoConfig

        early = Client("test-key", "http://127.0.0.1:9", sync_mode=True)

        def test_checkout(segment):
            threads = threading.enumerate()
            gauges = LibratoConfig("ada@example.com", "token")
            with Client("test-key", gauges=gauges) as client:
                client.gauge("gauge", 42)
                client.configure_gauge("gauge")
            early.track("user-1", "event")
            segment.assert_tracked("event")
            segment.assert_gauge("gauge", 42)
            assert threading.enumerate() == threads
    """
    run(test, "-p", "no:asyncio", "--disable-socket").assert_outcomes(passed=1)


def test_freezegun(run: Run) -> None:
    at = 'freeze_time("2012-01-14T03:21:34+00:00")'
    imports = "from freezegun import freeze_time"
    test = FROZEN.format(imports=imports, decorator=f"@{at}", block=at)
    run(test, "-p", "no:asyncio").assert_outcomes(passed=2)


def test_time_machine(run: Run) -> None:
    at = 'travel("2012-01-14T03:21:34+00:00", tick=False)'
    imports = "from time_machine import travel"
    test = FROZEN.format(imports=imports, decorator=f"@{at}", block=at)
    run(test, "-p", "no:asyncio").assert_outcomes(passed=2)
