"""The keeper's side of one allowance for several processes: arithmetic that knows no clock.

A process asks (`Ask`), and is granted what may leave now, or told when to ask again (`Answer`).
Nothing is promised to who waits: whoever asks when a grant is due gets it, so that a process that
is busy or dead keeps nobody waiting. `ext/redis.py` has the same in Lua.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping

import attrs

GRACE = 1.0
"""Seconds after which whoever waits may have what another has not come for."""

OTHER_RATE = 60.0
"""Seconds without anybody who asks for a rate, after which another one may be kept by its key."""


@attrs.frozen(kw_only=True)
class Ask:
    """What a process tells the keeper, and asks for. Plain data, to be sent anywhere."""

    process: str
    """Its name, which no other has."""
    number: int
    """The asks of a process are numbered, for the names of their grants."""
    count: int
    """How many may leave at once; 0: it has only something to tell."""
    lease: int = 1
    """How many it waits for and takes together; 1: all that are due."""
    late: Mapping[str, float] = attrs.field(factory=dict)
    """Grants that were used, by their names, and how many seconds later at the most."""
    unused: tuple[str, ...] = ()
    """Grants that will not be used."""
    hold: float = 0.0
    """Seconds in which nobody may be granted anything."""

    def grants(self) -> list[str]:
        """The names of the grants that it asks for, in their order."""
        return [f"{self.process}:{self.number}:{index}" for index in range(self.count)]


@attrs.frozen
class Answer:
    """What the keeper answers."""

    grants: tuple[str, ...] = ()
    """The names of those that may be used now."""
    wait: float = 0.0
    """Seconds after which to ask for more, if there are fewer than were asked for."""


class Allowance:
    """At most `n` grants in any `period` seconds, evenly spread, for all who ask.

    As `limits.EvenSpacing`, but that a grant counts from when it was really used, and may be given
    back.
    """

    def __init__(self, n: int, period: float) -> None:
        self._n, self._period = n, period
        self._interval = period / n
        self._credit = max(2.0, n / 10) * self._interval
        self._log: list[tuple[float, str]] = []
        self._due = -math.inf
        self._held = -math.inf
        self._line: dict[str, float] = {}

    def ask(self, now: float, question: Ask) -> Answer:
        """Answers `question` at the time `now` in seconds on any clock."""
        self._settle(now, question)
        self._held = max(self._held, now + question.hold if question.hold else -math.inf)
        self._line.pop(question.process, None)
        grants: list[str] = []
        together = question.lease if question.lease > 1 else question.count
        for name in question.grants()[:together]:
            if self._next() > now:
                break
            self._due = max(self._due, now - self._credit) + self._interval
            insort(self._log, (now, name))
            grants.append(name)
        if len(grants) == question.count:
            return Answer(tuple(grants))
        # Who should have asked by now is busy, or dead: it is not waited for.
        self._line = {process: at for process, at in self._line.items() if at >= now}
        lease = min(question.lease, max(1, self._n // 10))  # more are never due at once
        before = len(self._line) * lease + lease - 1
        at = min(self._next(before), self._next() + GRACE)
        self._line[question.process] = at
        return Answer(tuple(grants), at - now)

    def _settle(self, now: float, question: Ask) -> None:
        """Books what became of earlier grants, and forgets those that count no more."""
        log = []
        for at, name in self._log:
            if name in question.unused:
                self._due -= self._interval
            elif (later := at + question.late.get(name, 0.0)) > now - self._period:
                log.append((later, name))
        self._log = sorted(log)

    def _next(self, others: int = 0) -> float:
        """When a grant can be made, after so many `others` before it."""
        before = len(self._log) + others - self._n
        if before < 0:
            full = -math.inf
        elif before < len(self._log):
            full = self._log[before][0] + self._period
        else:
            full = self._next(others - self._n) + self._period
        return max(self._held, self._due + others * self._interval, full)
