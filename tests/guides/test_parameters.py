"""The guides name every parameter of what they describe."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from voipstudio_cmb import ClientConfig
from voipstudio_cmb.guides import read
from voipstudio_cmb.query import WalkOptions
from voipstudio_cmb.sandbox import Drift, Fault, Sandbox, Temper

CASES: list[tuple[str, type[Any]]] = [
    ("services", ClientConfig),
    ("testing", Drift),
    ("testing", Fault),
    ("testing", Sandbox),
    ("testing", Temper),
    ("walking", WalkOptions),
]


@pytest.mark.parametrize(("guide", "kind"), CASES)
def test_every_parameter_is_named(guide: str, kind: type[Any]) -> None:
    names = inspect.signature(kind).parameters if kind is Sandbox else kind.__annotations__
    text = read(guide)
    assert [name for name in names if not re.search(rf"`{name}\b", text)] == []
