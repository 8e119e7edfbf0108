"""Clients as the command line's options ask for them."""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import AsyncIterator, Callable

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.limits import RateLimit


def check_rate(rate: float | None, option: str = "--rate") -> None:
    """Raises ClientMisuse if *rate* is one that nothing can be paced by."""
    if rate is not None and not 0 < rate < math.inf:
        raise ClientMisuse(f"{option} must be a finite number above 0, not {rate}")


def limiter_of(arguments: argparse.Namespace) -> RateLimit | None:
    """What paces by `--rate`, if that is given."""
    check_rate(arguments.rate)
    return None if arguments.rate is None else RateLimit(arguments.rate)


@contextlib.asynccontextmanager
async def opened(arguments: argparse.Namespace) -> AsyncIterator[CallMeBackClient]:
    """A client for the account that `--profile` or the environment names."""
    limiter = limiter_of(arguments)
    async with CallMeBackClient.from_env(arguments.profile, limiter=limiter) as client:
        yield client


@contextlib.asynccontextmanager
async def sandboxed(
    arguments: argparse.Namespace, say: Callable[[str], None]
) -> AsyncIterator[CallMeBackClient]:
    """A client for a stand-in that is started for it; *say* is told where."""
    from voipstudio_cmb.sandbox import Sandbox

    limiter = limiter_of(arguments)
    # In a thread of its own, as a server elsewhere would be: the client shares no loop with it.
    with Sandbox() as api:
        say(f"sandbox: a stand-in for the API at {api.base_url}")
        async with CallMeBackClient(api.token, base_url=api.base_url, limiter=limiter) as client:
            yield client
