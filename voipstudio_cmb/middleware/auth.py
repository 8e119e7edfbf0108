"""The auth stage: the newest token on every attempt, renewed once after a 401."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Callable

import attrs

from voipstudio_cmb.auth.credentials import Basic, Login, Token, TokenProvider
from voipstudio_cmb.auth.secret import Secret
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse
from voipstudio_cmb.http import Handler, Request, Response, chain

from .status import check_status


class Auth:
    """Adds the credentials to every attempt.

    Those that can be fetched are fetched again after a 401: once, however many requests meet the
    401 together, and once a call.
    """

    def __init__(self, source: Token | Basic | Login | TokenProvider) -> None:
        self._fixed = source if isinstance(source, Token | Basic) else None
        self._source = None if isinstance(source, Token | Basic) else source
        self._current = None if self._fixed is None else _Current(self._fixed)
        self._fetching = asyncio.Lock()

    def __repr__(self) -> str:
        return "Auth(provider)" if self._source is not None else "Auth('***')"

    async def __call__(self, request: Request, handler: Handler) -> Response:
        current = self._current or await self._fetch(handler)
        earlier = request.call.mask
        # With those before: a server may echo the token that has just been replaced.
        request.call.mask = lambda text: current.mask(earlier(text))
        response = await handler(request.with_headers(current.headers()))
        if response.status == 401 and self._source is not None and not request.call.renewed:
            request.call.renewed = True
            if self._current is current:  # else somebody has renewed it meanwhile
                self._current = None
            return attrs.evolve(response, renew=True)
        return response

    def fingerprint(self) -> str:
        """A hash of the token that is always sent; "any" where tokens are fetched and change."""
        if self._fixed is None:
            return "any"
        sent = "".join(self._fixed.headers().values())
        return f"token {hashlib.sha256(sent.encode()).hexdigest()}"

    async def _fetch(self, handler: Handler) -> _Current:
        async with self._fetching:
            if self._current is None:
                assert self._source is not None
                self._current = _Current(await _fetched(self._source, handler))
            return self._current


class _Current:
    """Credentials in use, whose headers are made once and not for every attempt."""

    __slots__ = ("headers", "mask")

    def __init__(self, credentials: Token | Basic) -> None:
        headers = credentials.headers()
        # A closure, because tools that print an object's slots or locals do not look into one.
        self.headers: Callable[[], dict[str, str]] = lambda: headers
        self.mask: Callable[[str], str] = credentials.mask


async def _fetched(source: Login | TokenProvider, handler: Handler) -> Token:
    if isinstance(source, Login):
        return Token(Secret(await source.fetch(chain(handler, [check_status]))).checked())
    try:
        awaitable = source()
        if not inspect.isawaitable(awaitable):
            raise ClientMisuse("the token provider must be an async function that returns a token")
        secret = Secret(await awaitable)
    except CallMeBackError as error:
        if error.sent == "no":
            raise
        failure = error.with_context(sent="no")  # what the provider has sent is not this call
    except Exception as error:  # the caller's own code: whatever it raises is the cause
        raise ClientMisuse(f"the token provider failed with {type(error).__name__}") from error
    else:
        return Token(secret.checked())
    raise failure
