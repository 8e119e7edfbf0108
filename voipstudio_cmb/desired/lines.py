"""Where in a TOML text a key stands. No I/O."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str, ...]
"""The names of the tables that a key is in, and its own."""


_TOKEN = re.compile(
    r"""
    ["]{3} (?: [^"\\]+ | \\. | ["]{1,2}(?!") )*+ ["]{3,5} | '{3} .*? '{3,5} |
    " (?: [^"\\]+ | \\. )*+ " | ' [^']* ' | \#[^\n]* | [\[\]{}\n]
    """,
    re.DOTALL | re.VERBOSE,
)
"""What may hold the end of a line or a bracket that is none, and those."""

_DEPTHS = {"[": 1, "{": 1, "]": -1, "}": -1}


def lines_of(text: str) -> dict[Path, int]:
    """The line, from 1, of each table and key in `text`, which tomllib can read as a whole.

    tomllib says no lines of what it has read, so each header and each assignment is read by itself.
    """
    found: dict[Path, int] = {}
    header: Path = ()
    for line, statement in _statements(text):
        paths = list(_paths(tomllib.loads(statement)))
        is_header = statement.lstrip().startswith("[")
        for path in paths:
            found.setdefault(path if is_header else header + path, line)
        header = paths[-1] if is_header else header
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each line of `text`, with all that it is spread over, and its number."""
    begin, line, depth = 0, 1, 0
    text += "\n"
    for token in _TOKEN.finditer(text):
        depth += _DEPTHS.get(token[0], 0)
        if token[0] == "\n" and not depth:
            yield line, text[begin : token.start()]
            line += text.count("\n", begin, token.end())
            begin = token.end()


def _paths(values: Mapping[str, Any]) -> Iterator[Path]:
    for key, value in values.items():
        yield (key,)
        if isinstance(value, Mapping):
            yield from ((key, *path) for path in _paths(value))


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """The line of `path`, or of the table nearest to it."""
    ends = range(len(path), 0, -1)
    return next((lines[path[:end]] for end in ends if path[:end] in lines), 1)
