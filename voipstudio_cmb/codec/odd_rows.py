"""Rows that no reader of JSON takes, found in a response that is well formed but for them.

One is nested more deeply than readers go, or holds a number that JSON does not have (NaN,
Infinity). It must not cost the others. A response that is cut short or damaged is none of this: it
may be whole the next time.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator

import msgspec

from voipstudio_cmb.boundary.value import Frozen

from .surrogates import escaped, tolerant

_STRUCTURE = rb'(?s)"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]'
_skipped = tolerant(msgspec.json.Decoder(list[list[list[msgspec.Raw]]]).decode)


class OddRow(Frozen, frozen=True):
    """A row that can't be read."""

    why: str
    """What is wrong with it."""
    json: bytes
    """Its text as a JSON string, which can be read."""


class OddRows(Frozen, frozen=True):
    """What a response holds besides its `rows`."""

    body: bytes
    """The response with a stand-in for each of them."""
    rows: dict[bytes, OddRow]
    """Each by its stand-in."""


def odd_rows(body: bytes) -> OddRows | None:
    """The odd rows in `body`, a collection's response that can't be read; None if it has none."""
    if not body.rstrip().endswith(b"}"):
        return None  # it was cut short
    mark, at = secrets.token_hex(8), 0
    parts: list[bytes] = []
    rows: dict[bytes, OddRow] = {}
    for first, last in _places(body):
        row = body[first:last].strip()
        if (why := _problem(row)) is not None:
            stand_in = b'"%b"' % f"{mark} {len(rows)}".encode()
            rows[stand_in] = OddRow(why, escaped(row.decode("utf-8", "surrogateescape")))
            parts += [body[at:first], stand_in]
            at = last
    return OddRows(b"".join([*parts, body[at:]]), rows) if rows else None


def _places(body: bytes) -> Iterator[tuple[int, int]]:
    """Where each element of the array `data` begins and ends, found without recursion."""
    depth, first, name = 0, -1, b""
    for found in re.finditer(_STRUCTURE, body):
        sign = found[0]
        if first >= 0 and depth == 2 and sign in (b",", b"]"):
            if body[first : found.start()].strip():
                yield first, found.start()
            first = found.end()
        if sign in (b"[", b"{"):
            depth += 1
            if depth == 2 and sign == b"[" and name == b'"data"':
                first = found.end()
        elif sign in (b"]", b"}"):
            depth -= 1
            first = first if depth >= 2 else -1
        elif depth == 1:
            name = sign


def _problem(row: bytes) -> str | None:
    """Why no reader takes `row`, if its text is that of a row for all that."""
    try:
        _skipped(b"[[[%b]]]" % row)  # nested as it is in the response, and a little more
        return None
    except RecursionError:
        return "it is nested too deeply"
    except ValueError:
        pass
    constants: list[str] = []
    try:
        json.loads(row.decode(), parse_int=str, parse_float=str, parse_constant=constants.append)
    except RecursionError:
        return "it is nested too deeply"
    except ValueError:
        return None
    return f"{constants[0]} is no JSON" if constants else None
