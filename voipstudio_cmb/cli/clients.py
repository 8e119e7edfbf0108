"""Clients as the command line's options ask for them."""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import AsyncIterator

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.limits import RateLimit

from .terminal import notify


def check_rate(rate: float | None, option: str = "--rate") -> None:
    """Raises ClientMisuse if `rate` is not a finite number above 0."""
    if rate is not None and not 0 < rate < math.inf:
        raise ClientMisuse(f"{option} must be a finite number above 0, not {rate}")


def make_limiter(rate: float | None) -> RateLimit | None:
    """The limiter for `--rate`, if that is given."""
    check_rate(rate)
    return None if rate is None else RateLimit(rate)


@contextlib.asynccontextmanager
async def open_client(arguments: argparse.Namespace) -> AsyncIterator[CallMeBackClient]:
    """A client for the account that `--profile` or the environment names, or for `--sandbox`."""
    limiter = make_limiter(arguments.rate)
    if not getattr(arguments, "sandbox", False):
        async with CallMeBackClient.from_env(arguments.profile, limiter=limiter) as client:
            yield client
        return
    from voipstudio_cmb.sandbox import Sandbox

    # In a thread of its own, as a server elsewhere would be: the client shares no loop with it.
    with Sandbox() as api:
        notify(arguments, f"sandbox: a stand-in for the API at {api.base_url}")
        async with CallMeBackClient(api.token, base_url=api.base_url, limiter=limiter) as client:
            yield client
