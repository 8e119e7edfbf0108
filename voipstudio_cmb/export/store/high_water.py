"""The latest `created_at` of many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voipstudio_cmb.codec.rows import is_time


class CreatedHighWater:
    """The latest time at which one of many rows was created, and the ids of those of that time."""

    def __init__(self) -> None:
        self._time = ""
        self._ids: list[int] = []
        self._unread: tuple[Sequence[int], Sequence[Any]] = (), ()

    def add(self, ids: Sequence[int], created: Sequence[Any]) -> None:
        """Takes note of rows by their `ids` and what they give for `created_at`."""
        try:
            newest: str = max(created, default="")
        except TypeError:  # some give nothing
            newest = ""
        if not is_time(newest):  # what is no time may be beyond any
            newest = max(filter(is_time, created), default="")
        if newest > self._time:
            self._time, self._ids = newest, []
        elif newest < self._time or not newest:
            return
        else:
            self._read()
        # Read row by row only when others come that are as late: most often later ones do.
        self._unread = ids, created

    def _read(self) -> None:
        ids, created = self._unread
        self._ids += [id for id, time in zip(ids, created, strict=True) if time == self._time]
        self._unread = (), ()

    @property
    def latest(self) -> tuple[str | None, list[int]]:
        """The time, None if no row has one, and the ids."""
        self._read()
        return self._time or None, sorted(self._ids)
