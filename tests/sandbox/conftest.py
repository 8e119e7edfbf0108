"""A sandbox with 120 call records."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from voipstudio_cmb.sandbox import Sandbox


@pytest.fixture
async def api() -> AsyncIterator[Sandbox]:
    async with Sandbox(rows=120) as api:
        yield api
