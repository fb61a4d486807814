"""The Segment API of the local server: its rules, and what it has received."""
