"""What a command does when it has ended, and when nothing is left to do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from voipstudio_cmb.exit_codes import INTERRUPTED, TERMINATED

P = ParamSpec("P")

_exits: list[Callable[[int], int]] = []
_last: list[Callable[[], None]] = []


def at_exit(call: Callable[[int], int]) -> None:
    """Calls `call` with the exit code when the command ends; it returns the one to end with."""
    _exits.append(call)


def exited(code: int) -> int:
    """The exit code, after what `at_exit` was given has seen it."""
    for call in _exits:
        code = call(code)
    return code


def at_the_end(call: Callable[[], None]) -> None:
    """Calls `call` when the command has ended and all is printed, unless it is interrupted.

    Nothing is done after that, so that no kill can come in between.
    """
    _last.append(call)


def ending(command: Callable[P, int]) -> Callable[P, int]:
    """`command`, which returns an exit code, and then what `at_the_end` was given."""

    @functools.wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> int:
        _last.clear()
        _exits.clear()
        code = command(*arguments, **options)
        if code not in (INTERRUPTED, TERMINATED):
            for call in _last:
                call()
        return code

    return run
