"""What crosses the border of the package, in either direction, whichever room it is for.

    checks       in: the arguments of a caller, one wording for all that can't be used
    files        in: files that a user names, regular ones of a size that such a file has
    text         out: what servers and files say, on a terminal, in a log or in a notebook
    tracebacks   out: errors, without the locals of the frames that they have left
    value        both: what the classes of values are derived from, requests and events too

Each may import `errors`, and nothing else of the package.
"""
