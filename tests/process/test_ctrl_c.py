"""Ctrl-C or SIGTERM as a request to come to an end."""

from __future__ import annotations

import signal

import pytest

from segment_librato.process.ctrl_c import on_ctrl_c, on_sigterm


def test_it_calls_instead_of_raising() -> None:
    times: list[int] = []
    with on_ctrl_c(times.append):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert times == [1, 2]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_so_does_sigterm() -> None:
    times: list[int] = []
    with on_sigterm(times.append):
        signal.raise_signal(signal.SIGTERM)
    assert times == [1]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_process_that_ignores_it_still_does() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    times: list[int] = []
    try:
        with on_ctrl_c(times.append):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert times == []
