"""Exceptions that keep their lines and lose the locals of the frames that they have left."""

from __future__ import annotations

import traceback


def forget_locals(error: BaseException) -> None:
    """Clears the frames that have ended by `error`, its causes and contexts.

    For where a secret is a plain text in one of them, and a traceback with locals would show it.
    """
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or any(one is other for other in found):
            continue
        found.append(one)
        traceback.clear_frames(one.__traceback__)  # all but those that are still running
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
