"""How a client behaves (`ClientConfig`), and which base URLs are safe to send a token to."""

from __future__ import annotations

import inspect
import ipaddress
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from .boundary.checks import checked_integer, checked_number
from .boundary.value import Frozen
from .errors import ConfigError
from .patience import Patience
from .retry import MAX_RETRY_AFTER, Backoff, RetryPolicy

DEFAULT_BASE_URL = "https://l7api.com/v1.2/voipstudio"
"""What the vendor's introduction and clients use today; its page for the module says v1.1."""


class ClientConfig(Frozen, frozen=True, kw_only=True):
    """How a client behaves. Times are in seconds, sizes in bytes.

    Raises:
        ConfigError: a value is of another type or out of range.
    """

    attempts: int = 4
    """The most attempts of one call."""
    deadline: float = 60.0
    """How long a call may take, with its retries and waits."""
    timeout: float = 30.0
    """How long one attempt may take, with its body."""
    connect_timeout: float = 5.0
    """How long making a connection may take."""
    connections: int = 64
    """The most that are open at once: as many as a walk may have requests in flight."""
    max_body: int = 32 * 1024 * 1024
    """The largest response that is read, decoded."""
    user_agent: str = "voipstudio-cmb-python"
    """The `User-Agent` header."""
    retry: RetryPolicy | None = None
    """Replaces the standard policy, `retry.Backoff`, and with it `attempts`."""
    retry_budget: int = 500
    """What the client may spend on retries (see `retry.RetryBudget`)."""
    max_retry_after: float = MAX_RETRY_AFTER
    """The longest `Retry-After` that is obeyed: a longer one ends the call and holds no other."""
    patience: Patience | None = None
    """How long reads wait for an API that is away (see `patience.Patience`); None: not at all."""
    on_event: Callable[[Any], None] | None = None
    """Called with an `events.AttemptEvent` for each attempt and a `CallEvent` for each call."""

    def __post_init__(self) -> None:
        for name in ("deadline", "timeout", "connect_timeout", "max_retry_after"):
            checked_number(name, getattr(self, name), error=ConfigError)
        for name in ("attempts", "connections", "max_body"):
            checked_integer(name, getattr(self, name), 1, error=ConfigError)
        checked_integer("retry_budget", self.retry_budget, 0, error=ConfigError)
        agent = self.user_agent
        if not isinstance(agent, str) or not re.fullmatch(r"[!-~][ -~]*", agent):
            raise ConfigError("user_agent must be printable ASCII that begins with no blank")
        tell = self.on_event
        if tell is not None and (not callable(tell) or inspect.iscoroutinefunction(tell)):
            raise ConfigError("on_event must be a function that is not async, or None")

    def elsewhere(self) -> ClientConfig:
        """The same for a client in another event loop, or of another API."""
        patience = None if self.patience is None else self.patience.elsewhere()
        return self.with_changes(patience=patience)

    def policy(self) -> RetryPolicy:
        """The retry policy in force."""
        return self.retry or Backoff(attempts=self.attempts, max_retry_after=self.max_retry_after)


_URL = "(?i)[a-z][a-z0-9+.-]*://"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_base_url(text: object, mask: Callable[[str], str] = str) -> str:
    """`text` checked and without its trailing slash. `mask` hides the token that goes there.

    Raises:
        ConfigError: not https (http is for loopback only), no host, user info, query or fragment,
            or the token in it.
    """
    if not isinstance(text, str) or not text:
        raise ConfigError(f"the base URL is empty or not a string: try {DEFAULT_BASE_URL}")
    # First, as `urlsplit` remembers what it was given, and it may be a token in the wrong place.
    if not re.match(_URL, text) or re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ConfigError(f"the base URL needs a scheme and a host, like {DEFAULT_BASE_URL}")
    # With a slash, or its end could be taken for the beginning of a token that was cut off.
    if mask(f"{text}/") != f"{text}/":
        raise ConfigError(
            "the base URL contains the token, which would end up in logs and files: remove it there"
        )
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError(
            f"the base URL's host or port can't be read: write it like {DEFAULT_BASE_URL}"
        ) from None
    if "@" in parts.netloc:
        raise ConfigError(
            "the base URL contains user information, which would end up in logs: pass the token "
            "as token=… instead"
        )
    if not host:
        raise ConfigError(f"the base URL needs a scheme and a host, like {DEFAULT_BASE_URL}")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ConfigError("the base URL must end with its path: remove the query and the fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise ConfigError(
            "the base URL must begin with https://, or the token would cross the network in clear "
            "text (http:// is accepted for loopback hosts only)"
        )
    return text.rstrip("/")
