"""The rules of retrying, written down a second time, and what the server saw held to them."""

from __future__ import annotations

import attrs

from benchmarks.campaigns.faults.kinds import STALE
from benchmarks.campaigns.faults.operations import Result
from benchmarks.campaigns.faults.server import Seen
from voipstudio_cmb.events import AttemptEvent, CallEvent

IDEMPOTENT = ("GET", "DELETE")
MOST_GARBLED = 3


def _check_attempt(result: Result, where: str, attempt: AttemptEvent, request: Seen) -> None:
    kind = request.kind
    allowed = kind.errors + (STALE if request.stale else ())
    if kind.acts != (False,) and request.status in (403, 404):
        allowed += ("NotFound", "Forbidden")  # an earlier deletion did it
    outcome = attempt.error or ""
    result.check(outcome in allowed, f"{where}: {kind.name} became {outcome or 'a success'}")


@attrs.frozen
class Rules:
    """The rules for a client that makes so many `attempts` and renews tokens by a `provider`."""

    attempts: int
    provider: bool

    def check(self, result: Result, event: CallEvent, seen: list[Seen]) -> None:
        """Compares the event of a call with what the server saw and with the rules."""
        tries = [t for t in event.tries if t.method == event.method]  # not the GET after a DELETE
        names = [t.error or "" for t in tries]
        charged = len(tries) - names.count("RateLimited")
        renewed = self.provider and "Unauthorized" in names
        where = f"{event.where} {[f'{n}/{t.sent}' for n, t in zip(names, tries, strict=True)]}"
        met = [s.kind.name + ("*" if s.stale else "") for s in seen]
        result.log.append(f"{where} met {met}")
        most = self.attempts
        result.check(charged - renewed <= most, f"{where}: more than {most} attempts")
        result.check(not event.once or len(tries) <= 1, f"{where}: a guess was tried again")
        reached = [t for t in tries if t.sent != "no"]
        result.check(len(seen) <= len(reached), f"{where}: the server saw {len(seen)}: {met}")
        if event.error == "CancelledError" or not tries:
            return
        if len(seen) == len(reached):
            for attempt, request in zip(reached, seen, strict=True):
                _check_attempt(result, where, attempt, request)
        for number, attempt in enumerate(tries[:-1]):
            retries = self._retries(event.method, attempt, names[:number])
            result.check(retries, f"{where}: retried after {attempt.error}")
        last = tries[-1]
        if event.error and last.error:
            over = charged >= most or (last.error == "NotJSON" and charged >= MOST_GARBLED)
            retries = self._retries(event.method, last, names[:-1])
            over = over or event.once
            result.check(over or not retries, f"{where}: gave up after {last.error}")

    def _retries(self, method: str, attempt: AttemptEvent, before: list[str]) -> bool:
        """Whether the rules call for another attempt after this one."""
        name, status = attempt.error, attempt.status
        if name == "RateLimited":
            return "200000" not in attempt.headers.get("retry-after", "")
        if name == "Unauthorized":
            return self.provider and "Unauthorized" not in before
        if attempt.sent == "no":
            return True
        if name == "ServerFault":
            return status != 501 and method in IDEMPOTENT
        if name == "UnexpectedStatus":
            return status in (408, 425) and method in IDEMPOTENT
        lasting = ("WrongShape", "UnexpectedRedirect", "Forbidden", "NotFound", "BadRequest")
        return name not in lasting and method in IDEMPOTENT
