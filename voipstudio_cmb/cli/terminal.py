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

from voipstudio_cmb.text import UNPRINTABLE, on_one_line


def escape_controls(json_text: str) -> str:
    """Escapes what JSON allows raw and a terminal may obey or hide: the same JSON still."""
    return UNPRINTABLE.sub(_escape, json_text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code == 10:
        return "\n"  # between values: within one, JSON does not allow it raw
    pair = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{pair[at : at + 2].hex()}" for at in range(0, len(pair), 2))


def print_message(text: str) -> None:
    """Prints `text` on standard error, as one line."""
    print(on_one_line(text), file=sys.stderr)


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
    heads = [*map(on_one_line, columns)]
    cells = [[on_one_line(row.get(name, "")) for name in columns] for row in rows]
    if rich := rich_for(stream):
        rich.print_table(stream, heads, cells)
        return
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    for line in (heads, *cells):
        aligned = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        stream.write("  ".join(aligned).rstrip() + "\n")
