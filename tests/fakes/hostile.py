"""Text of a server that wants to steer a terminal, forge lines, or hide what it says."""

from __future__ import annotations

import unicodedata

_ODD = (
    *range(0x20), *range(0x7F, 0xA0), 0xAD, 0x61C, 0x180E, *range(0x200B, 0x2010),
    *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF, 0xFFF9, 0xDFFF, 0xD800, 0xE0041,
)  # fmt: skip

HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\nFORGED\n" + "".join(map(chr, _ODD))
"""Every character that must not be printed as it is."""


def harmful(text: str) -> list[str]:
    """What of `text` could steer, forge or hide: controls, formats, line ends, half pairs."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return [repr(each) for each in text if unicodedata.category(each) in kinds]
