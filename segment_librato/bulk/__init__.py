"""Import of history: rows become messages with ids of their own, and each comes to an outcome.

Knows no files, no engine and no terminal: `bulk.entry` has the function for programs, and
`bulk.importer` what it, the command line and Spark are made of.
"""
