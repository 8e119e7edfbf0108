"""The frames that an error has come through, which its traceback keeps alive."""

from __future__ import annotations

import traceback


def clear_frames(error: BaseException) -> None:
    """Empties the frames that `error`, and all that it comes from, have passed through.

    Their locals hold pages, files and tasks, and these hold the error, so that only the collector
    would free them. The traceback still says where it happened.
    """
    cleared: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and not any(one is each for each in cleared):
            traceback.clear_frames(one.__traceback__)
            cleared.append(one)
            waiting += [one.__cause__, one.__context__]
