"""What is printed: text that can't steer a terminal, messages, events, JSON and tables."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import IO, Any

# What could steer a terminal or reverse the order in which text is shown.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def sanitize(text: str) -> str:
    """Replaces control characters except line ends: the API's texts may hold any."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def escape_controls(json_text: str) -> str:
    """Writes the control characters that JSON allows raw as escapes: the same JSON still."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", json_text)


def print_message(text: str) -> None:
    """Prints `text` on standard error, sanitized."""
    print(sanitize(text), file=sys.stderr)


def print_event(name: str, **members: Any) -> None:
    """Prints one event on standard error, as a JSON object on a line."""
    line = escape_controls(json.dumps({"event": name, **members}))
    print(line, file=sys.stderr, flush=True)


def notify(arguments: argparse.Namespace, text: str) -> None:
    """Prints a message: as the event `note` if `--progress json` is given, else as text."""
    if getattr(arguments, "progress", None) == "json":
        print_event("note", message=text)
    else:
        print_message(text)


def print_json(value: Any) -> None:
    """Prints `value` as JSON on standard output."""
    print(escape_controls(json.dumps(value, indent=2, ensure_ascii=False)))


def discard_stdout() -> None:
    """Sends what is left of standard output nowhere, or Python's flush at exit would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def rich_for(stream: IO[str]) -> ModuleType | None:
    """The module that draws with rich, if `stream` is a terminal and rich is installed."""
    if not stream.isatty():
        return None
    try:
        import voipstudio_cmb.ext.rich as rich
    except ImportError:
        return None
    return rich


def print_table(
    rows: Sequence[Mapping[str, str]], stream: IO[str], columns: Sequence[str] | None = None
) -> None:
    """Prints the `columns` of `rows`: drawn by rich on a terminal, plain elsewhere.

    By default, the columns are those of the first row in which any row has a text.
    """
    if columns is None:
        columns = [name for row in rows[:1] for name in row if any(each[name] for each in rows)]
    cells = [[sanitize(" ".join(row.get(name, "").split())) for name in columns] for row in rows]
    if rich := rich_for(stream):
        rich.print_table(stream, columns, cells)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for line in (columns, *cells):
        aligned = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        stream.write("  ".join(aligned).rstrip() + "\n")
