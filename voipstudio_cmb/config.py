"""Settings: `ClientConfig`, the masked `Secret`, and where a token and base URL come from."""

from __future__ import annotations

import inspect
import ipaddress
import math
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import attrs

from .errors import ConfigError
from .retry import Backoff, RetryPolicy

DEFAULT_BASE_URL = "https://l7api.com/v1.2/voipstudio"
"""What the vendor's introduction and clients use today; its page for the module says v1.1."""


def _positive(_: object, field: attrs.Attribute[Any], value: object) -> None:
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    if not usable or not math.isfinite(value) or value <= 0:  # type: ignore[arg-type,operator]
        raise ConfigError(f"{field.name} must be a finite number above 0, not {value!r}")


def _count(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{field.name} must be an integer of at least 1, not {value!r}")


def _whole(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{field.name} must be an integer of at least 0, not {value!r}")


def _header(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"[!-~][ -~]*", value):
        raise ConfigError(f"{field.name} must be printable ASCII, not {value!r}")


def _plain_function(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (not callable(value) or inspect.iscoroutinefunction(value)):
        raise ConfigError(f"{field.name} must be a function that is not async, or None")


@attrs.frozen(kw_only=True)
class ClientConfig:
    """How a client behaves. Times are in seconds, sizes in bytes.

    *attempts*, *deadline* and *timeout* bound one call: how often it is tried, how long all of it
    may take with its waits, how long one attempt may take with its body. *connect_timeout* bounds
    making a connection, *connections* how many are open at once, *max_body* a decoded answer.
    *retry* replaces the standard policy (and *attempts* with it), *retry_budget* is what the client
    may spend on retries (see `retry.Budget`). *on_event* is called with an
    `observe.AttemptEvent` for each attempt and an `observe.CallEvent` for each call.
    """

    attempts: int = attrs.field(default=4, validator=_count)
    deadline: float = attrs.field(default=60.0, validator=_positive)
    timeout: float = attrs.field(default=30.0, validator=_positive)
    connect_timeout: float = attrs.field(default=5.0, validator=_positive)
    connections: int = attrs.field(default=32, validator=_count)
    max_body: int = attrs.field(default=32 * 1024 * 1024, validator=_count)
    user_agent: str = attrs.field(default="voipstudio-cmb-python", validator=_header)
    retry: RetryPolicy | None = None
    retry_budget: int = attrs.field(default=500, validator=_whole)
    on_event: Callable[[Any], None] | None = attrs.field(default=None, validator=_plain_function)

    def policy(self) -> RetryPolicy:
        """The retry policy in force."""
        return self.retry or Backoff(attempts=self.attempts)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_base_url(text: object) -> str:
    """*text* checked and without its trailing slash.

    Raises:
        ConfigError: not https (http is for loopback only), no host, user info, query or fragment.
    """
    if not isinstance(text, str) or not text:
        raise ConfigError(f"the base URL is empty or not a string: try {DEFAULT_BASE_URL}")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"the base URL can't be read: {error}") from None
    if "@" in parts.netloc:
        raise ConfigError(
            "the base URL contains user information, which would end up in logs: pass the token "
            "as token=… instead"
        )
    if not host or re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ConfigError(f"the base URL needs a scheme and a host, like {DEFAULT_BASE_URL}")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ConfigError("the base URL must end with its path: remove the query and the fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise ConfigError(
            f"the base URL must begin with https://, not {parts.scheme}://: the token would cross "
            "the network in clear text (http:// is accepted for loopback hosts only)"
        )
    return text.rstrip("/")
