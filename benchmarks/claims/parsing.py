"""The bytes of a page become typed records: in CPU seconds, beside `orjson.loads` of the same.

Rows are as the API's documentation shows them, or with ten more fields that it does not. Each
measurement is made by a process of its own, or the garbage collector would look through what the
other contenders have imported.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import attrs

from benchmarks.harness.claim import Claim, Measure, Sample, Timer, installed
from benchmarks.harness.processes import call_elsewhere
from voipstudio_cmb.codec.envelopes import read_page
from voipstudio_cmb.http import Response
from voipstudio_cmb.models import Cdr

ROWS = 5_000
REPEATS = 10
TARGETS = {0: 1.55, 10: 1.0}
"""By the undocumented fields of a row, x `orjson.loads`."""
MISFITS = {"one row": (ROWS, 1.5), "one row in thirteen": (13, 1.8)}
"""Every how many rows one has a zero date, and the target, x the same page without any."""
_SHOPS = ("Garden shop", "Café Déjà Vu", "North, South & Sons", 'Tea "4" Two')


def row(id: int, more: int, rng: random.Random) -> dict[str, Any]:
    """A row with all fields of the documented response, and so many more."""
    shop = rng.choice(_SHOPS)
    made: dict[str, Any] = {
        "id": id,
        "allowed_countries": rng.choice(("GB,IE,FR", "US", "")),
        "button_id": rng.randrange(1, 10_000),
        "created_at": f"2026-07-{rng.randrange(1, 29):02} 04:{rng.randrange(60):02}:26",
        "culture": rng.randrange(1, 9),
        "ddi": 442_079_460_000 + rng.randrange(1000),
        "floating_icon": rng.random() < 0.5,
        "name": shop,
        "position": rng.randrange(1, 9),
        "privacy_policy_url": f"https://shop{rng.randrange(99)}.example/privacy",
        "show_to_allowed_countries_only": rng.random() < 0.5,
        "title": f"{shop}: call me back",
        "welcome_screen_msg": f"Hello from {shop}!\nWe call you in {rng.randrange(60)} seconds.",
    }
    fields: dict[str, Any] = {
        "phone": f"+44207946{rng.randrange(10_000):04}",
        "disposition": rng.choice(("ANSWERED", "NO ANSWER", "BUSY")),
        "duration": rng.randrange(3600),
        "billable": rng.random() < 0.5,
        "cost": round(rng.random(), 4),
        "started_at": "2026-07-17 04:46:26",
        "agent": rng.choice((None, "Anna Schmidt", "Zoë Ångström")),
        "browser": "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
        "ip_address": f"192.0.2.{rng.randrange(256)}",
        "referrer": rng.choice(("", "https://search.example/")),
    }
    return made | dict(list(fields.items())[:more])


def body(rows: int, more: int, every: int = 0) -> bytes:
    """The response with a page of so many rows, with a zero date in the middle one of `every`."""
    rng = random.Random(1)
    data = [row(7 * number + 7, more, rng) for number in range(rows)]
    for misfit in data[every // 2 :: every] if every else ():
        misfit["created_at"] = "0000-00-00 00:00:00"
    page = {"data": data, "total": 1_000_000}
    return json.dumps(page, separators=(",", ":"), ensure_ascii=False).encode()


def _cattrs(body: bytes) -> Any:
    """A class like ours, a converter as it comes: what it does not know is lost."""
    import cattrs
    import orjson

    return partial(_structured, orjson.loads, cattrs.Converter(), body)


@attrs.define(kw_only=True)
class _Plain:
    id: int
    allowed_countries: str | None = None
    button_id: int | None = None
    created_at: str | None = None
    culture: int | None = None
    ddi: int | None = None
    floating_icon: bool | None = None
    max_call_rate: float | None = None
    name: str | None = None
    position: int | None = None
    privacy_policy_url: str | None = None
    show_to_allowed_countries_only: bool | None = None
    title: str | None = None
    welcome_screen_msg: str | None = None


def _structured(loads: Any, converter: Any, body: bytes) -> Any:
    return converter.structure(loads(body)["data"], list[_Plain])


def _fields() -> dict[str, Any]:
    return {
        "id": (int, ...),
        "allowed_countries": (str | None, None),
        "button_id": (int | None, None),
        "created_at": (datetime | None, None),
        "culture": (int | str | None, None),
        "ddi": (int | None, None),
        "floating_icon": (bool | None, None),
        "max_call_rate": (Decimal | None, None),
        "name": (str | None, None),
        "position": (int | str | None, None),
        "privacy_policy_url": (str | None, None),
        "show_to_allowed_countries_only": (bool | None, None),
        "title": (str | None, None),
        "welcome_screen_msg": (str | None, None),
    }


def _pydantic(body: bytes) -> Any:
    import pydantic

    model = pydantic.create_model("Row", __config__=pydantic.ConfigDict(extra="allow"), **_fields())
    page = pydantic.create_model("Page", data=(list[model], ...), total=(int, ...))  # type: ignore[valid-type]
    return partial(page.model_validate_json, body)


def _openai(body: bytes) -> Any:
    """As its client makes what a page holds: unknown fields kept, values not validated."""
    import orjson
    import pydantic
    from openai import BaseModel

    model = pydantic.create_model("Row", __base__=BaseModel, **_fields())
    page = pydantic.create_model(
        "Page",
        __base__=BaseModel,
        data=(list[model], ...),
        total=(int, ...),  # type: ignore[valid-type]
    )
    return lambda: page.construct(**orjson.loads(body))


def _orjson(body: bytes) -> Any:
    import orjson

    return partial(orjson.loads, body)


def _ours(body: bytes) -> Any:
    return partial(read_page, Response(status=200, body=body), Cdr, 1)


CONTENDERS = {
    "voipstudio_cmb": (_ours, ()),
    "orjson.loads": (_orjson, ("orjson",)),
    "cattrs": (_cattrs, ("orjson",)),
    "pydantic": (_pydantic, ("pydantic",)),
    "openai": (_openai, ("openai", "orjson")),
}


def measured(name: str, rows: int, more: int, repeats: int, every: int = 0) -> Sample:
    """Measures in this process."""
    make, _ = CONTENDERS[name]
    work = make(body(rows, more, every))
    work()
    with Timer() as timer:
        for _ in range(repeats):
            work()
    return timer.sample(1000 * timer.cpu / repeats, wall_ms=1000 * timer.wall / repeats)


def _measure(*given: Any) -> Measure:
    return lambda: Sample(**call_elsewhere(measured, *given))


@contextmanager
def claims(quick: bool) -> Iterator[list[Claim]]:
    """Those of clean pages, and those of pages with misfits."""
    rows, repeats = (50, 1) if quick else (ROWS, REPEATS)
    found = []
    for more, target in TARGETS.items():
        fields = f"{more} undocumented fields a row" if more else "all fields documented"
        found.append(
            Claim(
                name=f"parsing-{more}",
                says=f"{rows:,} rows to records, {fields}",
                unit="ms CPU",
                ours="voipstudio_cmb",
                limit="orjson.loads",
                target=target,
                contenders={
                    name: _measure(name, rows, more, repeats)
                    for name, (_, modules) in CONTENDERS.items()
                    if installed(*modules)
                },
            )
        )
    for what, (every, target) in MISFITS.items():
        found.append(
            Claim(
                name=f"misfits-{every}",
                says=f"{rows:,} rows to records, {what} with a date that is none",
                unit="ms CPU",
                ours="voipstudio_cmb",
                limit="no such row",
                target=target,
                contenders={
                    "voipstudio_cmb": _measure("voipstudio_cmb", rows, 0, repeats, every),
                    "no such row": _measure("voipstudio_cmb", rows, 0, repeats),
                },
            )
        )
    yield found
