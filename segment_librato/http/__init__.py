"""Step 6: connections, on which every request ends in time.

Owns sessions, deadlines, and how to read whatever a server sends. The only package that imports
`requests`. Must not know what is sent.
"""
