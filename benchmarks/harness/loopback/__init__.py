"""The guard: no test, claim or campaign leaves loopback, and none of their child processes.

    sitecustomize   refuses every other address and name at once, with an error that says why

An audit hook, so that it holds for whatever opens a socket in Python, and can't be taken down.
"""

from __future__ import annotations

import importlib
import os
from typing import Final

HERE: Final = os.path.dirname(os.path.abspath(__file__))
NOWHERE: Final = "http://127.0.0.1:9/v1.2/voipstudio"
"""The base URL of who names none. Nobody listens there, and nothing takes the port by chance."""


def guard() -> None:
    """Puts up the guard in this process and in all that inherit its environment."""
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if HERE not in path:  # or this process has inherited it
        os.environ["VOIPSTUDIO_API_URL"] = NOWHERE
        os.environ["PYTHONPATH"] = os.pathsep.join([HERE, *filter(None, path)])
        importlib.import_module(f"{__name__}.sitecustomize")
