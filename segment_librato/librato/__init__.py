"""Librato: the gauge measurement that a message makes."""

from __future__ import annotations

from segment_librato.librato.mapper import Measurement, explain, map_message

__all__ = ["Measurement", "explain", "map_message"]
