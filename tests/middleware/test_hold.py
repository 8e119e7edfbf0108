"""A 429 is told to a limiter that can hold, and through it to all who share the limiter."""

from __future__ import annotations

import pytest

from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.sandbox import Fault, Sandbox


async def test_a_429_is_told_to_who_shares_the_limit(call_me_back_sandbox: Sandbox) -> None:
    api = call_me_back_sandbox

    class Told:
        seconds: list[float]

        def __init__(self) -> None:
            self.seconds = []

        async def acquire(self) -> None:
            pass

        def hold(self, seconds: float) -> None:
            self.seconds.append(seconds)

    limiter = Told()
    api.script(Fault(status=503, headers={"Retry-After": "1"}))
    api.script(Fault(status=429, headers={"Retry-After": "1"}, after=1))
    async with CallMeBackClient(api.token, base_url=api.base_url, limiter=limiter) as cmb:
        await cmb.settings.list().collect()
    assert limiter.seconds == [pytest.approx(1.0, abs=0.1)]
