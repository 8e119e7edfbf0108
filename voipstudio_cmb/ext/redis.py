"""One allowance for several processes, kept in Redis or Valkey. Extra: `redis`.

    RedisRateLimit(100, per=1.0, key="shop", url="redis://localhost", fallback=RateLimit(100 / 4))

The arithmetic runs on the server, in `redis.lua`, and by the server's clock.
"""

from __future__ import annotations

import math
import os
import re
import socket
from functools import partial
from importlib.resources import files
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TimeoutError,
    TryAgainError,
)

from voipstudio_cmb.auth.profile import Environment
from voipstudio_cmb.auth.secret import Secret
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse
from voipstudio_cmb.limits import Limiter

from .shared import Answer, Ask, SharedLimit
from .shared.allowance import GRACE, OTHER_RATE

_REFUSED = (AuthenticationError, AuthorizationError, NoPermissionError)
_AWAY = (
    BusyLoadingError, ClusterDownError, ConnectionError, MasterDownError, OSError, OutOfMemoryError,
    ReadOnlyError, TimeoutError, TryAgainError,
)  # fmt: skip
SCRIPT = files("voipstudio_cmb.ext").joinpath("redis.lua").read_text("utf-8")


class RedisRateLimit(SharedLimit):
    """At most `n` requests in any `per` seconds, of all processes that name the same `key`.

    As `SharedLimit` says, with a Redis or Valkey server at `url` as the keeper. A key that is
    missing counts as one period spent: it may have been lost with what was granted last.
    `spent_if_missing=False` lets all begin at once instead, for periods of hours. So does what a
    failover loses: a replica without the last grants can't be told from one that has them.

    `n` and `per` must be the same in all processes: who says another rate than others who asked
    within a minute is refused. Close it by `aclose()` or `async with`, if its
    process goes on without it. With `url_env`, the name of the environment variable that holds the
    URL, it can be pickled, and reads the variable where it is unpickled; without, it can be if
    its URL has neither password nor options.

    Raises:
        ClientMisuse: an argument can't be used, or the server is not known by such a `url`.
    """

    def __init__(
        self,
        n: float,
        per: float = 1.0,
        *,
        key: str = "voipstudio-cmb",
        url: str = "redis://localhost:6379",
        url_env: str = "",
        fallback: Limiter | None = None,
        lease: int = 1,
        spent_if_missing: bool = True,
    ) -> None:
        if url_env and not Environment().get(url_env):
            raise ClientMisuse(
                f"RedisRateLimit: the environment variable {url_env}, which url_env names, is not "
                f"set on the host {socket.gethostname()!r}"
            )
        self._url = Secret(Environment().get(url_env) if url_env else url)
        self.url_env = url_env
        self._where = _where(self._url)
        if not isinstance(key, str) or not key:
            raise ClientMisuse("RedisRateLimit: key must be a name, such as that of the account")
        self.key = key
        self.spent_if_missing = spent_if_missing
        self.kept_by = f"the Redis server {self._where}"
        super().__init__(n, per, fallback=fallback, lease=lease)

    def __repr__(self) -> str:
        return f"RedisRateLimit({self.n}, per={self.per}, key={self.key!r}, url={self._where!r})"

    def __reduce__(self) -> Any:
        if not self.url_env and self._url.reveal() != self._where:
            raise ClientMisuse(
                "RedisRateLimit: a url with a password can't be pickled: put it into an "
                "environment variable, wherever it is needed, and name that in url_env"
            )
        options: dict[str, Any] = {
            "key": self.key, "url_env": self.url_env, "fallback": self.fallback,
            "lease": self.lease, "spent_if_missing": self.spent_if_missing,
        }  # fmt: skip
        if not self.url_env:
            options["url"] = self._where
        return partial(RedisRateLimit, self.n, self.per, **options), ()

    def _begin(self) -> None:
        super()._begin()
        self._client: Redis | None = None

    async def aclose(self) -> None:
        """Ends what it does in the background, and its connection. It may be used again."""
        await super().aclose()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def ask(self, question: Ask) -> Answer:
        """Asks the server.

        Raises:
            ConnectFailed: it is away.
            ClientMisuse: it refuses this process, or the key.
        """
        if self._client is None:
            self._client = self._connected()
        try:
            granted, wait, *other = await self._script(
                keys=[f"{{{self.key}}}:{part}" for part in ("state", "log", "line")],
                args=self._arguments(question),
            )
        except (RedisError, OSError) as error:
            failure = self._explained(error)
        else:
            if not other:
                return Answer(tuple(question.grants()[:granted]), wait / 1e6)
            failure = self._other_rate(granted, wait / 1e6)
        raise failure  # out here, so that nothing carries frames that hold the password

    def _connected(self) -> Redis:
        client = Redis.from_url(
            self._url.reveal(),
            socket_timeout=self.answer_within,
            socket_connect_timeout=self.answer_within,
            retry=Retry(
                NoBackoff(), 0
            ),  # a question is asked again by whoever knows how late it is
        )
        self._script = client.register_script(SCRIPT)
        return client

    def _arguments(self, question: Ask) -> list[Any]:
        late = [each for name, late in question.late.items() for each in (name, _micro(late))]
        return [
            self.whole, _micro(self.period), int(self.spent_if_missing), _micro(GRACE),
            _micro(OTHER_RATE),
            question.process, question.number, question.count, question.lease,
            _micro(question.hold), len(question.unused), *question.unused, *late,
        ]  # fmt: skip

    def _explained(self, error: Exception) -> CallMeBackError:
        words = _PLACE.sub(_reason, self._masked(str(error)))
        if isinstance(error, _REFUSED):
            return ClientMisuse(
                f"{self.kept_by} refuses this user or password, or what they may do: {words}"
            )
        if isinstance(error, _AWAY):
            return self._away(f"nothing was sent, as it keeps the rate limit ({words})")
        return ClientMisuse(f"{self.kept_by} can't keep the rate limit {self.key!r}: {words}")

    def _masked(self, text: str) -> str:
        """`text` without what the URL has before its host."""
        parts = urlsplit(self._url.reveal())
        for secret in (parts.password, unquote(parts.password or "")):
            text = Secret(secret).mask(text) if secret else text
        return text


def _micro(seconds: float) -> int:
    return math.ceil(seconds * 1e6)


_PLACE = re.compile(r"^Error (-?\d+) connecting to .*?\. (.*)$", re.DOTALL)


def _reason(found: re.Match[str]) -> str:
    """Why no connection was made, without the place, which is said before."""
    return os.strerror(int(found[1])) if int(found[1]) > 0 else found[2]


_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_DATABASE = re.compile(r"(/[0-9]*)?")


def _where(url: Secret) -> str:
    """The server that `url` names, without user, password and options.

    Raises:
        ClientMisuse: it names none. What it is, is not said: it may have a password in it.
    """
    try:
        parts = urlsplit(url.reveal())
        scheme, port = parts.scheme, parts.port
    except ValueError:
        parts, scheme, port = urlsplit(""), "", None
    host = parts.netloc.rpartition("@")[2]
    name = host.removesuffix(f":{port}") if port else host
    if scheme == "unix" and not host and parts.path:
        return f"unix://{parts.path}"
    known = scheme in ("redis", "rediss") and _HOST.fullmatch(name)
    if not known or not _DATABASE.fullmatch(parts.path) or parts.fragment:
        raise ClientMisuse(
            "RedisRateLimit: url must be like redis://:PASSWORD@HOST:6379/0, rediss:// for TLS or "
            "unix:///PATH, with the password percent-encoded"
        )
    return f"{scheme}://{host}{parts.path}"
