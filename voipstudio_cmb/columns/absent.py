"""Columns that were named and that no row has: a name that was misspelt makes an empty one."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable

from voipstudio_cmb.boundary.checks import is_quotable
from voipstudio_cmb.boundary.text import on_one_line
from voipstudio_cmb.codec.rows import tokens
from voipstudio_cmb.models import Record

from .schema import Chosen, documented


def absent_columns(chosen: Chosen, record: type[Record], rows: Iterable[bytes]) -> str:
    """What is to be said of those of the `chosen` that are members of none of `rows`, if any is."""
    if isinstance(chosen, str):
        return ""
    known = dict.fromkeys(column.name for column in documented(record))
    absent = {name: json.dumps(name).encode() for name in chosen if name not in known}
    first: bytes | None = None
    for row in rows:
        first = first or row
        # Its text, because a row has it almost always; spelt otherwise, it has to be read.
        absent = {name: text for name, text in absent.items() if text not in row}
        absent = {name: text for name, text in absent.items() if not _spells(name, row)}
        if not absent:
            return ""
    if first is None:
        return ""
    return "; ".join(_words(name, [*tokens(first), *known]) for name in absent)


def _spells(name: str, row: bytes) -> bool:
    """Whether `row` has the member `name`, which is not ASCII and may be spelt in many ways."""
    return not name.isascii() and name in tokens(row)


def _words(name: str, known: Iterable[str]) -> str:
    like = difflib.get_close_matches(name.lower(), [*known], n=1)
    shown = repr(name) if is_quotable(name) else "one of the columns"
    hint = f": did you mean {on_one_line(like[0])!r}?" if like else ""
    return f"no row has {shown}, so that column is empty{hint}"
