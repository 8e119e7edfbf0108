"""Credentials as headers, and sources of fresh tokens."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from voipstudio_cmb.boundary.checks import checked_integer
from voipstudio_cmb.boundary.tracebacks import forget_locals
from voipstudio_cmb.boundary.value import Frozen
from voipstudio_cmb.codec.envelopes import read_object
from voipstudio_cmb.codec.json import to_json
from voipstudio_cmb.errors import BadRequest, ConfigError, Forbidden, Unauthorized
from voipstudio_cmb.http import Handler, Request, Response

from .secret import Secret

TokenProvider: TypeAlias = Callable[[], Awaitable[str]]
"""Fetches a fresh token; awaited before the first request and after a 401."""


class Basic:
    """HTTP Basic with a user's id and token: the older form, which the API still accepts."""

    def __init__(self, user_id: int, token: str | Secret) -> None:
        secret = Secret(token)
        del token  # or a traceback with locals would show it
        self._token = secret.checked()
        user_id = checked_integer("the user id", user_id, 1, error=ConfigError)
        self._header = Secret(
            "Basic " + b64encode(f"{user_id}:{secret.reveal()}".encode()).decode()
        )

    def __repr__(self) -> str:
        return "Basic('***')"

    def headers(self) -> dict[str, str]:
        """The header to send; nobody but who sends it calls this."""
        return {"Authorization": self._header.reveal()}

    def mask(self, text: str) -> str:
        """`text` without the token in any form that was sent."""
        return self._token.mask(text)


class Token(Frozen, frozen=True):
    """An API key or a session token, in the API's own header."""

    secret: Secret

    def changed(self) -> Token | None:
        """The one that is there now where it is from; None if it is the same."""
        secret = self.secret.changed()
        return None if secret is None else Token(secret)

    def headers(self) -> dict[str, str]:
        """The header to send; nobody but who sends it calls this."""
        return {"X-Auth-Token": self.secret.reveal()}

    def mask(self, text: str) -> str:
        """`text` without the token in any form that was sent."""
        return self.secret.mask(text)


class Login:
    """Logs in with an e-mail address and a password whenever a token is needed.

    The API's session tokens expire after 30 minutes without a request; the client then logs in
    again. For long jobs an API key is better. An account with two-factor authentication can't be
    used by a program this way.
    """

    def __init__(self, email: str, password: str | Secret) -> None:
        secret = Secret(password)
        del password  # or a traceback with locals would show it
        self._email = email
        self._password = secret
        secret.checked_text("password")
        if not isinstance(email, str) or "@" not in email:
            raise ConfigError("login needs the e-mail address of a user, and the password")

    def __repr__(self) -> str:
        return f"Login({self._email!r}, '***')"

    async def fetch(self, handler: Handler) -> Secret:
        """A session token, by `POST /login` through `handler`, which raises for a bad status.

        Raises:
            Unauthorized: the login was refused, or the account requires a second factor.
        """
        login = self._request()
        login.call.hide(self._password)
        refusal = None
        try:
            response = await handler(login)
        except (BadRequest, Unauthorized, Forbidden) as error:
            refusal = f"the e-mail address or the password was refused ({error.message})"
        else:
            token: Secret | None = response.value
            if token is not None:
                return token
            refusal = (
                "this account requires a second factor, so no program can log in with a password: "
                "make an API key in the dashboard (or by POST /apitokens) and pass it as the token"
            )
        raise Unauthorized(refusal, status=401, sent="yes", method="POST", path="/login")

    def _request(self) -> Request:
        try:
            return Request(
                method="POST",
                path="/login",
                operation="login",
                body=to_json({"email": self._email, "password": self._password.reveal()}),
                parse=_user_token,
            )
        except BaseException as error:
            forget_locals(error)
            raise


def _user_token(response: Response) -> Secret | None:
    """The token, or None if the account requires a second factor first."""
    if response.status == 202:
        return None
    token = Secret(read_object(response).get("user_token"))
    if not token.reveal():
        raise ConfigError("the response to POST /login has no user_token: use an API key instead")
    return token


def login(email: str, password: str) -> Login:
    """A source of tokens for `CallMeBackClient(login("me@example.com", "…"))`.

    See `Login` for how long its tokens last.

    Raises:
        ConfigError: `email` is no e-mail address, or `password` is empty.
    """
    secret = Secret(password)
    del password  # or a traceback with locals would show it
    return Login(email, secret)
