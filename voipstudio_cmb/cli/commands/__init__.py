"""The commands, each in a file that imports whatever is heavy only when it runs.

A file has `COMMAND`, which holds the options, and `run(arguments)`, which returns the exit code.
"""
