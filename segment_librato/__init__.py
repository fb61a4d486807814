"""A drop-in Python client for Segment, with a Librato mapper."""
