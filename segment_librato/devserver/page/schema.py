"""The tables of the journal.

Owns their definition and version. Must not know what is asked of them.

What a list shows is apart from the payloads, which are much larger: a filter reads only what it
looks at.
"""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "SCHEMA", "VERSION"]

APPLICATION_ID = 0x5E6D_6E74
VERSION = 1

# Ids are never used again, not even after everything was cleared: a page asks for what is newer.
SCHEMA = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    type TEXT NOT NULL,
    event TEXT NOT NULL,
    user TEXT NOT NULL,
    source TEXT NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    size INTEGER NOT NULL,
    gauge TEXT,
    request INTEGER
);
CREATE INDEX events_of_name ON events (type, event);
CREATE TABLE payloads (id INTEGER PRIMARY KEY, message TEXT NOT NULL);
CREATE TABLE requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    status INTEGER,
    rejection TEXT NOT NULL,
    messages INTEGER NOT NULL,
    measurements INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    size INTEGER NOT NULL,
    gzip INTEGER NOT NULL,
    retry INTEGER NOT NULL,
    scripted INTEGER NOT NULL,
    duration REAL
);
CREATE TABLE measurements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL COLLATE NOCASE,
    source TEXT NOT NULL COLLATE NOCASE,
    at REAL NOT NULL,
    "values" INTEGER NOT NULL,
    sum REAL NOT NULL,
    is_direct INTEGER NOT NULL
);
CREATE INDEX measurements_of_gauge ON measurements (name, at);
CREATE TABLE displays (name TEXT PRIMARY KEY COLLATE NOCASE, display TEXT NOT NULL);
"""
