"""The pool: who has what, and what is closed."""

from __future__ import annotations

import pytest

from segment_librato.errors import NetworkError
from segment_librato.http.pool import Pool


class Lent:
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_what_came_back_is_lent_again() -> None:
    pool = Pool(Lent)
    with pool.lend() as first:
        pass
    with pool.lend() as second:
        assert second is first


def test_nothing_is_lent_twice_at_a_time() -> None:
    pool = Pool(Lent)
    with pool.lend() as first, pool.lend() as second:
        assert first is not second


def test_it_comes_back_after_an_error_of_the_network() -> None:
    pool = Pool(Lent)
    with pytest.raises(NetworkError, match="lost"), pool.lend() as first:
        raise NetworkError("lost")
    with pool.lend() as second:
        assert second is first
    assert not first.closed


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, RuntimeError, OSError])
def test_what_was_interrupted_is_closed_and_not_lent_again(
    interruption: type[BaseException],
) -> None:
    """Nobody knows which lock it holds, or what it has sent."""
    pool = Pool(Lent)
    with pytest.raises(interruption), pool.lend() as first:
        raise interruption
    assert first.closed == 1
    with pool.lend() as second:
        assert second is not first


def test_closing_closes_what_is_idle_at_once_and_the_rest_when_it_comes_back() -> None:
    pool = Pool(Lent)
    with pool.lend() as lent:
        with pool.lend() as idle:
            pass
        pool.close()
        assert (lent.closed, idle.closed) == (0, 1)
    assert (lent.closed, idle.closed) == (1, 1)


def test_it_can_be_used_after_closing_and_keeps_nothing_open() -> None:
    pool = Pool(Lent)
    pool.close()
    with pool.lend() as lent:
        assert not lent.closed
    assert lent.closed


def test_a_forked_child_leaves_what_is_idle_alone() -> None:
    pool = Pool(Lent)
    with pool.lend() as of_parent:
        pass
    pool.reset_after_fork()
    with pool.lend() as of_child:
        assert of_child is not of_parent
    pool.close()
    assert not of_parent.closed
