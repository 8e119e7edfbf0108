"""What a process has not told the keeper yet."""

from __future__ import annotations

import math
from collections import deque

from .allowance import Ask
from .line import Grant


class Untold:
    """What became of grants, and how long all are to be held; times are the loop's."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._asks = 0
        self._late: dict[str, float] = {}
        self._unused: deque[str] = deque(maxlen=1000)
        self._held_until = -math.inf
        self._holds = False
        self._is_late = False

    @property
    def urgent(self) -> bool:
        """Whether there is something that others wait for."""
        return self._holds or self._is_late or bool(self._unused)

    @property
    def holds(self) -> bool:
        """Whether the keeper does not know yet that all are to be held."""
        return self._holds

    def used(self, grant: Grant, late: float, *, urgent: bool = False) -> None:
        """Books that a request left by `grant`, so many seconds late, or later than was told."""
        self._late[grant.name] = self._late.get(grant.name, 0.0) + max(0.0, late)
        self._is_late = self._is_late or urgent

    def unused(self, *names: str) -> None:
        """Books grants that nobody will use."""
        self._unused.extend(names)

    def hold(self, until: float, least: float) -> bool:
        """Books that all are held until then; whether that is new, by `least` seconds."""
        # Whoever was in flight when the API refused one tells the same.
        new = until > self._held_until + least
        if new:
            self._held_until, self._holds = until, True
        return new

    def question(self, now: float, count: int, *, lease: int, hold: float) -> Ask:
        """Asks for `count` grants, and tells all; everybody is held for `hold` seconds at least."""
        self._asks += 1
        question = Ask(
            process=self._process,
            number=self._asks,
            count=count,
            lease=lease,
            late=self._late,
            unused=tuple(self._unused),
            hold=max(hold, self._held_until - now if self._holds else 0.0),
        )
        self._late = {}
        self.forget()
        return question

    def was_lost(self, question: Ask, now: float) -> None:
        """Books that `question` got no answer: what it was granted, nobody will use."""
        self.unused(*question.unused, *question.grants())
        self._holds = self._held_until > now

    def forget(self) -> None:
        """Leaves it untold: what is not told to be unused counts as used."""
        self._unused.clear()
        self._holds = self._is_late = False
