"""The guide on testing names all that the stand-in can do."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from voipstudio_cmb.guides import read
from voipstudio_cmb.sandbox import Drift, Fault, Sandbox, Temper


@pytest.mark.parametrize("kind", [Sandbox, Fault, Temper, Drift], ids=lambda kind: kind.__name__)
def test_every_parameter_is_named(kind: type[Any]) -> None:
    text = read("testing")
    names = inspect.signature(kind).parameters
    assert [name for name in names if not re.search(rf"`{name}\b", text)] == []
