"""Files with rows: what they are called, how they are opened, and where each row begins and ends.

    items         a row with its position, a row that cannot be read, a gap that is to be read
    finding       which files a pattern means
    naming        formats and compressions by suffix
    opening       standard input, local and cloud files, decompressed and in UTF-8
    beginning     what the first bytes tell: another format, an encoding
    unchanged     a file that must not grow or shrink meanwhile
    lines         bounded lines with positions
    json_lines, delimited, parquet    a format each
    fingerprint   whether a file is the one that it was
    source        a file of an import: all of the above

A position is a number of bytes of the decompressed text in UTF-8, or of rows in Parquet. What
cannot be read costs itself only, and is an item as well: each row has one, in order. Must not know
messages, delivery, or which rows are settled.
"""
