"""The Librato API of the local server: its rules, and the metrics that it keeps."""
