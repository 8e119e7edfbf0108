"""Rows that a server might send, as JSON text: documented members, further ones, hostile values."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence

INTEGERS, BOOLEANS, TIMES, DECIMALS, FLOATS, TEXTS, NESTED, NULLS = (
    ("0", "1", "-7", "442079460123", "9223372036854775807", "-9223372036854775808"),
    ("true", "false"),
    ('"2026-01-01 00:00:00"', '"2026-02-28T23:59:59"', '"2026-01-01 00:00:00.123456"'),
    ('"100.00"', "2.50", "0.00", "-1.05", "12345678901234567890.12"),
    ("0.1", "1.5", "2.0", "1e-05", "1e+16", "5e-324"),
    ('"Ada"', '"Zoë"', '"a\\nb"', '""', '"+49 170 1"', '"\\u0041"'),
    ('{"a":1}', "[1, 2]", "[]", "{}", '[{"b": [null]}]'),
    ("null",),
)
"""What members have in most of the rows of a chunk: then most rows are read many at a time."""

HOSTILE: dict[Sequence[str], Sequence[str]] = {
    INTEGERS: (
        "-0", "-0.0", "0e5", "1.0", "1E5", "9223372036854775808", "-9223372036854775809", '"1"',
        "12345678901234567890", "9" * 400, '"0"', '"-0"', '"01"', '"1_0"', '" 1"', '"+1"', '"1 "',
        '"\\u0031"', '"\\u0031\\u0032"', '"\u0661"', '"1e5"', "true", "null",
    ),
    BOOLEANS: (
        "0", "1", "-0", "-0.0", "2", '"0"', '"1"', '"true"', '"\\u0031"', '""', '" 1"', "null",
        "1.0",
    ),
    TIMES: (
        '"0000-00-00 00:00:00"', '"0000-01-01 00:00:00"', '"9999-12-31 23:59:59"', '"2026-01-01"',
        '"0001-01-01 00:00:00"', '"2026-01-01 24:00:00"', '"2026-01-01T24:00:00.0"', '"20260101"',
        '"2026-01-01t00:00:00"', '"2026-01-01 00:00"', '"2026-01-01 00:00:00.1234567"', '""',
        '"2026-01-01 00:00:00.1"', '"2026-01-01 00:00:00."', '"2026-1-1"',
        '"2026-01-01T00:00:00Z"', '"2026-01-01 00:00:00+00:00"', '"2026-01-01 00:00:60"',
        '"2026-W01-1"', "1767225600", '"2026-02-30 00:00:00"', '"2026-01-01 00:00:00 "',
        '"2026-01-01\\u002000:00:00"', "null", '"2026-01-01 00:00:00,5"',
        '"\\u0032026-01-01 00:00:00"', '"\uff12026-01-01 00:00:00"',
        '"2026-01-01 00:00:00.0000000"', '"2026-01-01T00:00:00z"', '"2026-01-01 00:00:00-00:00"',
    ),
    DECIMALS: (
        "-0", "-0.0", "-0.00", '"-0.00"', "0.0", "1.0", "1." + "0" * 37, "1." + "0" * 38, "1e2",
        "0." + "1" * 50, "9" * 36 + ".99", "9" * 37 + ".99", '"1e5"', '"1e9999999999"', '"NaN"',
        "1", '".5"', '"5."', '"\\u0031"', '""', "null",
    ),
    FLOATS: (
        "-0", "-0.0", "-0e0", "0.0", "1E5", "1e400", "-1e-400", "0.10", "9007199254740993", "1",
        "-1", "1e5", "100000.0", "1e16", "1e22", "0." + "1" * 50, "null", '"0.1"',
    ),
    TEXTS: (
        '"\\ud800"', '"x\\udc00"', '"\\ud83d\\ude80"', '"🚀"', '"\\u0000"', '"\u007f"', '"null"',
        '"\\/"', '"' + "x" * 3000 + '"', '"\u3000"', '"=cmd()"', '"\\\\"', '"\\""', '": -0"',
        '":-0,"', '"\\t-0"', "0", "null", "true", "{}",
    ),
    NESTED: (
        "[" * 40 + "]" * 40, '{"":{"id":-0}}', '{"\\ud800":1}', '["\\udfff"]', "[-0]",
        '{"a":1,"a":2}', "{ }", "[ ]", "[1 ,\t2 ]", '{"id": -0}', "1", '"{}"', "null",
    ),
    NULLS: ("0", "-0", '""', "false", "[]", '"2026-01-01 00:00:00"'),
}  # fmt: skip
"""What stands in a few places instead: what a column nearly holds, or what is nearly the same."""

KINDS = tuple(HOSTILE)
DOCUMENTED: dict[str, Sequence[str]] = {
    "created_at": TIMES, "culture": INTEGERS, "ddi": INTEGERS, "floating_icon": BOOLEANS,
    "max_call_rate": DECIMALS, "name": TEXTS, "position": INTEGERS, "title": TEXTS,
}  # fmt: skip
FURTHER = (
    "src", "SRC", "Name", "cost", "duration", "answered", "tags", "extra", "Extra", "é", "a b", "",
    "=1+1", "x" * 200, "agent.id", "\u2028", "straße", "STRASSE", 'q"\\', "\ud800", "name ",
)  # fmt: skip
SPACE = ("", "", "", " ", "  ", "\t", " \t")


def _name(rng: random.Random, name: str) -> str:
    """The JSON text of a `name`, sometimes with escapes."""
    if rng.random() < 0.05:
        return '"' + "".join(f"\\u{ord(one):04x}" for one in name) + '"'
    return json.dumps(name, ensure_ascii=any("\ud800" <= one <= "\udfff" for one in name))


def _value(rng: random.Random, kind: Sequence[str], hostile: float) -> str:
    if rng.random() >= hostile:
        return rng.choice(kind)
    return rng.choice(HOSTILE[kind if rng.random() < 0.8 else rng.choice(KINDS)])


def _row(rng: random.Random, id: int, kinds: dict[str, Sequence[str]], hostile: set[str]) -> bytes:
    members = [("id", str(id))]
    for name, kind in kinds.items():
        if rng.random() < 0.9:
            members.append((name, _value(rng, kind, 0.2 if name in hostile else 0)))
    if "" in hostile and rng.random() < 0.3:  # the last one counts, for the id too
        name, _ = rng.choice(members)
        members.insert(0, (name, _value(rng, rng.choice(KINDS), 0.5)))
        members.append((rng.choice(FURTHER), _value(rng, rng.choice(KINDS), 0.5)))
    elif rng.random() < 0.1:
        rng.shuffle(members)
    odd_space = rng.random() < 0.1

    def space() -> str:
        return rng.choice(SPACE) if odd_space else ""

    cells = (
        f"{space()}{_name(rng, name)}{space()}:{space()}{token}{space()}" for name, token in members
    )
    return ("{" + ",".join(cells) + "}").encode()


def chunks(count: int, seed: int) -> Iterator[list[bytes]]:
    """Rows that come together: most members of a chunk have values of one kind, some do not."""
    rng = random.Random(f"chunks {seed}")
    for number in range(count):
        names = [
            *rng.sample([*DOCUMENTED], rng.randint(0, 6)),
            *rng.sample(FURTHER, rng.randint(0, 6)),
        ]
        kinds = {
            name: DOCUMENTED[name]
            if name in DOCUMENTED and rng.random() < 0.9
            else rng.choice(KINDS)
            for name in names
        }
        hostile = {name for name in (*names, "") if rng.random() < 0.25}
        ids = range(number + 1, number + 1 + rng.choice((1, 2, 4, 8, 12)))
        yield [_row(rng, id, kinds, hostile) for id in ids]
