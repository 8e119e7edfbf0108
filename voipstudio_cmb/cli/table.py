"""Tables as text: columns as wide as a terminal shows their contents, and figures aligned."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TextIO

from voipstudio_cmb.boundary.text import on_one_line

_GAP = "  "
_FIGURE = re.compile(r"[+-]?[0-9][0-9,]*(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?")
_JOINED = ("\u1160", "\u11ff")  # vowels and ends of Korean syllables, drawn into their beginning


def width(text: str) -> int:
    """The columns that `text` takes on a terminal: two for a wide character, none for an accent."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me") or _JOINED[0] <= character <= _JOINED[1]:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, room: int, mark: str = "…") -> str:
    """`text` in at most `room` columns: a longer one ends with `mark`."""
    if width(text) <= room:
        return text
    left, kept = room - len(mark), ""
    for character in text:
        left -= _columns(character)
        if left < 0:
            break
        kept += character
    return kept + mark


def printable(text: str, stream: TextIO) -> str:
    """`text` as one line that `stream` can show: nothing steers it, the unknown is escaped."""
    encoding = stream.encoding or "utf-8"
    return on_one_line(text).encode(encoding, "backslashreplace").decode(encoding)


def can_style(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that knows bold and colours."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def table_width(widths: Sequence[int]) -> int:
    """The columns that a table takes, whose own have these `widths`."""
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def table_text(
    rows: Sequence[Mapping[str, str]],
    stream: TextIO,
    columns: Sequence[str] | None = None,
    most: int | None = None,
) -> str:
    """The `columns` of `rows` as text, a row a line below the columns' names.

    By default, the columns are those of the first row in which any row has a text. Those of figures
    are aligned at the right. A cell is cut where it is wider than `most`, if that is given.
    """
    if columns is None:
        columns = [name for row in rows[:1] for name in row if any(each[name] for each in rows)]
    if not columns:
        return ""
    mark = "…" if printable("…", stream) == "…" else "..."

    def cell(text: str) -> str:
        text = printable(text, stream)
        return text if most is None else cut(text, most, mark)

    heads, lines = [*map(cell, columns)], [[cell(row.get(n, "")) for n in columns] for row in rows]
    aligned = [_aligned(column) for column in zip(heads, *lines, strict=True)]
    head, *body = (_GAP.join(cells).rstrip() for cells in zip(*aligned, strict=True))
    if can_style(stream):
        head = f"\x1b[1m{head}\x1b[0m"
    return "".join(f"{line}\n" for line in (head, *body))


def _aligned(column: Sequence[str]) -> list[str]:
    """The cells of `column`, filled up to the same width; the first is its name."""
    widest = max(map(width, column))
    figures = all(_FIGURE.fullmatch(cell) for cell in column[1:] if cell)
    return [
        blank + cell if figures else cell + blank
        for cell in column
        for blank in [" " * (widest - width(cell))]
    ]
