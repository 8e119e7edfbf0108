"""Text from elsewhere: servers and files may send what steers a terminal or forges a line."""

from __future__ import annotations

import re

UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # controls: C0, DEL, C1
    "\xad\u061c\u180e\u200b-\u200f\u2060-\u2064\ufeff\U000e0000-\U000e007f"  # not seen
    "\u202a-\u202e\u2066-\u206f\ufff9-\ufffb"  # reverse or hide what stands beside them
    "\u2028\u2029"  # line ends
    "\ud800-\udfff]"  # no text at all
)
"""A character that a terminal or a log may obey, does not show, or takes for a line end."""

_BLANKS = re.compile(r"\s+")


def on_one_line(text: str) -> str:
    """`text` as one line that can be printed: white space is a blank, the unprintable U+FFFD."""
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", _BLANKS.sub(" ", text).strip())
