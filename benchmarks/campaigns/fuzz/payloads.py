"""JSON payloads through the decoder and the records."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from benchmarks.campaigns.fuzz.findings import Findings
from benchmarks.campaigns.fuzz.generate import payloads
from voipstudio_cmb.codec.envelopes import read_item, read_messages, read_page, read_total
from voipstudio_cmb.errors import BadPayload
from voipstudio_cmb.http import Response
from voipstudio_cmb.models import Button, Cdr, Record, Setting, Visitor, Website

RECORDS: tuple[type[Record], ...] = (Website, Setting, Cdr, Visitor, Button)
SLOWEST = 1.0
"""Seconds that a payload may take."""


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, and so are their types and the order of their keys."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other and repr(one) == repr(other)  # which tells -0.0 from 0.0


def _exact(text: str) -> Any:
    """A float, or what a float can't hold as it was written: as a decimal, or as text."""
    number = float(text)
    if abs(number) != float("inf"):
        return number
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def _exact_integer(text: str) -> int | Decimal:
    return int(text) if len(text) < 4000 else Decimal(text)


def _read(
    findings: Findings, body: bytes, what: str, reader: Callable[..., Any], *given: Any
) -> Any:
    """What the reader returns, or `None` if it raises what is documented."""
    began = time.perf_counter()
    result = None
    try:
        result = reader(*given)
        findings.met[what] += 1
    except BadPayload as error:
        findings.met[type(error).__name__] += 1
    except Exception as error:
        findings.add(f"{what} raised {error!r} for {body!r}")
    findings.check_time(time.perf_counter() - began, SLOWEST, body)
    return result


def _check_rows(findings: Findings, body: bytes, records: list[Any]) -> None:
    # What is no text stands outside of the rows: those are looked at.
    text = body.decode("utf-8", "replace")
    rows = json.loads(text, parse_float=_exact, parse_int=_exact_integer)["data"]
    rows = rows if isinstance(rows, list) else [rows]
    for record, row in zip(records, rows, strict=True):
        if not same(record.to_dict(), row):
            findings.add(f"{record.to_dict()!r} is not {row!r}")


def fuzz_payloads(count: int, seed: int) -> Findings:
    """Sends so many payloads through the decoder and the records."""
    findings, rng = Findings(), random.Random(f"records {seed}")
    for body in payloads(count, seed):
        response, record = Response(status=200, body=body), rng.choice(RECORDS)
        page = _read(findings, body, "page", read_page, response, record, 1)
        if page is not None:
            _check_rows(findings, body, page.records)
        item = _read(findings, body, "item", read_item, response, record)
        if item is not None:
            _check_rows(findings, body, [item])
        _read(findings, body, "total", read_total, response)
        _read(findings, body, "messages", read_messages, body)
    return findings
