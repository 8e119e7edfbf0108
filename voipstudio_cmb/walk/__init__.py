"""A collection, row by row: each row exactly once, though rows come and go meanwhile.

    Walk                        walk.py      what the caller holds: items, progress, cursor
      Strategy                  strategy.py  records of pages; keyset or page, up to the limit
        KeysetWalk              keyset.py    ids above the last one; how it begins: probe.py,
          |                                  what that may come to: verdicts.py,
          |                                  whether ids are passed over: digits.py,
          |                                  which ranges it asks for: ranges.py,
          |                                  how it ends: ending.py
        PageWalk                pages.py     page numbers, with a window of requests (tasks.py),
          |                                  read by reader.py, accounted for in ledger.py; what
          |                                  that leaves open: coverage.py, verify.py
          PageFetcher           fetcher.py   how many requests at once, what a 404 means, and
            |                                whether rows contradict the caller: contradiction.py
            Fetch               PageRequest -> Page, given by a service: all of the network

Beside these: cursor.py writes and reads the text of a cursor, ids.py knows which ids have come,
capabilities.py what the server has shown to all walks of a client, and tasks.py holds their tasks.
A page comes back the same way as a `Page`; only `Strategy.records` takes it apart.
"""

from __future__ import annotations

from .capabilities import Capabilities
from .cursor import Kept
from .tasks import Tasks
from .walk import Progress, Walk, WalkState

__all__ = [
    "Capabilities",
    "Kept",
    "Progress",
    "Tasks",
    "Walk",
    "WalkState",
]
