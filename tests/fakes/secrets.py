"""A secret that is looked for wherever it must not be."""

from __future__ import annotations

import copy
import pickle
import traceback
from base64 import b64encode

from voipstudio_cmb.errors import CallMeBackError

CANARY = "canary-not-a-token"
"""A token that must be nowhere but in its header."""


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


PLAIN = (CANARY, encoded(CANARY).rstrip("="))
BASIC = (*PLAIN, encoded(f"7:{CANARY}").rstrip("="))
ECHO = " ".join((*BASIC, encoded(f"7:{CANARY}")))


def leaks(*texts: object, forms: tuple[str, ...] = PLAIN) -> list[str]:
    """The places in the texts where the secret stands in one of its forms."""
    found = []
    for text in map(str, texts):
        for form in forms:
            at = text.find(form)
            if at >= 0:
                found.append(text[max(0, at - 100) : at + 100])
    return found


def chained(error: BaseException | None) -> list[BaseException]:
    """`error`, and every cause and context behind it, suppressed or not."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in found:
            found.append(one)
            waiting += [one.__cause__, one.__context__]
    return found


def reports_of(error: BaseException) -> list[str]:
    """All that a log, a crash reporter with locals and contexts, or another process would see."""
    texts = []
    for one in chained(error):
        report = traceback.TracebackException.from_exception(one, capture_locals=True)
        texts += [str(one), repr(one), format(one), repr(vars(one)), repr(one.args)]
        texts += ["".join(report.format(chain=True))]
        if isinstance(one, CallMeBackError):
            texts += [repr(pickle.dumps(one)), repr(vars(copy.copy(one)))]
            texts += [repr(vars(pickle.loads(pickle.dumps(one))))]
    return texts


def shown_by(thing: object) -> list[str]:
    """What a debugger shows of an object and its parts."""
    parts = (part for part in vars(thing).values() if hasattr(part, "__dict__"))
    return [f"{part!r} {vars(part)!r}" for part in (thing, *parts)]
