"""Prints whether the files of an export are as they were written."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from voipstudio_cmb.boundary.text import on_one_line
from voipstudio_cmb.exit_codes import DONE, FAILED, INCOMPLETE, RESUMABLE
from voipstudio_cmb.export import Verified, verify

from .stdio import print_text
from .terminal import print_message

_CODES = {"missing": FAILED, "changed": FAILED, "unreadable": RESUMABLE, "unlisted": INCOMPLETE}
"""What files in a state come to, the worst first."""


async def print_verified(directory: str | Path, *, quiet: bool = False) -> int:
    """Prints a line for each file in `directory`, and returns the exit code.

    With `quiet` only for those that are not as they were written.

    Raises:
        ClientMisuse: nothing was exported there.
    """
    states = Counter[str]()
    with _ending_at_once():
        for each in verify(directory):
            states[each.state] += each.state != "empty"
            if not quiet or each.state not in ("ok", "empty"):
                await print_text(_line(directory, each))
    if not quiet:
        counts = ", ".join(f"{count:,} {state}" for state, count in states.items() if count)
        print_message(f"{states.total():,} files: {counts}" if counts else "no files")
    return next((code for state, code in _CODES.items() if states[state]), DONE)


@contextlib.contextmanager
def _ending_at_once() -> Iterator[None]:
    """Has signals end what runs now, which may read a large file for long, not the next step."""
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _terminate}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(*_: Any) -> NoReturn:
    raise asyncio.CancelledError


def _line(directory: str | Path, each: Verified) -> str:
    if isinstance(each.path, Path):
        name = str(each.path.relative_to(directory))
    else:
        name = str(each.path).removeprefix(str(directory).rstrip("/") + "/")
    found = [each.state if each.state != "empty" else "", each.reason]
    return on_one_line(": ".join([name, *filter(None, found)])) + "\n"
