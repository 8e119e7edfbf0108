"""One allowance for several processes: what each process does, whoever keeps the allowance.

A subclass says how to ask the keeper (`ask`). Here is the rest: that a grant which comes back too
late is thrown away, and is told to be, and when to ask.
"""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from functools import partial
from typing import Self

from voipstudio_cmb.boundary.checks import checked_integer
from voipstudio_cmb.errors import ClientMisuse, ConnectFailed
from voipstudio_cmb.http import LEAVES
from voipstudio_cmb.limits import Limiter, whole_requests
from voipstudio_cmb.timeouts import LoopGuard

from .allowance import Answer, Ask
from .line import Grant, Line
from .outage import Outage
from .untold import Untold

MOST = 10_000
"""The most grants that are counted one by one: more in a period are as many in a shorter one."""

LATE = 0.02
"""How late a grant may be used, as a share of the period."""

_MOST_ASKED = 64
"""For how many callers at once a process asks at most."""

_SHORTEST = 1e-4
"""The shortest wait in seconds: a timer may be a little early, by the resolution of its clock."""

_SLOW = 100
"""So many late grants in a row are no busy loop: the way to the keeper takes too long."""


class SharedLimit(ABC):
    """A limiter whose allowance of `n` requests in any `per` seconds is kept for several processes.

    All must say the same `n` and `per`. `n` grants are made in 1.02 x `per` seconds, and one that
    comes back more than 2 % of `per` late is given back instead of used: so no window of `per`
    seconds sees more than `n` requests leave, however busy a loop or slow the way. Each process
    serves its callers in their order; one that is cancelled costs nobody a turn.

    Where the keeper is away, callers fail with an error that can be tried again. With a `fallback`,
    they go by that instead: after a period without any request, and until the keeper is back, which
    then lets a period pass, too.

    With a `lease` of more than 1, a process waits for so many grants together, of which a tenth of
    `n` is the most: fewer ways to the keeper, and requests that leave in small bursts.

    Raises:
        ClientMisuse: `n`, `per`, `lease` or `fallback` can't be used.
    """

    key: str = ""
    """The name of what is shared."""
    kept_by: str = "the keeper of the rate limit"
    """Who keeps it, for messages."""
    answer_within: float = 2.0
    """Seconds that the keeper may take; it is away after them."""

    def __init__(
        self, n: float, per: float = 1.0, *, fallback: Limiter | None = None, lease: int = 1
    ) -> None:
        name = type(self).__name__
        self.n, self.per, self.whole, seconds = whole_requests(name, n, per, MOST)
        self.period: float = (1 + LATE) * seconds
        """Seconds in which the keeper makes `whole` grants at most."""
        self.lease: int = checked_integer(f"{name}: lease", lease, 1, _MOST_ASKED)
        if fallback is not None and not callable(getattr(fallback, "acquire", None)):
            raise ClientMisuse(f"{name}: fallback must be a limiter, such as limits.RateLimit(25)")
        self.fallback = fallback
        self._allowed_late = LATE * seconds
        self._guard = LoopGuard("limiter")
        self._begin()

    def _begin(self) -> None:
        """Begins on a loop, and perhaps in a process, that knows nothing of an earlier one."""
        self._untold = Untold(process=secrets.token_hex(8))
        self._line = Line(self._give_back, self._stir)
        self._task: asyncio.Task[None] | None = None
        self._alarm: asyncio.Future[None] | None = None
        self._slow = 0  # answers in a row that came too late
        self._outage = None
        if self.fallback is not None:
            self._outage = Outage(self.fallback, self.period, self.answer_within)

    @abstractmethod
    async def ask(self, question: Ask) -> Answer:
        """Asks the keeper, and returns its answer.

        Raises:
            CallMeBackError: there was no answer; the keeper is away if the error is `retryable`.
        """

    async def aclose(self) -> None:
        """Ends what it does in the background. It may be used again."""
        task, self._task = self._task, None
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            task.cancel()
            await asyncio.wait((task,))
        self._line.fail(ClientMisuse(f"{self!r} was closed while callers waited for it"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def acquire(self) -> None:
        """Returns when the next request may be sent.

        Raises:
            ClientMisuse: it is in use on another event loop, or the keeper refuses this process.
            CallMeBackError: the keeper is away, and there is no fallback.
        """
        self._enter()
        first = False
        while True:
            if self._outage is not None and self._outage.lasts:
                if await self._pass_by(self._outage):
                    return
                continue
            place = self._line.join(first=first)
            self._work()
            grant = await self._line.turn(place)
            if grant is None:
                continue
            late = self._now() - grant.due
            if late <= self._allowed_late:
                self._untold.used(grant, late)
                LEAVES.set(partial(self._left, grant, self._now()))
                return
            self._give_back(grant)
            first = True

    def _left(self, grant: Grant, turn: float) -> None:
        """Tells at once of a request that leaves long after its `turn`, as by a new connection."""
        late = self._now() - turn
        if late > self._allowed_late / 4:
            self._untold.used(grant, late, urgent=True)
            self._work()
            self._stir()

    async def _pass_by(self, outage: Outage) -> bool:
        passing = outage.pass_by()
        self._work()
        try:
            return await passing
        finally:
            if not outage.callers:
                self._stir()

    def hold(self, seconds: float) -> None:
        """Lets nobody who shares the allowance be granted anything for so many `seconds`.

        It returns at once, and tells the keeper in the background.
        """
        self._enter()
        if self._untold.hold(self._now() + seconds, least=self._allowed_late):
            self._work()
            self._stir()

    def _enter(self) -> None:
        earlier = self._guard.loop
        busy = bool(self._line or (self._outage and self._outage.callers))
        if self._guard.enter(busy=busy) is not earlier:
            self._begin()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _give_back(self, grant: Grant) -> None:
        self._untold.unused(grant.name)
        self._work()
        self._stir()

    def _work(self) -> None:
        """Sees to it that the keeper is asked."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._serve())

    def _stir(self) -> None:
        """Looks now whether there is anything to ask or to tell."""
        if self._alarm is not None:
            _ring(self._alarm)

    async def _sleep(self, seconds: float) -> None:
        """Sleeps so long, or until it is stirred."""
        loop = asyncio.get_running_loop()
        self._alarm = alarm = loop.create_future()
        timer = loop.call_later(seconds, _ring, alarm)
        try:
            await alarm
        finally:
            timer.cancel()

    async def _serve(self) -> None:
        """Asks the keeper for as long as anybody waits, or there is something to tell it."""
        failures = 0
        while self._line or self._untold.urgent or self._is_missed():
            if self._is_missed() and (early := self._early()) > 0:
                await self._sleep(early)
                continue
            question, began = self._question(), self._now()
            try:
                answer = await self._answer(question)
            except Exception as error:
                failures += 1
                self._untold.was_lost(question, self._now())
                # The first may have been on a connection that was closed while it was idle.
                if failures > 1 or self._is_missed():
                    self._fail(error)
                continue
            failures = 0
            if self._outage is not None:
                self._outage.end()
            self._hand_out(answer, began)
            if self._slow >= _SLOW:
                self._slow = 0
                self._fail(self._too_slow())
            if self._line and answer.wait and not self._untold.urgent:
                await self._sleep(max(answer.wait, _SHORTEST))

    def _is_missed(self) -> bool:
        """Whether the keeper is away, and callers wait for it."""
        return self._outage is not None and self._outage.lasts and self._outage.callers > 0

    def _early(self) -> float:
        """Seconds until the keeper is tried again."""
        assert self._outage is not None
        return self._outage.tried_at + self._outage.between - self._now()

    def _question(self) -> Ask:
        wanted = min(len(self._line), _MOST_ASKED)
        hold = 0.0 if self._outage is None else self._outage.hold()
        return self._untold.question(self._now(), wanted, lease=self.lease, hold=hold)

    async def _answer(self, question: Ask) -> Answer:
        try:
            async with asyncio.timeout(self.answer_within):
                return await self.ask(question)
        except TimeoutError:
            raise self._away(
                f"nothing was sent, as it gave no answer within {self.answer_within:g} s"
            ) from None

    def _away(self, why: str) -> ConnectFailed:
        return ConnectFailed(f"{self.kept_by} is away: {why}", peer=self.kept_by)

    def _too_slow(self) -> ConnectFailed:
        most = self._allowed_late * 1000
        return ConnectFailed(
            f"{self.kept_by} is too far away: {_SLOW} grants in a row came more than {most:.3g} ms "
            "late, so none was used; pace by a longer period, such as ten times as many requests "
            "in ten times as long",
            peer=self.kept_by,
        )

    def _other_rate(self, n: int, period: float) -> ClientMisuse:
        """What to say where others have asked for `n` in a `period` of the keeper's."""
        theirs, ours = (round(each / (1 + LATE), 4) for each in (period, self.period))
        return ClientMisuse(
            f"{self.kept_by} paces {self.key!r} by {n} requests in {theirs:.10g} s, and here it is "
            f"{self.whole} in {ours:.10g} s: say the same rate everywhere, or another key; a new "
            "rate counts after a minute without the other"
        )

    def _fail(self, error: Exception) -> None:
        """Sends everybody to the fallback, or lets all fail with `error`."""
        self._untold.forget()
        passes = getattr(error, "retryable", False)
        if self._outage is None or not (passes or self._outage.lasts):
            self._line.fail(error)
            return
        self._outage.begin(error)
        while self._line.give(None):
            pass

    def _hand_out(self, answer: Answer, began: float) -> None:
        """Gives each grant of `answer`, to a question asked at `began`, to a caller."""
        late = self._now() - began > self._allowed_late
        if answer.grants:
            self._slow = self._slow + 1 if late else 0
        for name in answer.grants:
            if late or not self._line.give(Grant(name, began)):
                self._untold.unused(name)


def _ring(alarm: asyncio.Future[None]) -> None:
    if not alarm.done():
        alarm.set_result(None)
