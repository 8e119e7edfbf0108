"""What an export keeps on the disk, and how each step of it survives a crash.

    Workspace            the hidden files of one job
      |- Spool           its rows so far, only ever added to
      |- Rejects         the rows that can't be used
      `- Checkpoint      how much of these counts, and where to resume
    record, read_manifest   `manifest.json`: an Entry for each published file
    published            the same, with files that a run published and could not record
    State                what is left of a file: Fresh, Interrupted or Finished
    locked               one export at a time for a file

Files are written through a `Disk`, whose steps a test can fail or be killed at. disk.py also names
the hidden files. failures.py says what an error of the system means. contents.py says what a file
holds and hashes whose it is; marks.py says where the next file begins.
"""
