"""What a command does when nothing is left to do, so that no kill can come in between."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from .exit_codes import INTERRUPTED, TERMINATED

P = ParamSpec("P")

_last: list[Callable[[], None]] = []


def at_the_end(call: Callable[[], None]) -> None:
    """Calls `call` when the command has ended and all is printed, unless it is interrupted."""
    _last.append(call)


def ending(command: Callable[P, int]) -> Callable[P, int]:
    """`command`, which returns an exit code, and then what `at_the_end` was given."""

    @functools.wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> int:
        _last.clear()
        code = command(*arguments, **options)
        if code not in (INTERRUPTED, TERMINATED):
            for call in _last:
                call()
        return code

    return run
