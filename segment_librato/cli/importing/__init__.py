"""import FILE...: history from files, with proof that it arrived.

    command     the command, and its options
    setup       from the options to files and rules
    states      which state belongs to the files
    preview     what is about to be sent: samples, timestamps, the question
    running     the run: Ctrl-C, SIGTERM, too many rejects
    progress    how far it is
    summary     what became of the rows

Must not know how a file is read, or a row delivered.
"""
