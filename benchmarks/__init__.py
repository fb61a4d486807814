"""Side-by-side measurements of this library, of its peers and of a hand-written minimum.

Run by `make bench`; `README.md` says how to read what comes out. No part of the package.
"""
