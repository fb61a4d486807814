"""`increment` and `timer`: gauges that count and that measure time."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support.otlp_receiver import OtlpReceiver

import segment_librato as analytics
from segment_librato import (
    Client,
    LibratoConfig,
    NetworkError,
    OpenTelemetryConfig,
    Timer,
    ValidationError,
)
from segment_librato.gauge_delivery import timer as timer_module

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timer_module, "monotonic", clock)
    return clock


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client(upload_interval=60)


def gauges(client: Client, server: LocalSegment) -> list[tuple[str, Any, str]]:
    assert client.flush(10)
    return [(one.name, one.value, one.source) for one in server.measurements]


# Counts


def test_an_increment_is_a_gauge_of_the_amount(client: Client, server: LocalSegment) -> None:
    assert client.increment("jobs.failed")[0]
    assert client.increment("jobs.failed", 3, source="worker-1")[0]
    accepted, message = client.increment("jobs.failed", Decimal("-0.5"), user_id="user-1")
    assert accepted
    assert message["userId"] == "user-1"
    assert gauges(client, server) == [
        ("jobs.failed", 1, "jobs.failed"),
        ("jobs.failed", 3, "worker-1"),
        ("jobs.failed", -0.5, "jobs.failed"),
    ]


@pytest.mark.parametrize("amount", ["1", None, True, float("nan"), 10**127])
def test_an_amount_that_is_no_number_is_named(client: Client, amount: Any) -> None:
    with pytest.raises(ValidationError, match=r"^amount: expected a .*number"):
        client.increment("jobs.failed", amount)


def test_sums_are_exact_with_aggregation_whatever_the_thread(
    server: LocalSegment, make_client: MakeClient
) -> None:
    account = LibratoConfig("ada@example.com", "token", host=server.host, aggregate=3_600)
    client = make_client(gauges=account)

    def count() -> None:
        for _ in range(500):
            client.increment("jobs.done", 0.1, source="worker-1")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(10)
    samples = server.librato.samples
    assert {(one.name, one.source) for one in samples} == {("jobs.done", "worker-1")}
    assert sum(one.count for one in samples) == 2_000
    assert sum(one.sum for one in samples) == pytest.approx(200, rel=1e-15)


def test_the_sum_over_opentelemetry_is_a_gauge_of_its_own(make_client: MakeClient) -> None:
    with OtlpReceiver() as receiver:
        account = OpenTelemetryConfig(receiver.host, aggregate=3_600)
        client = make_client(gauges=account)
        for amount in (1, 1, 5):
            client.increment("jobs.failed", amount, source="worker-1")
        assert client.flush(10)
        points = [point for request in receiver.requests for point in request.points]
    values = {point.name: point.value for point in points}
    assert (values["jobs.failed.sum"], values["jobs.failed.count"]) == (7, 3)


# Times


def test_a_with_is_measured_in_seconds(client: Client, server: LocalSegment, clock: Clock) -> None:
    with client.timer("job.duration", source="worker-1"):
        clock.now += 1.5
    with client.timer("job.duration", user_id="user-1"):
        clock.now += 0.25
    assert gauges(client, server) == [
        ("job.duration", 1.5, "worker-1"),
        ("job.duration", 0.25, "job.duration"),
    ]
    assert server.messages[1]["userId"] == "user-1"


def test_a_body_that_raises_is_measured_and_its_error_reaches_the_caller(
    client: Client, server: LocalSegment, clock: Clock
) -> None:
    for error in (ValueError, KeyboardInterrupt, asyncio.CancelledError):

        @client.timer("job.duration")
        def job(error: type[BaseException] = error) -> None:
            clock.now += 2
            raise error

        with pytest.raises(error):
            job()
    assert [value for _, value, _ in gauges(client, server)] == [2, 2, 2]


def test_timers_may_be_nested_and_used_again(
    client: Client, server: LocalSegment, clock: Clock
) -> None:
    timer = client.timer("job.duration")
    with timer:
        clock.now += 1
        with timer:
            clock.now += 2
    with timer:
        clock.now += 4
    assert [value for _, value, _ in gauges(client, server)] == [2, 3, 4]


def test_each_call_of_a_function_is_measured(
    client: Client, server: LocalSegment, clock: Clock
) -> None:
    @client.timer("job.duration", source="worker-1")
    def job(seconds: float, *, fails: bool = False) -> float:
        """Do a job."""
        clock.now += seconds
        if fails:
            raise ValueError
        return seconds

    assert (job(1), job(2)) == (1, 2)
    with pytest.raises(ValueError, match=r"^$"):
        job(3, fails=True)
    assert (job.__name__, job.__doc__) == ("job", "Do a job.")
    assert gauges(client, server) == [("job.duration", n, "worker-1") for n in (1, 2, 3)]


def test_each_call_of_a_coroutine_function_is_measured_while_others_run(
    client: Client, server: LocalSegment, clock: Clock
) -> None:
    first_waits = asyncio.Event()

    @client.timer("job.duration")
    async def job(*, waits: bool) -> bool:
        if waits:
            first_waits.set()
            await asyncio.sleep(0)
        clock.now += 1
        await asyncio.sleep(0)
        return waits

    async def main() -> list[bool]:
        first = asyncio.create_task(job(waits=True))
        await first_waits.wait()
        return [await job(waits=False), await first]

    assert inspect.iscoroutinefunction(job)
    assert asyncio.run(main()) == [False, True]
    assert [value for _, value, _ in gauges(client, server)] == [2, 2]  # both began at 0


def test_threads_may_call_a_function_at_the_same_time(
    client: Client, server: LocalSegment, clock: Clock
) -> None:
    both = threading.Barrier(2)

    @client.timer("job.duration")
    def job() -> None:
        both.wait(10)
        clock.now = 5.0
        both.wait(10)

    threads = [threading.Thread(target=job) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [value for _, value, _ in gauges(client, server)] == [5, 5]


def test_a_partial_and_a_method_are_functions(
    client: Client, server: LocalSegment, clock: Clock
) -> None:
    class Job:
        @client.timer("method")
        def run(self, seconds: float) -> None:
            clock.now += seconds

    Job().run(1)
    client.timer("partial")(partial(Job().run, 2))()
    assert {(name, value) for name, value, _ in gauges(client, server)} == {
        ("method", 1),
        ("method", 2),
        ("partial", 2),
    }


def test_an_object_with_a_coroutine_function_is_one(
    client: Client, server: LocalSegment, clock: Clock
) -> None:
    class Job:
        async def __call__(self) -> None:
            clock.now += 1

    asyncio.run(client.timer("job.duration")(Job())())
    assert [value for _, value, _ in gauges(client, server)] == [1]


def numbers() -> Iterator[int]:
    yield 1


async def asynchronous_numbers() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [numbers, asynchronous_numbers])
def test_a_generator_function_is_rejected(client: Client, function: Any) -> None:
    """It would be measured until its first value is asked for."""
    with pytest.raises(ValidationError, match=r"^timer: expected no generator function"):
        client.timer("job.duration")(function)


@pytest.mark.parametrize("thing", [int, staticmethod(len), classmethod(repr), property(len), 5])
def test_what_is_no_function_is_rejected_before_it_is_called(client: Client, thing: Any) -> None:
    """Decorated, a class would be no class any more, and the others could not be called."""
    expected = f"^timer: expected a function to decorate, got {type(thing).__name__}$"
    with pytest.raises(ValidationError, match=expected):
        client.timer("job.duration")(thing)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"name": ""}, "name: expected a non-empty str"),
        ({"name": "all"}, "name: expected another name"),
        ({"source": ""}, "source: expected a non-empty str or None"),
        ({"user_id": []}, "user_id: expected a str or a number, got list"),
    ],
)
def test_a_wrong_argument_raises_before_the_body(
    client: Client, arguments: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValidationError, match=f"^{text}"):
        client.timer(**{"name": "job.duration", **arguments})


def test_the_real_clock_is_one_that_nobody_sets(
    client: Client, server: LocalSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client.timer("job.duration"):
        monkeypatch.setattr(time, "monotonic", lambda: 1e9)
        monkeypatch.setattr(time, "time", lambda: 1e9)
    monkeypatch.undo()
    ((_, seconds, _),) = gauges(client, server)
    assert 0 <= seconds < 10


def test_in_sync_mode_an_error_of_the_body_is_the_one_that_is_raised() -> None:
    client = Client("test-key", "http://127.0.0.1:9", sync_mode=True, max_retries=0)
    with pytest.raises(ValueError, match=r"^the body$"), client.timer("job.duration"):
        raise ValueError("the body")
    with pytest.raises(NetworkError), client.timer("job.duration"):
        pass


def test_the_module_has_both(
    server: LocalSegment, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """A decorator may come before the settings: the client is made when a call ends."""
    monkeypatch.setattr(analytics, "default_client", None)
    monkeypatch.setattr(analytics, "write_key", None)

    @analytics.timer("job.duration")
    def job() -> None:
        clock.now += 1

    assert isinstance(analytics.timer("job.duration"), Timer)
    assert analytics.default_client is None
    monkeypatch.setattr(analytics, "write_key", "test-key")
    monkeypatch.setattr(analytics, "host", server.host)
    job()
    assert analytics.increment("jobs.done", source="worker-1")[0]
    assert analytics.flush(10)
    measured = {(one.name, one.value, one.source) for one in server.measurements}
    assert measured == {("job.duration", 1, "job.duration"), ("jobs.done", 1, "worker-1")}
    analytics.shutdown()
