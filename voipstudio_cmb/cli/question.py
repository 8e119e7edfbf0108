"""Questions to a person at the terminal."""

from __future__ import annotations

import asyncio
import os
import sys

from .terminal import print_message


def can_ask(whether: str) -> bool:
    """Whether there is a terminal to ask at; if not, says that nobody can be asked `whether`."""
    if sys.stdin is not None and sys.stdin.isatty():
        return True
    print_message(f"error: there is nobody to ask whether to {whether}: say --yes")
    return False


async def confirmed(question: str) -> bool:
    """Whether the answer to `question` is yes.

    The loop runs until then: a read that waits would keep Ctrl-C and the connections from it.
    """
    print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
    loop, terminal = asyncio.get_running_loop(), sys.stdin.fileno()
    answered = asyncio.Event()
    loop.add_reader(terminal, answered.set)
    try:
        await answered.wait()
    finally:
        loop.remove_reader(terminal)
    return os.read(terminal, 1024).strip().lower() in (b"y", b"yes")
