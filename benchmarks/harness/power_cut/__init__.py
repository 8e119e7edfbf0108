"""What a power cut can leave of a directory: a model of a file system's promises.

    recording.py   a `Disk` that does what it is told, and records it as a list of events
    states.py      what the file system may hold if the power goes after the first N of them

The model promises what POSIX does and no more: what was written is safe when its file has been
synced, a name when its directory has been. All else may have happened or not, in any order.
"""
