"""The pytest fixture of the sandbox; it imports the server only in tests that use it.

Beside it, aioresponses is made to work with aiohttp from 3.14 on, in runs that import it and need
that. `-p no:voipstudio_cmb` switches both off.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from inspect import getsource, signature
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .server import Sandbox


@pytest.fixture
def call_me_back_sandbox_options() -> dict[str, Any]:
    """The parameters of `Sandbox` for `call_me_back_sandbox`; override it to change them."""
    return {"rows": 200}


@pytest.fixture
def call_me_back_sandbox(call_me_back_sandbox_options: dict[str, Any]) -> Iterator[Sandbox]:
    """A running Call Me Back API on loopback: ``.base_url``, ``.token``, ``.script(...)``."""
    from .server import Sandbox

    with Sandbox(**call_me_back_sandbox_options) as sandbox:
        yield sandbox


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Before each test, so that it does not matter which of them imports aioresponses first."""
    core = sys.modules.get("aioresponses.core")
    if core is not None:
        complete_aioresponses(core)


def complete_aioresponses(core: Any) -> None:
    """Lets `core`, which is aioresponses', make the responses of aiohttp >= 3.14.

    Those ask for a `stream_writer`, and would pause a parser that there is not after 128 KiB of a
    body. Nothing is done where they do not ask, or where aioresponses gives one by itself.
    """
    asked = signature(core.ClientResponse.__init__).parameters
    if "stream_writer" not in asked or "stream_writer" in getsource(core):
        return
    make = core.RequestMatch._build_response
    if getattr(make, "completed", False):
        return
    classes: dict[type[Any], type[Any]] = {}

    def complete(self: Any, *args: Any, response_class: Any = None, **kwargs: Any) -> Any:
        wanted = response_class or core.ClientResponse
        if wanted not in classes:
            classes[wanted] = _with_a_writer(wanted)
        return make(self, *args, response_class=classes[wanted], **kwargs)

    complete.completed = True  # type: ignore[attr-defined]
    core.RequestMatch._build_response = complete
    core.stream_reader_factory = _unlimited


def _with_a_writer(response_class: type[Any]) -> type[Any]:
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        response_class.__init__(self, *args, **{"stream_writer": _SENT, **kwargs})

    return type(response_class.__name__, (response_class,), {"__init__": init})


def _unlimited(loop: Any = None) -> Any:
    from aiohttp import StreamReader
    from aiohttp.client_proto import ResponseHandler

    return StreamReader(ResponseHandler(loop=loop), limit=sys.maxsize, loop=loop)


_SENT = SimpleNamespace(output_size=0)
"""The writer of a request that has been sent: all that is asked of it is its size."""
