"""Finds a secret in text that a server sent back, however it is spelt there.

As it is, in any case of its ASCII letters, percent-encoded, HTML-escaped, JSON-escaped, with
characters between that nobody sees, in base64 (also beside other text, as in HTTP Basic), and cut
short by the end of the text. No pattern is made of the secret, because `re` would keep it.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterator, Sequence
from string import ascii_lowercase, ascii_uppercase
from urllib.parse import unquote

from voipstudio_cmb.boundary.text import UNPRINTABLE

Reveal = Callable[[], str]
"""Returns the secret. Nobody gives it a name, or a traceback with locals would show it."""

_SHORTEST = 4  # any shorter, and every such letter of a text would be taken for the secret
_LEVELS = 3  # how often a text may have been escaped
_FOLDED = str.maketrans(ascii_uppercase + "+", ascii_lowercase + " ")  # a form's + is a blank
_ESCAPE = (
    r"(?i)(?P<cut>(?:%[0-9a-f]?|\\(?:[ux][0-9a-f]{0,3})?|&[#a-z0-9]{0,8})\Z)"
    r"|(?P<percent>(?:%[0-9a-f]{2})+)"
    r"|(?P<json>(?:\\u[0-9a-f]{4})+)|\\x(?P<hex>[0-9a-f]{2})|\\(?P<char>[^ux])"
    r"|(?P<html>&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});?)"
    rf"|(?P<unseen>(?:{UNPRINTABLE}|\ufffd)+)"
)
_BASE64 = "(?i)[a-z0-9+/_-]{8,}={0,2}"
_URL_SAFE = str.maketrans("-_", "+/")


def masked(text: str, reveal: Reveal) -> str:
    """`text` with *** wherever the secret stands in it."""
    if len(reveal()) < _SHORTEST:
        return text
    hidden: list[tuple[int, int]] = []
    view = text
    begins: Sequence[int] = range(len(text))
    ends: Sequence[int] = range(1, len(text) + 1)
    for _ in range(_LEVELS + 1):
        places = [*_places(view, reveal), *_base64_places(view, reveal)]
        hidden += [
            (begins[first], ends[last - 1] if last < len(view) else len(text))
            for first, last in places
        ]
        before = view
        view, begins, ends = _unescaped(view, begins, ends)
        if view == before:
            break
    for first, last in reversed(_joined(hidden)):
        text = f"{text[:first]}***{text[last:]}"
    return text


def _places(text: str, reveal: Reveal) -> Iterator[tuple[int, int]]:
    """Where the secret begins and ends in `text`, and where as much of it as was not cut off."""
    folded = text.translate(_FOLDED)
    size = len(reveal())
    at = folded.find(reveal().translate(_FOLDED))
    while at >= 0:
        yield at, at + size
        at = folded.find(reveal().translate(_FOLDED), at + size)
    at = folded.find(reveal()[:_SHORTEST].translate(_FOLDED), max(0, len(folded) - size + 1))
    while at >= 0:
        if reveal().translate(_FOLDED).startswith(folded[at:]):
            yield at, len(folded)
            return
        at = folded.find(reveal()[:_SHORTEST].translate(_FOLDED), at + 1)


def _base64_places(text: str, reveal: Reveal) -> Iterator[tuple[int, int]]:
    """Where something is in base64 that holds the secret, at whichever byte it begins."""
    shortest = len(reveal()) * 4 // 3 - 2
    for run in re.finditer(_BASE64, text):
        if run.end() - run.start() < shortest and run.end() < len(text):
            continue
        for skipped in range(4):
            digits = run[0].rstrip("=")[skipped:].translate(_URL_SAFE)
            digits = digits[: len(digits) - (len(digits) % 4 == 1)]
            decoded = binascii.a2b_base64(digits + "=" * (-len(digits) % 4))
            if next(_places(decoded.decode("utf-8", "replace"), reveal), None):
                yield run.span()
                break


def _unescaped(
    text: str, begins: Sequence[int], ends: Sequence[int]
) -> tuple[str, Sequence[int], Sequence[int]]:
    """`text` with one level of escapes undone, and where each character began and ended."""
    parts: list[str] = []
    new_begins: list[int] = []
    new_ends: list[int] = []
    at = 0
    for found in re.finditer(_ESCAPE, text):
        first, last = found.span()
        spelt = _spelt(found)
        parts += [text[at:first], spelt]
        new_begins += [*begins[at:first], *[begins[first]] * len(spelt)]
        new_ends += [*ends[at:first], *[ends[last - 1]] * len(spelt)]
        at = last
    if not parts:
        return text, begins, ends
    parts.append(text[at:])
    return "".join(parts), [*new_begins, *begins[at:]], [*new_ends, *ends[at:]]


def _spelt(escape: re.Match[str]) -> str:
    """What the matched `escape` stands for."""
    match escape.lastgroup:
        case "percent":
            return unquote(escape[0], errors="replace")
        case "json":
            return str(json.loads(f'"{escape[0].lower()}"'))
        case "hex":
            return chr(int(escape["hex"], 16))
        case "html":
            from html import unescape  # late, as in boundary/text.py

            return unescape(escape[0])
    return escape["char"] or ""


def _joined(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The `places` in their order, those that overlap made one."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(places):
        if joined and first < joined[-1][1]:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined
