"""The auth stage: the newest token on every attempt, renewed once after a 401."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from functools import partial

from voipstudio_cmb.auth.credentials import Basic, Login, Token, TokenProvider
from voipstudio_cmb.auth.secret import Secret
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse
from voipstudio_cmb.http import Call, Handler, Request, Response, chain
from voipstudio_cmb.timeouts import LoopGuard, Slots

from .status import check_status


class Auth:
    """Adds the credentials to every attempt.

    Those that can be fetched are fetched again after a 401: once, however many requests meet the
    401 together, and once a call. A fetch that fails has failed for all who wait for it. A token
    that is from a file is read again there, and used if it is another one.
    """

    def __init__(self, source: Token | Basic | Login | TokenProvider) -> None:
        self._fixed = source if isinstance(source, Token | Basic) else None
        self._source = None if isinstance(source, Token | Basic) else source
        self._current: Token | Basic | None = self._fixed
        self._changes = not (
            isinstance(source, Basic)
            or (isinstance(source, Token) and not source.secret.may_change)
        )
        self._fetching = Slots(1)
        self.source = ""
        """Where the credentials and the base URL come from, for messages."""
        self._waiting: set[_Waiter] = set()
        self._guard = LoopGuard("token provider")

    def elsewhere(self) -> Auth:
        """The same for another event loop, with the newest token."""
        other = Auth(self._fixed or self._source)  # type: ignore[arg-type]
        other._current, other.source = self._current, self.source
        return other

    def __repr__(self) -> str:
        return "Auth(provider)" if self._source is not None else "Auth('***')"

    async def __call__(self, request: Request, handler: Handler) -> Response:
        call = request.call
        call.source = self.source
        while True:
            current = self._current or await self._fetch(call, handler)
            call.hide(current)
            call.credentials = partial(self._newest, current) if self._changes else current.headers
            try:
                response = await handler(request)
            except _Renewed:
                continue
            if response.status != 401 or not self._changes or call.renewed:
                return response
            call.renewed = True
            if self._current is current:  # else somebody has renewed it meanwhile
                newer = current.changed() if isinstance(current, Token) else None
                if newer is None and self._fixed is not None:
                    return response
                self._current = newer
            return response.with_changes(renew=True)

    def _newest(self, current: Token | Basic) -> Mapping[str, str]:
        """The headers of `current`, unless it was refused while the request waited to be sent."""
        if self._current is not current:
            raise _Renewed
        return current.headers()

    def fingerprint(self) -> str:
        """A hash of the token that is always sent; "any" where tokens are fetched and change."""
        if self._fixed is None or self._current is None:
            return "any"
        digest = hashlib.sha256("".join(self._current.headers().values()).encode())
        return f"token {digest.hexdigest()}"

    async def _fetch(self, call: Call, handler: Handler) -> Token | Basic:
        earlier = self._guard.loop
        if self._guard.enter(busy=bool(self._waiting)) is not earlier:
            self._fetching = Slots(1)  # one that others waited for belongs to their loop
        waiter = _Waiter()
        self._waiting.add(waiter)
        try:
            async with self._fetching:
                if waiter.failure is not None:
                    call.shared = True
                    raise waiter.failure
                if self._current is None:
                    assert self._source is not None
                    self._current = await _fetched(self._source, handler)
                return self._current
        except CallMeBackError as error:
            if waiter.failure is None:
                for other in self._waiting:  # each its own, with a traceback of its own
                    other.failure = error.with_context()
            raise
        finally:
            self._waiting.discard(waiter)
            del waiter  # or frame and error would keep each other alive


class _Renewed(Exception):
    """A request was not sent, because its token was refused while it waited for a connection."""


class _Waiter:
    """One who waits for a fetch, perhaps by another."""

    __slots__ = ("failure",)

    def __init__(self) -> None:
        self.failure: CallMeBackError | None = None


async def _fetched(source: Login | TokenProvider, handler: Handler) -> Token:
    try:
        if isinstance(source, Login):
            return Token((await source.fetch(chain(handler, [check_status]))).checked())
        awaitable = source()
        if not inspect.isawaitable(awaitable):
            raise ClientMisuse("the token provider must be an async function that returns a token")
        secret = Secret(await awaitable)
    except CallMeBackError as error:
        if error.sent == "no":
            raise
        failure = error.with_context(sent="no")  # what the fetch has sent is not this call
    except Exception as error:  # the caller's own code: whatever it raises is the cause
        raise ClientMisuse(f"the token provider failed with {type(error).__name__}") from error
    else:
        return Token(secret.checked())
    raise failure
