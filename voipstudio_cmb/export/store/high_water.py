"""The latest `created_at` of many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voipstudio_cmb.codec.rows import dated_lines, is_time


class CreatedHighWater:
    """The latest time at which one of many rows was created, and the ids of those of that time."""

    def __init__(self) -> None:
        self._time = ""
        self._ids: list[int] = []
        self._waiting: tuple[Sequence[int], Sequence[Any]] = (), ()

    def add(self, ids: Sequence[int], created: Sequence[Any]) -> None:
        """Takes note of rows with these *ids* that say when they were *created*."""
        try:
            newest: str = max(created, default="")
        except TypeError:  # some say nothing
            newest = ""
        if not is_time(newest):  # what is no time may be beyond any
            newest = max(filter(is_time, created), default="")
        if newest > self._time:
            self._time, self._ids = newest, []
        elif newest < self._time or not newest:
            return
        else:
            self._look()
        # Not looked at one by one before others come that are as late: most often later ones do.
        self._waiting = ids, created

    def _look(self) -> None:
        ids, created = self._waiting
        self._ids += [id for id, time in zip(ids, created, strict=True) if time == self._time]
        self._waiting = (), ()

    def add_lines(self, lines: bytes) -> None:
        """The same for rows that are given as *lines*, a line end after each."""
        self.add(*dated_lines(lines))

    @property
    def found(self) -> tuple[str | None, list[int]]:
        """The time, None if no row has one, and the ids."""
        self._look()
        return self._time or None, sorted(self._ids)
