"""Cases from numbers, and random walks of steps that can be run again and made shorter."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from tests.model import TEMPERS, TOTALS, Temper
from tests.walked import Case
from voipstudio_cmb.query import WalkStrategy

BY_ID = tuple(temper for temper in TEMPERS if temper.by_id)

KINDS: dict[str, tuple[tuple[WalkStrategy, ...], bool]] = {
    "page": (("page", "auto"), False),
    "keyset": (("keyset",), False),
    "any id": (("keyset",), True),
    "wild": (("auto", "page", "keyset"), True),
}
"""How walks are made, and whether rows may come with any free id. Over a wild server, which has
several habits at once, nothing is promised but that no row comes twice or from nowhere, that the
walk ends, and that nothing is left of it."""

Step: TypeAlias = Callable[[Case, int, int], None]
_WEIGHTS: dict[Step, int] = {
    Case.step: 30, Case.evaluate: 12, Case.deliver: 12, Case.fetch: 12, Case.insert: 6,
    Case.delete: 8, Case.update: 2, Case.fault: 3, Case.expire: 1, Case.choose: 2, Case.kill: 1,
}  # fmt: skip
_STEPS = [step for step, weight in _WEIGHTS.items() for _ in range(weight)]

Plan: TypeAlias = tuple[
    tuple[str, int, int, int, int, int], list[tuple[Step, int, int]], tuple[int, int]
]
"""The arguments of `case_of`, the steps with their numbers, and those of the end."""


def _wild(number: int) -> Temper:
    draw = random.Random(number)
    some = draw.choice
    return Temper(
        cap=some((0, 0, 2, 5)), rows_cap=some((0, 0, 3)), fixed=some((0, 0, 0, 4)),
        deaf_page=some((False, False, False, True)), order=some(("", "", "newest", "shuffled")),
        filter=some(("", "", "", "ignored")), past=some(("", "404", "last")),
        total=some(tuple(TOTALS)), spoils=some(("", "", "empty", "short", "twice")),
    )  # fmt: skip


def case_of(kind: str, temper: int, count: int, gap: int, flags: int, sizes: int) -> Case:
    """A case with *count* rows; 0 is the plainest of everything."""
    modes, any_id = KINDS[kind]
    known = TEMPERS if kind == "page" else BY_ID
    gap %= 6
    if gap > 2:  # in clusters that lie far apart
        ids = tuple(1 + n + n // 6 * 10 ** (2 * gap) for n in range(count))
    else:
        ids = tuple(range(1, 1 + count * (gap + 1), gap + 1))
    case = Case(
        _wild(temper) if kind == "wild" else known[temper % len(known)], modes, ids, any_id,
        strict=kind != "wild",
        quiet=flags % 4 == 3, stormy=flags // 4 % 8 == 7, login=flags // 32 % 2 == 1,
    )  # fmt: skip
    case.choose(flags // 64, sizes)
    return case


def plan_of(seed: int, steps: int, kinds: Sequence[str] = tuple(KINDS)) -> Plan:
    """A random walk of *steps* steps."""
    draw = random.Random(seed)
    bits = draw.getrandbits
    made = (draw.choice(kinds), bits(10), draw.randrange(41), bits(10), bits(12), bits(10))
    chosen = draw.choices(_STEPS, k=steps)
    return made, [(step, bits(10), bits(10)) for step in chosen], (bits(31), bits(31))


def run(plan: Plan) -> Case:
    """The case after the steps of *plan*; an error that it raises tells what happened."""
    made, steps, last = plan
    case = case_of(*made)
    try:
        for step, a, b in steps:
            step(case, a, b)
        case.end(*last)
    except Exception as error:
        error.add_note(case.told())
        raise
    finally:
        case.close()
    return case


def shrunk(plan: Plan, within: float = 20.0) -> Plan:
    """*plan* with fewer rows and steps that still fails, looked for by leaving out parts of it."""
    made, steps, last = plan
    until = time.monotonic() + within

    def fails(*other: Any) -> bool:
        try:
            run(other)
        except Exception:
            return True
        return False

    size = len(steps)
    while size and time.monotonic() < until:
        at = 0
        while at < len(steps):
            left = steps[:at] + steps[at + size :]
            if fails(made, left, last):
                steps = left
            else:
                at += size
        size //= 2
    fewer = ((*made[:2], count, *made[3:]) for count in range(made[2]))
    made = next((other for other in fewer if fails(other, steps, last)), made)
    return made, steps, last if not fails(made, steps, (0, 0)) else (0, 0)
