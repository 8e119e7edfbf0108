"""What is printed for people: harmless text, messages, tables."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Any

# What could steer a terminal or reverse the order in which text is shown.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """*text* with control characters replaced, but for line ends: the API's texts may hold any."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def escaped(json: str) -> str:
    """*json*, the same still, with the control characters that JSON allows raw as escapes."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", json)


def say(text: str) -> None:
    """Prints *text* on standard error, without what could steer a terminal."""
    print(harmless(text), file=sys.stderr)


def drop_stdout() -> None:
    """Python's own flush at exit must not complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def table(columns: Sequence[str], rows: Sequence[Mapping[str, str]], stream: IO[str]) -> None:
    """Prints the *columns* of *rows*: drawn by rich on a terminal, plain elsewhere."""
    shown = [[harmless(" ".join(row.get(name, "").split())) for name in columns] for row in rows]
    if stream.isatty():
        try:
            from voipstudio_cmb.ext.rich import print_table
        except ImportError:
            pass  # plain, then
        else:
            print_table(stream, columns, shown)
            return
    widths = [max(map(len, column)) for column in zip(columns, *shown, strict=True)]
    for cells in (columns, *shown):
        aligned = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        stream.write("  ".join(aligned).rstrip() + "\n")


def _print_json(value: Any) -> None:
    import json

    print(escaped(json.dumps(value, indent=2, ensure_ascii=False)))
