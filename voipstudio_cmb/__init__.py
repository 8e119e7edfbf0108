"""Async client SDK for VoIPstudio's Call Me Back REST module.

cli  ->  export  ->  client        puts the parts together: read it second
                       services    the operations: one call each, or a walk (walk/, query)
                       middleware  stages of a call, by the arithmetic of limits, retry, timeouts
                       transport   one attempt on the wire, through aiohttp

http         the shape of a request and of everything that handles one: read it first
auth         tokens, and where they come from       codec     bytes to values and back
models, resources, filters, config, errors, events  the values that users meet
checks       of numbers                             ext       one integration a file
sandbox      a stand-in for the API, which imports nothing of the rest
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as type checkers know it: typing takes long, and Ctrl-C would show that

__version__ = "0.2.0"

# Imported on first use: `import voipstudio_cmb` stays free for the command line's --help and for
# whoever only wants the sandbox, and does not pull aiohttp in.
_NAMES = {
    "client": "CallMeBackClient",
    "config": "ClientConfig",
    "errors": "CallMeBackError ClientMisuse",
    "filters": "Filter where",
    "limits": "Limiter RateLimit",
    "models": "Button Cdr Page Record Setting Visitor Website",
    "walk": "Progress Walk",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

if TYPE_CHECKING:
    from .client import CallMeBackClient as CallMeBackClient
    from .config import ClientConfig as ClientConfig
    from .errors import CallMeBackError as CallMeBackError
    from .errors import ClientMisuse as ClientMisuse
    from .filters import Filter as Filter
    from .filters import where as where
    from .limits import Limiter as Limiter
    from .limits import RateLimit as RateLimit
    from .models import Button as Button
    from .models import Cdr as Cdr
    from .models import Page as Page
    from .models import Record as Record
    from .models import Setting as Setting
    from .models import Visitor as Visitor
    from .models import Website as Website
    from .walk import Progress as Progress
    from .walk import Walk as Walk
else:  # hidden from type checkers, so that they find a name that does not exist
    __all__ = sorted(_MODULES)

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{_MODULES[name]}", __name__), name)
        return value


def __dir__() -> list[str]:
    return sorted(_MODULES)
