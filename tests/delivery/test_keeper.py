"""The thread that has the disk hold what was written: what wakes it, and what ends it."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from segment_librato.delivery.keeper import Keeper
from segment_librato.process.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Work:
    """Counts how often it is done, and raises what it is told to."""

    def __init__(self) -> None:
        self.raises: list[BaseException] = []
        self.done = threading.Semaphore(0)

    def __call__(self) -> None:
        self.done.release()
        if self.raises:
            raise self.raises.pop()

    def wait(self) -> bool:
        return self.done.acquire(timeout=10)


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def urgent_work() -> Work:
    return Work()


@pytest.fixture
def make(work: Work, urgent_work: Work) -> Iterator[Callable[..., Keeper]]:
    made: list[Keeper] = []

    def make(seconds: float = 0.0) -> Keeper:
        made.append(Keeper(work, urgent_work, seconds, Clock()))
        made[-1].start()
        assert work.wait()  # there may be something to do already
        return made[-1]

    yield make
    for keeper in made:
        keeper.stop()
        keeper.join(10)
        assert not (keeper.thread and keeper.thread.is_alive())


def test_it_works_each_time_it_is_woken_and_at_once_when_it_hurries(
    make: Callable[..., Keeper], work: Work, urgent_work: Work
) -> None:
    keeper = make()
    keeper.wake()
    assert work.wait()
    keeper._seconds = 60  # noqa: SLF001  that no test waits out
    keeper.hurry()
    assert urgent_work.wait()
    assert not work.done.acquire(blocking=False)


@pytest.mark.parametrize("exception", [SystemExit(1), KeyboardInterrupt(), ValueError("a bug")])
def test_it_goes_on_after_an_on_error_that_exits(
    make: Callable[..., Keeper],
    work: Work,
    urgent_work: Work,
    caplog: pytest.LogCaptureFixture,
    exception: BaseException,
) -> None:
    keeper = make()
    work.raises, urgent_work.raises = [exception], [exception]
    for _ in range(2):
        keeper.wake()
        assert work.wait()
    keeper._seconds = 60  # noqa: SLF001  that no test waits out
    for _ in range(2):
        keeper.hurry()
        assert urgent_work.wait()
    assert keeper.thread
    assert keeper.thread.is_alive()
    assert caplog.messages == [f"the keeper continues after {type(exception).__name__}"] * 2


def test_it_ends_with_its_greenlet(
    make: Callable[..., Keeper],
    work: Work,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class GreenletExit(BaseException):
        pass

    monkeypatch.setitem(sys.modules, "greenlet", SimpleNamespace(GreenletExit=GreenletExit))
    keeper = make()
    thread = keeper.thread
    assert thread
    work.raises = [GreenletExit()]
    with caplog.at_level("DEBUG"):
        keeper.wake()
        assert work.wait()
        thread.join(10)
    assert not thread.is_alive()
    assert caplog.messages == ["keeper stopped by GreenletExit"]
    keeper.start()
    assert work.wait()
    assert keeper.thread is not thread


def test_it_does_not_start_when_the_interpreter_ends(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper(work, work, 0, Clock())
    with monkeypatch.context() as patch:
        patch.setattr(sys, "is_finalizing", lambda: True)
        with pytest.raises(RuntimeError, match="the interpreter exits"):
            keeper.start()
    assert keeper.thread is None
