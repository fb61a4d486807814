"""`python -m segment_librato`: the command line, as `segment-librato` is."""

from __future__ import annotations

from segment_librato.cli import main

if __name__ == "__main__":
    main()
