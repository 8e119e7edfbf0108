"""A stand-in for the Call Me Back API that runs on loopback, for the tests of whoever uses it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .data import Data, Drift, Table, Watch
    from .faults import Fault, Scripted
    from .journal import Received
    from .server import Sandbox
    from .temper import Temper

__all__ = [
    "Data",
    "Drift",
    "Fault",
    "Received",
    "Sandbox",
    "Scripted",
    "Table",
    "Temper",
    "Watch",
]

# Names are fetched when they are first asked for, because pytest imports this package in every run
# of every user for the sake of the fixture, and aiohttp.web costs a tenth of a second.
_HOMES = {
    "Data": "data",
    "Drift": "data",
    "Fault": "faults",
    "Received": "journal",
    "Sandbox": "server",
    "Scripted": "faults",
    "Table": "data",
    "Temper": "temper",
    "Watch": "data",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
