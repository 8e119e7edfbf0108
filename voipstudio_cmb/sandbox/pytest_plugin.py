"""The pytest fixture of the sandbox; it imports the server only in tests that use it."""

from __future__ import annotations

from collections.abc import Iterator
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
