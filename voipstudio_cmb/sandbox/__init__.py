"""A Call Me Back API that runs on loopback, for your tests and for those of this package.

In the order in which a request meets them::

    server.py     Sandbox: starts and stops the server, and gives tests its address and its data
    gate.py       every request: journal, fault, rate limit, latency, credentials
      journal.py    what was received, without secrets
      faults.py     which requests go wrong, and how
      rate.py       the sliding window of the rate limit
    api/          what the API does with a request: routes, bodies, lists, account
      temper.py     how it differs from the documentation
    data/         the rows: five tables, how they are queried, and how they drift
    refusal.py    the exception that becomes an error response, in the gate

`pytest_plugin.py` has the fixture. Nothing here imports the rest of the package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .data import Data, Drift, Table, Watch
    from .faults import Fault, Scripted
    from .journal import Received
    from .server import Sandbox
    from .temper import Temper

__all__ = ["Data", "Drift", "Fault", "Received", "Sandbox", "Scripted", "Table", "Temper", "Watch"]

# Imported on first use: pytest loads this package for the fixture in every run of every user, and
# aiohttp.web costs a tenth of a second.
_MODULES = {
    "data": ("Data", "Drift", "Table", "Watch"),
    "faults": ("Fault", "Scripted"),
    "journal": ("Received",),
    "server": ("Sandbox",),
    "temper": ("Temper",),
}


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
