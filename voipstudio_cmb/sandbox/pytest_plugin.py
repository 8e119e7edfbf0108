"""The pytest fixture of the stand-in; it imports the server only in tests that ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .server import Sandbox


@pytest.fixture
def call_me_back_sandbox_options() -> dict[str, Any]:
    """What `call_me_back_sandbox` is built with; override it with the parameters of `Sandbox`."""
    return {"rows": 200}


@pytest.fixture
def call_me_back_sandbox(call_me_back_sandbox_options: dict[str, Any]) -> Iterator[Sandbox]:
    """A running stand-in for the Call Me Back API: ``.base_url``, ``.token``, ``.script(...)``."""
    from .server import Sandbox

    with Sandbox(**call_me_back_sandbox_options) as sandbox:
        yield sandbox
