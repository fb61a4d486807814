"""DataFrames into a local Segment, with a real Spark on this machine: `make spark`."""
