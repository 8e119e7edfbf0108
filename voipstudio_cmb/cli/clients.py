"""Clients as the command line's options ask for them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from voipstudio_cmb.auth.profile import Environment, token_variable
from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.limits import RateLimit

from .arguments import Arguments
from .terminal import note


@contextlib.asynccontextmanager
async def open_client(arguments: Arguments) -> AsyncIterator[CallMeBackClient]:
    """A client for the account that `--profile` or the environment names, or for `--sandbox`."""
    limiter = None if arguments.rate is None else RateLimit(arguments.rate)
    if not getattr(arguments, "sandbox", False):
        if arguments.profile and (variable := token_variable(Environment())):
            note(arguments, f"{variable} takes precedence over --profile: unset it")
        async with CallMeBackClient.from_env(arguments.profile, limiter=limiter) as client:
            yield client
        return
    from voipstudio_cmb.sandbox import Sandbox

    # In a thread of its own, as a server elsewhere would be: the client shares no loop with it.
    with Sandbox() as api:
        note(arguments, f"sandbox: a stand-in for the API at {api.base_url}")
        async with CallMeBackClient(api.token, base_url=api.base_url, limiter=limiter) as client:
            yield client
