"""Async client SDK for VoIPstudio's Call Me Back REST module."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .client import CallMeBackClient
    from .config import ClientConfig
    from .errors import CallMeBackError, ClientMisuse
    from .filters import Filter, where
    from .limits import Limiter, RateLimit
    from .models import Button, Cdr, Page, Record, Setting, Visitor, Website
    from .walk import Progress, Walk

# Imported on first use: `import voipstudio_cmb` stays free for the command line's --help and for
# whoever only wants the sandbox, and does not pull aiohttp in.
_HOME = {
    "Button": "models",
    "CallMeBackClient": "client",
    "CallMeBackError": "errors",
    "Cdr": "models",
    "ClientConfig": "config",
    "ClientMisuse": "errors",
    "Filter": "filters",
    "Limiter": "limits",
    "Page": "models",
    "Progress": "walk",
    "RateLimit": "limits",
    "Record": "models",
    "Setting": "models",
    "Visitor": "models",
    "Walk": "walk",
    "Website": "models",
    "where": "filters",
}

__all__ = [
    "Button",
    "CallMeBackClient",
    "CallMeBackError",
    "Cdr",
    "ClientConfig",
    "ClientMisuse",
    "Filter",
    "Limiter",
    "Page",
    "Progress",
    "RateLimit",
    "Record",
    "Setting",
    "Visitor",
    "Walk",
    "Website",
    "where",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOME[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return __all__
