"""What is printed: text that can't steer a terminal, messages, events and JSON."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import ModuleType
from typing import Any, TextIO

from voipstudio_cmb.boundary.text import UNPRINTABLE, on_one_line

from .arguments import Arguments
from .stdio import print_data


def escape_controls(json_text: str) -> str:
    """Escapes what JSON allows raw and a terminal may obey or hide: the same JSON still."""
    return re.sub(UNPRINTABLE, _escape, json_text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code == 10:
        return "\n"  # between values: within one, JSON does not allow it raw
    pair = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{pair[at : at + 2].hex()}" for at in range(0, len(pair), 2))


_above: list[Callable[[str], None]] = []


@contextlib.contextmanager
def printing_above(bars: Callable[[str], None]) -> Iterator[None]:
    """Has `bars` print the messages while they are drawn: what is below would be torn."""
    _above.append(bars)
    try:
        yield
    finally:
        _above.pop()


def print_message(text: str) -> None:
    """Prints `text` on standard error, as one line."""
    line = on_one_line(text)
    if _above:
        _above[-1](line)
    else:
        print(line, file=sys.stderr)


def print_event(name: str, **members: Any) -> None:
    """Prints one event on standard error, as a JSON object on a line, with the time in UTC."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = escape_controls(json.dumps({"event": name, "time": now, **members}))
    print(line, file=sys.stderr, flush=True)


def notify(arguments: Arguments, text: str) -> None:
    """Prints a message: as the event `note` if `--progress json` is given, else as text."""
    if getattr(arguments, "progress", None) == "json":
        print_event("note", message=text)
    else:
        print_message(text)


def note(arguments: Arguments, text: str) -> None:
    """Prints what is good to know as `notify` does, unless only errors are wanted."""
    if not getattr(arguments, "quiet", False):
        notify(arguments, text)


def json_text(value: Any) -> str:
    """`value` as JSON for people and programs, without a line end."""
    return escape_controls(json.dumps(value, indent=2, ensure_ascii=False))


async def print_json(value: Any) -> None:
    """Prints `value` as JSON on standard output."""
    await print_data(f"{json_text(value)}\n".encode())


def terminal_size(stream: TextIO) -> tuple[int, int]:
    """Columns and lines of the terminal `stream`: `COLUMNS` and `LINES`, else its own, else 80, 24.

    Zeros are nobody's size: they come from terminals that were never told theirs.
    """
    own = os.terminal_size((0, 0))
    with contextlib.suppress(OSError, ValueError, AttributeError):
        own = os.get_terminal_size(stream.fileno())
    given = (os.environ.get(name, "") for name in ("COLUMNS", "LINES"))
    columns, lines = (int(text) if text.isdecimal() and len(text) < 5 else 0 for text in given)
    return columns or own.columns or 80, lines or own.lines or 24


def rich_for(stream: TextIO) -> ModuleType | None:
    """The module that draws with rich, if it is installed and can draw on `stream`."""
    if not stream.isatty():
        return None
    try:
        import voipstudio_cmb.ext.rich as rich
    except ImportError:
        return None
    return rich if rich.can_draw(stream) else None
