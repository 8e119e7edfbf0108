"""The names of the root: the same for the interpreter and for type checkers, imported lazily."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import voipstudio_cmb


def test_type_checkers_see_the_names_that_the_interpreter_finds() -> None:
    tree = ast.parse(Path(voipstudio_cmb.__file__).read_text("utf-8"))
    (branch,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in branch.body if isinstance(node, ast.ImportFrom)]
    modules = {alias.asname: node.module for node in imports for alias in node.names}
    assert sorted(modules) == voipstudio_cmb.__all__ == dir(voipstudio_cmb)
    for name, module in modules.items():
        defined = getattr(import_module(f"voipstudio_cmb.{module}"), name)
        assert getattr(voipstudio_cmb, name) is defined


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = voipstudio_cmb.Nothing  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, voipstudio_cmb; print('aiohttp' in sys.modules, 'attrs' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False False\n"
