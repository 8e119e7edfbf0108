"""Where in a TOML text a key stands. No I/O."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str, ...]
"""The names of the tables that a key is in, and its own."""


def lines_of(text: str) -> dict[Path, int]:
    """The line, from 1, of each table and key in `text`, which tomllib can read as a whole.

    tomllib says no lines of what it has read, so each header and each assignment is read by itself.
    """
    found: dict[Path, int] = {}
    header: Path = ()
    begun: list[str] = []
    first = 1
    for number, line in enumerate(text.split("\n"), 1):
        if not begun and (not line.strip() or line.lstrip().startswith("#")):
            continue
        first = first if begun else number
        begun.append(line)
        if len(begun) > 1 and not any(end in line for end in ('"""', "'''", "]", "}")):
            continue  # nothing that is spread over lines ends here
        try:
            values = tomllib.loads("\n".join(begun))
        except tomllib.TOMLDecodeError:
            continue
        paths = list(_paths(values))
        if begun[0].lstrip().startswith("["):
            header = ()
        for path in paths:
            found.setdefault(header + path, first)
        header = paths[-1] if begun[0].lstrip().startswith("[") else header
        begun = []
    return found


def _paths(values: Mapping[str, Any]) -> Iterator[Path]:
    for key, value in values.items():
        yield (key,)
        if isinstance(value, Mapping):
            yield from ((key, *path) for path in _paths(value))


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """The line of `path`, or of the table nearest to it."""
    ends = range(len(path), 0, -1)
    return next((lines[path[:end]] for end in ends if path[:end] in lines), 1)
