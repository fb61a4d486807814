"""The spool: messages on disk, so that they outlive the process that accepted them.

Owns the files: their format (`format`), the folders and their safety (`folder`), the lock that
tells a live process from a dead one (`lock`), the segments that this process writes (`segment`,
`lane`, `run`), what dead ones left behind (`orphan`), how it all looks from outside (`survey`), and
that it goes (`purge`). There is no ledger and no pointer: the listing of the folder is the state,
so it is right after a `kill -9` at any instruction.

    <spool>/<hash of write key and host>/
        <start>-<pid>-<random>.run/         one client of one process
            lock                            held for the life of that process
            <first sequence number>.seg     records; deleted when all have their outcome
        quarantine/                         what could not be read

Must not know what a message means, threads or the network.
"""
