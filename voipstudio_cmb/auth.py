"""What proves who asks, on every attempt, and a fresh proof when the API refuses it."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import inspect
from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import attrs

from .answers import read_whole
from .codec import to_json
from .config import HeaderSecret, Secret
from .errors import BadRequest, CallMeBackError, ClientMisuse, ConfigError, Forbidden, Unauthorized
from .http import Handler, Request, Response
from .raising import raising

TokenProvider: TypeAlias = Callable[[], Awaitable[str]]
"""Fetches a fresh token; awaited when there is none yet and after a 401."""


class Basic:
    """HTTP Basic with a user's id and token: the older form, which the API still takes."""

    def __init__(self, user_id: int, token: str) -> None:
        secret = Secret(token)
        del token  # or a traceback with locals would show it
        secret.checked()
        if isinstance(user_id, bool) or not isinstance(user_id, int) or user_id < 1:
            raise ConfigError(f"the user id must be an integer of at least 1, not {user_id!r}")
        self._token = secret
        self._encoded = Secret(b64encode(f"{user_id}:{secret.header()}".encode()).decode())
        self._unpadded = Secret(self._encoded.header().rstrip("="))

    def __repr__(self) -> str:
        return "Basic('***')"

    def headers(self) -> dict[str, str]:
        """The header to send."""
        return {"Authorization": HeaderSecret(f"Basic {self._encoded.header()}")}

    def mask(self, text: str) -> str:
        """*text* without the token in any form that was sent."""
        return self._unpadded.mask(self._encoded.mask(self._token.mask(text)))


@attrs.frozen
class Token:
    """An API key or a session token, in the API's own header."""

    secret: Secret

    def headers(self) -> dict[str, str]:
        """The header to send."""
        return {"X-Auth-Token": self.secret.header()}

    def mask(self, text: str) -> str:
        """*text* without the token in any form that was sent."""
        return self.secret.mask(text)


class Login:
    """Logs in with an e-mail address and a password whenever a token is needed.

    The API's session tokens die after 30 minutes without a request; the client then logs in again.
    For long jobs an API key is better. An account with two-factor authentication can't be used by a
    program this way.
    """

    def __init__(self, email: str, password: str | Secret) -> None:
        secret = password if isinstance(password, Secret) else Secret(password)
        del password  # or a traceback with locals would show it
        self._email = email
        self._password = secret
        secret.checked_text("password")
        if not isinstance(email, str) or "@" not in email:
            raise ConfigError("login needs the e-mail address of a user, and the password")

    def __repr__(self) -> str:
        return f"Login({self._email!r}, '***')"

    async def fetch(self, handler: Handler) -> str:
        """A session token, by `POST /login` through *handler*.

        Raises:
            Unauthorized: refused, or the account asks for a second factor.
        """
        login = Request(
            method="POST",
            path="/login",
            operation="login",
            body=to_json({"email": self._email, "password": str(self._password.header())}),
            parse=_user_token,  # in there, or what can't be read would be quoted unmasked
        )
        login.call.mask = self._password.mask
        refusal = None
        try:
            response = await raising(login, handler)
        except (BadRequest, Unauthorized, Forbidden) as error:
            refusal = f"the e-mail address or the password was refused ({error.message})"
        else:
            token: str | None = response.value
            if token is not None:
                return token
            refusal = (
                "this account asks for a second factor, so no program can log in with a password: "
                "make an API key in the dashboard (or by POST /apitokens) and pass it as the token"
            )
        raise Unauthorized(refusal, status=401, sent="yes", method="POST", path="/login")


def _user_token(response: Response) -> str | None:
    """The token, or None if the account asks for a second factor first."""
    if response.status == 202:
        return None
    token = read_whole(response).get("user_token")
    if not isinstance(token, str):
        raise ConfigError("POST /login answered without a user_token: use an API key instead")
    return token


def login(email: str, password: str) -> Login:
    """A source of tokens for `CallMeBackClient(login("me@example.com", "…"))`; see `Login`."""
    secret = Secret(password)
    del password  # or a traceback with locals would show it
    return Login(email, secret)


class Auth:
    """Puts the proof into every attempt.

    Where it can be fetched anew, a 401 makes it so: once, however many requests meet the 401
    together, and once a call.
    """

    def __init__(self, source: Token | Basic | Login | TokenProvider) -> None:
        self._fixed = source if isinstance(source, Token | Basic) else None
        self._source = None if isinstance(source, Token | Basic) else source
        self._current: Token | Basic | None = self._fixed
        self._fetching = asyncio.Lock()

    def __repr__(self) -> str:
        return "Auth(provider)" if self._source is not None else "Auth('***')"

    async def __call__(self, request: Request, handler: Handler) -> Response:
        proof = self._current or await self._fetch(handler)
        earlier = request.call.mask
        # With those before: a server may echo the token that has just been replaced.
        request.call.mask = lambda text: proof.mask(earlier(text))
        response = await handler(request.with_headers(proof.headers()))
        if response.status == 401 and self._source is not None and not request.call.renewed:
            request.call.renewed = True
            if self._current is proof:  # else somebody has renewed it meanwhile
                self._current = None
            return attrs.evolve(response, renew=True)
        return response

    def fingerprint(self) -> str:
        """A hash of the token that is always sent, or the same for all that are fetched."""
        if self._fixed is None:
            return "any"
        sent = "".join(self._fixed.headers().values())
        return f"token {hashlib.sha256(sent.encode()).hexdigest()}"

    async def _fetch(self, handler: Handler) -> Token | Basic:
        async with self._fetching:
            if self._current is None:
                assert self._source is not None
                self._current = await _fetched(self._source, handler)
            return self._current


async def _fetched(source: Login | TokenProvider, handler: Handler) -> Token:
    """What *source* brings, as a usable token."""
    if isinstance(source, Login):
        return Token(Secret(await source.fetch(handler)).checked())
    try:
        coming = source()
        if not inspect.isawaitable(coming):
            raise ClientMisuse("the token provider must be an async function that returns a token")
        secret = Secret(await coming)
    except CallMeBackError as error:
        if error.sent == "no":
            raise
        failure = copy.copy(error)
        failure.sent = "no"  # what the provider has sent is not this call
    except Exception as error:  # the caller's own code: whatever it raises is the cause
        raise ClientMisuse(f"the token provider failed with {type(error).__name__}") from error
    else:
        return Token(secret.checked())
    raise failure
