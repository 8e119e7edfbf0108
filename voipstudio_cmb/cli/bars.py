"""Bars of a chart as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from .table import cut, printable, width

_EIGHTHS = " ▏▎▍▌▋▊▉"
_LABEL = 30
"""The most columns of a terminal that a label takes."""


def bars_text(
    counts: Sequence[tuple[str, int]], stream: TextIO, columns: int, *, shares: bool = False
) -> str:
    """A line for each of `counts`: its name, its figure, perhaps its share, and a bar.

    The longest bar ends at the last of `columns`. On a `stream` without blocks, bars are of `#`.
    """
    if not counts:
        return ""
    blocks = printable("█" + _EIGHTHS[1:], stream).startswith("█")
    most, total = max(count for _, count in counts), sum(count for _, count in counts)
    names = [cut(printable(name, stream), _LABEL, "…" if blocks else "...") for name, _ in counts]
    figures = [
        f"{count:,}" + (f"{_share(count, total):>6}" if shares else "") for _, count in counts
    ]
    widest, longest = max(map(width, names)), max(map(len, figures))
    room = max(1, columns - widest - longest - 4)
    lines = []
    for name, figure, (_, count) in zip(names, figures, counts, strict=True):
        bar = _bar(count / most * room if most else 0, blocks=blocks)
        label = name + " " * (widest - width(name))
        lines.append(f"{label}  {figure:>{longest}}  {bar}".rstrip() + "\n")
    return "".join(lines)


def _share(count: int, total: int) -> str:
    return f"{count / total:.0%}" if total else ""


def _bar(length: float, *, blocks: bool) -> str:
    """A bar of this `length`; what is not 0 is seen."""
    if not blocks:
        return "#" * (max(1, round(length)) if length else 0)
    eighths = max(1, round(length * 8)) if length else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
