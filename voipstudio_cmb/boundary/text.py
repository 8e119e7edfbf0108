"""Text from elsewhere: servers and files may send what steers a terminal or forges a line."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

UNPRINTABLE = (
    "[\x00-\x1f\x7f-\x9f"  # controls: C0, DEL, C1
    "\xad\u061c\u180e\u200b-\u200f\u2060-\u2064\ufeff\U000e0000-\U000e007f"  # not seen
    "\u202a-\u202e\u2066-\u206f\ufff9-\ufffb"  # reverse or hide what stands beside them
    "\u2028\u2029"  # line ends
    "\ud800-\udfff]"  # no text at all
)
"""A character that a terminal or a log may obey, does not show, or takes for a line end."""


def on_one_line(text: str) -> str:
    """`text` as one line that can be printed: white space is a blank, the unprintable U+FFFD."""
    return re.sub(UNPRINTABLE, "\N{REPLACEMENT CHARACTER}", re.sub(r"\s+", " ", text).strip())


def html_table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table for a notebook: each cell as text, the long ones cut."""
    from html import escape  # late: its import is a tenth of the client's

    def line(tag: str, cells: Iterable[object]) -> str:
        texts = (on_one_line(str(cell)) for cell in cells)
        cut = (text if len(text) <= 200 else f"{text[:199]}\u2026" for text in texts)
        return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in cut)

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{line('th', head)}</tr></thead><tbody>{body}</tbody></table>"


def lacks_extra(what: str, extra: str) -> str:
    """What to say where `what` needs a package of an `extra` that is not installed."""
    return f"{what} takes the extra {extra}: pip install '.[{extra}]' in a clone of voipstudio_cmb"


def nearest(name: str, known: Collection[str]) -> str:
    """A question about the one of `known` that was perhaps meant, or nothing."""
    import difflib  # late: only where something is wrong

    found = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {found[0]}?" if found else ""
