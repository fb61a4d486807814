"""What a test needs of the system, as marks that skip it elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["needs_dev_full", "needs_fork", "needs_shell", "needs_signals"]

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
needs_signals = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
needs_shell = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
needs_dev_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
