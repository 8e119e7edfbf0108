"""Clients as the command line's options ask for them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any

from voipstudio_cmb.auth.profile import Environment
from voipstudio_cmb.boundary.checks import checked_duration
from voipstudio_cmb.boundary.text import lacks_extra
from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.limits import Limiter, RateLimit
from voipstudio_cmb.patience import Patience

from .arguments import Arguments
from .terminal import note

if TYPE_CHECKING:
    from voipstudio_cmb.ext.redis import RedisRateLimit


def config_of(arguments: Arguments) -> ClientConfig | None:
    """How clients behave: with the patience that `--patience` says, unless nothing is written.

    Raises:
        ClientMisuse: it is no time.
    """
    seconds = checked_duration("--patience", getattr(arguments, "patience", 0))
    if not seconds or arguments.dry_run:
        return None
    return ClientConfig(patience=Patience(seconds, partial(note, arguments)))


@contextlib.asynccontextmanager
async def open_limiter(arguments: Arguments) -> AsyncIterator[Limiter | None]:
    """What paces the requests of a command: `--rate`, of this process or shared (`--rate-limit`).

    Raises:
        ClientMisuse: what it is shared by can't be used, or its package is not installed.
    """
    shared = shared_limiter(arguments)
    if shared is None:
        yield None if arguments.rate is None else RateLimit(arguments.rate)
        return
    async with shared:
        yield shared


def shared_limiter(arguments: Arguments) -> RedisRateLimit | None:
    """What paces by `--rate` all who share it; None: no Redis is named, or no rate.

    Raises:
        ClientMisuse: what it is shared by can't be used, or its package is not installed.
    """
    given, variable = arguments.rate_limit, "VOIPSTUDIO_RATE_LIMIT"
    if arguments.rate is None or not (given or Environment().get(variable)):
        return None
    try:
        from voipstudio_cmb.ext.redis import RedisRateLimit
    except ImportError:
        raise ClientMisuse(lacks_extra("--rate-limit", "redis")) from None
    where: Any = {"url": given} if given else {"url_env": variable}
    try:
        return RedisRateLimit(arguments.rate, key=arguments.rate_limit_key, **where)
    except ClientMisuse as error:
        name = "--rate-limit" if given else variable
        raise ClientMisuse(error.message.replace("RedisRateLimit: ", f"{name}: ")) from None


@contextlib.asynccontextmanager
async def open_client(arguments: Arguments) -> AsyncIterator[CallMeBackClient]:
    """A client for the account that `--profile` or the environment names, or for `--sandbox`."""
    async with open_limiter(arguments) as limiter, _open(arguments, limiter) as client:
        yield client


@contextlib.asynccontextmanager
async def _open(arguments: Arguments, limiter: Limiter | None) -> AsyncIterator[CallMeBackClient]:
    config = config_of(arguments)
    if not getattr(arguments, "sandbox", False):
        found = CallMeBackClient.from_env(arguments.profile, limiter=limiter, config=config)
        async with found as client:
            yield client
        return
    from voipstudio_cmb.sandbox import Sandbox

    # In a thread of its own, as a server elsewhere would be: the client shares no loop with it.
    with Sandbox() as api:
        note(arguments, f"sandbox: a stand-in for the API at {api.base_url}")
        stand_in = CallMeBackClient(
            api.token, base_url=api.base_url, limiter=limiter, config=config
        )
        async with stand_in as client:
            yield client
