"""What a command does when nothing is left to do, so that no kill can come in between."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

_last: list[Callable[[], None]] = []


def at_the_end(call: Callable[[], None]) -> None:
    """Calls `call` when the command has ended, and all that it prints is printed."""
    _last.append(call)


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """Does what `at_the_end` was given."""
    try:
        yield
    finally:
        while _last:
            _last.pop()()
