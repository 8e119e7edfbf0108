"""Calls to the operating system that fail, for whatever lies in one directory."""

from __future__ import annotations

import builtins
import fcntl
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WHERE: dict[str, tuple[Any, ...]] = {
    "open": (os, io, builtins),
    "flock": (fcntl,),
    **dict.fromkeys(
        ("write", "pread", "fsync", "ftruncate", "fstat", "stat", "lstat", "link", "replace",
         "unlink", "chmod", "mkdir"), (os,)
    ),
}  # fmt: skip
"""The calls that an export makes, and the modules that have them."""


class SystemCalls:
    """Counts the calls for paths below `directory`; the calls that `failing` chooses fail.

    `failing` is given the name of a call and which of its name it is, and returns an error number.
    """

    def __init__(
        self, patch: pytest.MonkeyPatch, directory: Path, failing: Callable[[str, int], int]
    ) -> None:
        self.made: dict[str, int] = dict.fromkeys(WHERE, 0)
        self._directory = str(directory)
        self._failing = failing
        for name, modules in WHERE.items():
            for module in modules:
                patch.setattr(module, name, self._call(name, getattr(module, name)))

    def _call(self, name: str, original: Any) -> Any:
        def call(first: Any, *arguments: Any, **named: Any) -> Any:
            path = _path(first)
            if path is not None and path.startswith(self._directory):
                self.made[name] += 1
                if number := self._failing(name, self.made[name]):
                    raise OSError(number, os.strerror(number), *() if _is_file(first) else (path,))
            return original(first, *arguments, **named)

        return call


def _is_file(first: Any) -> bool:
    return isinstance(first, int)


def _path(first: Any) -> str | None:
    try:
        return os.readlink(f"/proc/self/fd/{first}") if _is_file(first) else os.fsdecode(first)
    except (OSError, TypeError):
        return None
