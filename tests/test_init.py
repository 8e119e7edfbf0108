"""The table of contents: sorted, complete, lazy."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import voipstudio_cmb


def test_all_is_sorted_and_every_name_is_there() -> None:
    assert voipstudio_cmb.__all__ == sorted(voipstudio_cmb.__all__)
    for name in voipstudio_cmb.__all__:
        value = getattr(voipstudio_cmb, name)
        assert getattr(import_module(value.__module__), name) is value
    assert dir(voipstudio_cmb) == voipstudio_cmb.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = voipstudio_cmb.Nothing


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, voipstudio_cmb; print('aiohttp' in sys.modules, 'attrs' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False False\n"
