"""Which columns of some rows a table shows, and in which order. No I/O."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence

import attrs

from voipstudio_cmb.boundary.checks import is_quotable
from voipstudio_cmb.boundary.text import on_one_line
from voipstudio_cmb.errors import ClientMisuse

from .table import cut, table_width, width

CELL = 30
"""The most columns of a terminal that one cell takes."""

_LONG = 40
"""A column is long if half of its cells take more columns of a terminal than this."""

_NAMED = 8
"""The most columns that are named as left out."""

# Then what the API documents, which is the widget's more than the row's, begins with its name.
_FIRST = ("id", "created_at", "src", "dst", "duration", "disposition")


@attrs.frozen
class Layout:
    """Columns to show, and those left out."""

    shown: Sequence[str]
    left_out: Mapping[str, str]
    """Why, for each that is left out."""

    def __str__(self) -> str:
        """What is left out, in a line; nothing if nothing is."""
        if not self.left_out:
            return ""
        groups: dict[str, list[str]] = {}
        for name in [*self.left_out][:_NAMED]:
            groups.setdefault(self.left_out[name], []).append(on_one_line(name))
        named = ", ".join(f"{', '.join(names)} ({why})" for why, names in groups.items())
        more = f", and {len(self.left_out) - _NAMED} more" if len(self.left_out) > _NAMED else ""
        return f"left out: {named}{more}; --columns all shows them"


def in_order(names: Iterable[str], documented: Collection[str]) -> list[str]:
    """The columns `names`, first those that tell rows apart: what is not `documented` before it."""

    def rank(name: str) -> int:
        if name in _FIRST:
            return _FIRST.index(name)
        return len(_FIRST) + (name in documented) * (1 if name == "name" else 2)

    return sorted(names, key=rank)


def lay_out(rows: Sequence[Mapping[str, str]], columns: Sequence[str], room: int) -> Layout:
    """Those of the `columns` of `rows` that fit into `room`, in their order, and tell rows apart.

    Columns that are empty, long, the same in each row or the same as another are left out; all but
    the first column, which is always shown.
    """
    shown: dict[str, int] = {}
    cells: dict[tuple[str, ...], str] = {}
    left_out: dict[str, str] = {}
    for name in columns:
        column = tuple(row.get(name, "") for row in rows)
        widths = [*map(width, column)]
        widest = min(max([width(on_one_line(name)), *widths]), CELL)
        if shown and (why := _flaw(column, widths) or _same(column, cells)):
            left_out[name] = why
        elif shown and table_width([*shown.values(), widest]) > room:
            left_out[name] = "no room"
        else:
            shown[name] = widest
            cells.setdefault(column, name)
    return Layout([*shown], left_out)


def _flaw(column: Sequence[str], widths: Sequence[int]) -> str:
    """Why a column with these cells is not worth its room, if it is not."""
    if not any(column):
        return "empty"
    if len(column) > 1 and len({*column}) == 1:
        return f"always {cut(on_one_line(column[0]), 20)}"
    return "long" if sorted(widths)[len(widths) // 2] > _LONG else ""


def _same(column: tuple[str, ...], cells: Mapping[tuple[str, ...], str]) -> str:
    return f"same as {on_one_line(cells[column])}" if len(column) > 1 and column in cells else ""


def read_columns(text: str) -> tuple[str, ...] | None:
    """The names of columns in `text`, separated by commas; None for "all".

    Raises:
        ClientMisuse: one of them is empty.
    """
    names = [name.strip() for name in text.split(",")]
    if names == ["all"]:
        return None
    if not all(names):
        raise ClientMisuse("--columns takes names, separated by commas, or all: one is empty")
    return tuple(dict.fromkeys(names))


def check_seen(missing: Collection[str], known: Collection[str]) -> None:
    """Raises ClientMisuse if any column is `missing`; `known` are those that there are."""
    for name in missing:
        like = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
        hint = f"did you mean {on_one_line(like[0])!r}?" if like else "--columns all shows all"
        shown = repr(name) if is_quotable(name) else "one of them"
        raise ClientMisuse(f"--columns: no row has {shown}; {hint}")
