"""Requests that wait for a connection when the API asks everybody to wait."""

from __future__ import annotations

import asyncio

import pytest

from voipstudio_cmb import CallMeBackClient, ClientConfig
from voipstudio_cmb.sandbox import Fault, Sandbox


@pytest.mark.parametrize("status", [429, 503])
async def test_who_waits_for_a_connection_waits_for_the_pause_too(status: int) -> None:
    # Without that, all that wait are sent at once, are refused, and take the budget for retries.
    async with Sandbox(rows=5) as api:
        refused = api.script(Fault(status=status, body=b"<html>", times=150))
        config = ClientConfig(connections=4)
        async with CallMeBackClient(api.token, base_url=api.base_url, config=config) as cmb:
            calls = asyncio.gather(*(cmb.ping() for _ in range(300)), return_exceptions=True)
            while not refused.applied:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.2)
            assert refused.applied <= 20
            await cmb.aclose()
            await calls
