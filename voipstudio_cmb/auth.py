"""The token on every attempt, and a fresh one when the API refuses it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import attrs

from .config import Secret
from .errors import CallMeBackError, ClientMisuse
from .http import Handler, Request, Response

TokenProvider: TypeAlias = Callable[[], Awaitable[str]]
"""Fetches a fresh token; awaited when there is none yet and after a 401."""

TOKEN_HEADER = "X-Auth-Token"


class Auth:
    """Puts the token into every attempt.

    With a provider, a 401 makes the token fetched anew: once, however many requests meet the 401
    together, and once a call.
    """

    def __init__(self, source: Secret | TokenProvider) -> None:
        self._provider = None if isinstance(source, Secret) else source
        self._current = source if isinstance(source, Secret) else None
        self._fetching = asyncio.Lock()

    def __repr__(self) -> str:
        return "Auth(provider)" if self._provider is not None else "Auth('***')"

    async def __call__(self, request: Request, handler: Handler) -> Response:
        secret = self._current or await self._fetch()
        request.call.mask = secret.mask
        response = await handler(
            attrs.evolve(request, headers={**request.headers, TOKEN_HEADER: secret.header()})
        )
        if response.status == 401 and self._provider is not None and not request.call.renewed:
            request.call.renewed = True
            if self._current is secret:  # else somebody has renewed it meanwhile
                self._current = None
            return attrs.evolve(response, renew=True)
        return response

    async def _fetch(self) -> Secret:
        async with self._fetching:
            if self._current is None:
                assert self._provider is not None
                self._current = await _provided(self._provider)
            return self._current


async def _provided(provider: TokenProvider) -> Secret:
    """What *provider* brings, as a usable token."""
    try:
        secret = Secret(await provider())
    except CallMeBackError:
        raise
    except Exception as error:  # the caller's own code: whatever it raises is the cause
        raise ClientMisuse(f"the token provider failed with {type(error).__name__}") from error
    return secret.checked()
