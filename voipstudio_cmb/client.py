"""`CallMeBackClient`: assembles the parts and owns what has to be closed."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from math import inf
from typing import Any, Self

from .auth.credentials import Basic, Login, Token, TokenProvider
from .auth.profile import Environment, resolve
from .auth.secret import Secret
from .boundary.tracebacks import forget_locals
from .codec import envelopes
from .config import DEFAULT_BASE_URL, ClientConfig, checked_base_url
from .errors import CallMeBackError, ClientMisuse, ConfigError, Unauthorized
from .events import Usage
from .http import Call, Handler, Middleware, Request, Response, chain
from .limits import Limiter
from .middleware.auth import Auth
from .middleware.chain import standard
from .middleware.deadline import Deadline
from .middleware.limit import Limit
from .middleware.observe import Observe
from .retry import RetryBudget
from .services import Buttons, Cdrs, Settings, Visitors, Websites
from .timeouts import Timeouts
from .transport.session import ClientSession, Session
from .walk import Capabilities, Tasks


def _checked(middlewares: Iterable[Middleware]) -> tuple[Middleware, ...]:
    if isinstance(middlewares, Iterable) and all(map(callable, checked := tuple(middlewares))):
        return checked
    raise ClientMisuse("middlewares must be async functions (request, handler) -> response")


IDENTITY_SECONDS = 15.0
"""How long `GET /me` may take with its retries: an export can do without, or is run again."""


class CallMeBackClient:
    """The Call Me Back module of one account.

    `token` is an API key, or an async function that fetches a fresh token whenever one is needed,
    or `auth.login(email, password)`, or `auth.Basic(user_id, token)`. Requests are sent through
    your aiohttp `session`, if you pass one; it is never closed and never altered. Middlewares of
    your own are called for each attempt (see `middleware`). A `limiter` paces all requests; several
    clients may share one. `usage` counts calls and requests.

    Use it with `async with`, or await `aclose()`. One client belongs to one event loop.

    Raises:
        ConfigError: no usable token or base URL.
    """

    websites: Websites
    settings: Settings
    cdrs: Cdrs
    visitors: Visitors
    buttons: Buttons

    def __init__(
        self,
        token: str | Secret | TokenProvider | Basic | Login | None = None,
        *,
        base_url: str = DEFAULT_BASE_URL,
        session: ClientSession | None = None,
        config: ClientConfig | None = None,
        middlewares: Iterable[Middleware] = (),
        limiter: Limiter | None = None,
    ) -> None:
        source = (
            token if isinstance(token, Basic | Login) or callable(token) else Token(Secret(token))
        )
        del token  # or a traceback with locals would show it
        if isinstance(source, Token):
            source.secret.checked()
        if limiter is not None and not callable(getattr(limiter, "acquire", None)):
            raise ClientMisuse(
                "a limiter needs an async acquire(): pass limits.RateLimit(60, per=2)"
            )
        if session is not None and not callable(getattr(session, "request", None)):
            raise ClientMisuse("session must be an aiohttp.ClientSession, or None to open one")
        if not isinstance(config, ClientConfig | None):
            raise ClientMisuse(f"config must be a ClientConfig(…), not {type(config).__name__}")
        self._config = config or ClientConfig()
        self._middlewares = _checked(middlewares)
        self._auth = Auth(source)
        self._limiter = limiter
        try:
            mask = source.mask if isinstance(source, Token | Basic) else str
            self._base_url = checked_base_url(base_url, mask)
        except ConfigError as error:
            forget_locals(error)
            raise
        finally:
            del base_url  # it may be a token in the wrong place
        self._auth.source = f"the base URL is {self._base_url}"
        self._given = session
        self._open()

    @classmethod
    def from_env(
        cls,
        profile: str | None = None,
        *,
        env: Mapping[str, str] | None = None,
        session: ClientSession | None = None,
        config: ClientConfig | None = None,
        middlewares: Iterable[Middleware] = (),
        limiter: Limiter | None = None,
    ) -> Self:
        """A client for the account that the environment names.

        The token is `VOIPSTUDIO_API_TOKEN`, or in the file that `VOIPSTUDIO_API_TOKEN_FILE` names,
        else that of `profile`, or of the current one, of the vendor's command line (read only, in
        `~/.config/voipstudio/config.json`); both are refused. A profile's token goes to the URL of
        its profile; one that names none, and a variable's token, to `VOIPSTUDIO_API_URL`, else to
        the default. There is no `base_url` here, so that no token goes where it does not belong.
        `source` says what was found. `env` replaces `os.environ`.

        Raises:
            ConfigError: no token was found, or the file with it can't be used.
        """
        hidden = Environment(env)
        del env  # or a traceback with locals would show the token in it
        try:
            credentials = resolve(profile, hidden)
        except BaseException as error:
            del profile  # it may be a token in the wrong place, as what the frames below hold
            forget_locals(error)
            raise
        client = cls(
            credentials.token,
            base_url=credentials.base_url,
            session=session,
            config=config,
            middlewares=middlewares,
            limiter=limiter,
        )
        client._auth.source = credentials.source
        return client

    def _open(self) -> None:
        """Makes the parts that belong to one event loop, and puts them together."""
        self._limit = Limit(self._limiter, max_retry_after=self._config.max_retry_after)
        self._budget = RetryBudget(capacity=self._config.retry_budget)
        self._tasks = Tasks()
        self._capabilities = Capabilities()
        self._timeouts = Timeouts()
        self.usage: Usage = Usage()
        self._session = Session(
            self._base_url, self._config, self._given, self._timeouts, self._limit.again
        )
        self._owner = True
        self._assemble()

    def _elsewhere(self) -> AbstractAsyncContextManager[Handler]:
        """The handler of a client like this one, for another event loop.

        Raises:
            ClientMisuse: requests are sent through a session that was passed in.
        """
        if self._given is not None:
            raise ClientMisuse(
                "to_reader() needs an aiohttp session of its own, for another event loop, and this "
                "client sends through yours: iterate over batches(), or await read_all()"
            )
        other = copy.copy(self)
        other._auth, other._config = self._auth.elsewhere(), self._config.elsewhere()
        other._open()
        return other._handling()

    @asynccontextmanager
    async def _handling(self) -> AsyncIterator[Handler]:
        async with self:
            yield self._handler

    def _assemble(self) -> None:
        """Builds the chain and the services from the parts."""
        config = self._config
        self._handler = chain(
            self._session,
            standard(
                observe=Observe(config.on_event, self.usage),
                auth=self._auth,
                policy=config.policy(),
                budget=self._budget,
                deadline=Deadline(config.deadline, config.timeout, self._timeouts),
                limit=self._limit,
                patience=config.patience,
                middlewares=self._middlewares,
            ),
        )
        other = copy.copy(self)  # the services of a client that refer to it would be a circle
        parts = self._handler, self._tasks, self._capabilities, other._elsewhere
        self.websites = Websites(*parts)
        self.settings = Settings(*parts)
        self.cdrs = Cdrs(*parts)
        self.visitors = Visitors(*parts)
        self.buttons = Buttons(self._handler, self._tasks)

    def __repr__(self) -> str:
        # Not there yet while __init__ raises, and a crash reporter may ask even then.
        return f"<CallMeBackClient {getattr(self, '_base_url', 'not made yet')}>"

    def with_options(
        self,
        *,
        attempts: int | None = None,
        deadline: float | None = None,
        timeout: float | None = None,
    ) -> Self:
        """A client with other options that shares session, limiter and retry budget.

        It needs no closing: it lives as long as the client that it was made from.
        """
        named = {"attempts": attempts, "deadline": deadline, "timeout": timeout}
        changes: dict[str, Any] = {key: value for key, value in named.items() if value is not None}
        other = copy.copy(self)
        other._config = self._config.with_changes(**changes)
        other._owner = False
        other._assemble()
        return other

    async def ping(self) -> dict[str, Any]:
        """The response to `GET /ping`: the API is up and accepts the token."""
        request = Request(method="GET", path="/ping", operation="ping", parse=envelopes.read_data)
        return dict((await self._handler(request)).value)

    @property
    def base_url(self) -> str:
        """Where the requests go."""
        return self._base_url

    @property
    def source(self) -> str:
        """Where the token and the base URL come from, in words: variables, profile, or a call."""
        return self._auth.source

    @property
    def pause(self) -> float:
        """Seconds for which the API has asked this client to send nothing; 0.0: it has not."""
        return max(0.0, self._limit.throttle.paused())

    async def identity(self) -> str:
        """A text without secrets that is the same for all clients of one account.

        The id that `GET /me` returns. Where it returns none, for whatever reason, a hash of the
        token, or "any" if tokens are fetched and change.

        Raises:
            Unauthorized: the token was refused.
        """
        return (await self.identities())[0][0]

    async def identities(self, *, wait: bool = False) -> tuple[list[str], CallMeBackError | None]:
        """What `identity` may return for this account, the best first, and why `GET /me` failed.

        With `wait` it waits for an API that is away as long as all that reads.

        Raises:
            Unauthorized: the token was refused.
        """
        seconds = IDENTITY_SECONDS if self._config.patience is None or not wait else inf
        call = Call(deadline=asyncio.get_running_loop().time() + seconds)
        parse = envelopes.read_identity
        request = Request(method="GET", path="/me", operation="me", parse=parse, call=call)
        by_token = self._auth.fingerprint()
        try:
            response: Response = await self._handler(request)
        except (ClientMisuse, Unauthorized):
            raise
        except CallMeBackError as error:
            return [by_token], error
        return [f"id {response.value}", by_token], None

    async def aclose(self) -> None:
        """Ends what is running and closes the session; a second call does nothing.

        Raises:
            ClientMisuse: it is in use on another event loop or thread, or in the process that was
                forked; nothing is closed then.
        """
        if self._owner:
            self._timeouts.close()
            await self._tasks.aclose()
            await self._session.aclose()

    async def __aenter__(self) -> Self:
        self._timeouts.check_owner()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
