"""The public names, which `tests/data/public.txt` lists: each exists and says what it is."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

import voipstudio_cmb
from voipstudio_cmb import errors

LIST = Path(__file__).parent / "data" / "public.txt"
NAMES = [line for line in LIST.read_text("utf-8").splitlines() if not line.startswith("#")]


@cache
def documented_values() -> dict[str, str]:
    """Constants and type aliases: their names, and the string below each."""
    docstrings = {}
    for path in Path(voipstudio_cmb.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            body = getattr(node, "body", None)
            for statement, below in pairwise(body if isinstance(body, list) else []):
                if not isinstance(below, ast.Expr) or not isinstance(below.value, ast.Constant):
                    continue
                if isinstance(statement, ast.Assign | ast.AnnAssign):
                    target = getattr(statement, "target", None) or statement.targets[0]
                    docstrings[ast.unparse(target)] = str(below.value.value)
    return docstrings


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(n, marks=pytest.mark.engines) if ".ext.dlt." in n or ".ext.dask." in n else n
        for n in NAMES
    ],
)
def test_a_public_name_exists_and_its_first_line_says_what_it_is(path: str) -> None:
    module, _, name = path.rpartition(".")
    value = getattr(import_module(module), name)
    own = inspect.isclass(value) or inspect.isfunction(value)
    docstring = inspect.cleandoc(value.__doc__ or "") if own else documented_values().get(name, "")
    first = docstring.split("\n\n")[0]
    assert first.endswith("."), first
    assert "\n" not in first
    assert len(first) <= 100


def test_the_list_is_complete() -> None:
    assert len(NAMES) == len(set(NAMES))
    for room in ("", ".desired", ".export", ".sandbox"):
        module = f"voipstudio_cmb{room}"
        listed = {path.rpartition(".")[2] for path in NAMES if path.rpartition(".")[0] == module}
        assert listed == set(import_module(module).__all__)
    raised = [value for value in vars(errors).values() if inspect.isclass(value)]
    for error in raised:
        if issubclass(error, errors.CallMeBackError):
            assert f"voipstudio_cmb.errors.{error.__name__}" in NAMES
