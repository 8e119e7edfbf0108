"""Settings: `ClientConfig`, the masked `Secret`, and where a token and base URL come from."""

from __future__ import annotations

import inspect
import ipaddress
import json
import math
import os
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import attrs

from .errors import ConfigError, NoToken
from .retry import Backoff, RetryPolicy

DEFAULT_BASE_URL = "https://l7api.com/v1.2/voipstudio"
"""What the vendor's introduction and clients use today; its page for the module says v1.1."""

TOKEN_VARIABLE = "VOIPSTUDIO_API_TOKEN"
URL_VARIABLE = "VOIPSTUDIO_API_URL"

_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)


class HeaderSecret(str):
    """A header's value that its `repr` hides, as do dicts, tracebacks and logs that use it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Secret:
    """A token that does not show itself: not in `repr`, `str`, `attrs.asdict` or a pickle.

    Making one never raises, so that no traceback holds the bare token; `checked` does.
    """

    __slots__ = ("_reveal",)

    def __init__(self, value: object) -> None:
        # A closure, because tools that print an object's slots or locals do not look into one.
        self._reveal: Callable[[], object] = lambda: value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Secret can't be pickled or copied: read the token again where you need it"
        )

    def checked(self) -> Secret:
        """Itself, if it can be sent.

        Raises:
            ConfigError: it is no string, empty, or has characters that no header may carry.
        """
        self.checked_text("token")
        if not _PRINTABLE.fullmatch(self.header()):
            raise ConfigError(
                "the token contains white space, control or non-ASCII characters (a line end from "
                "a file?): strip it before passing it"
            )
        return self

    def checked_text(self, name: str) -> Secret:
        """Itself, if it is text of some length; *name* is what to call it in the error.

        Raises:
            ConfigError: it is not.
        """
        if not isinstance(self._reveal(), str) or not self._reveal():
            raise ConfigError(f"the {name} is empty or not a string: pass the {name} itself")
        return self

    def header(self) -> HeaderSecret:
        """The token as the value of a header."""
        return HeaderSecret(self._reveal())

    def mask(self, text: str) -> str:
        """*text* with the token, plain or in base64, replaced by ***."""
        for form in (self.header(), b64encode(self.header().encode()).decode().rstrip("=")):
            if len(form) > 3:  # or every such letter of the text would be taken for the secret
                text = text.replace(form, "***")
        return text


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
    if not isinstance(value, str) or not re.fullmatch(r"[ -~]*", value, re.ASCII):
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


@attrs.frozen
class Credentials:
    """A token and the base URL that it belongs to."""

    token: Secret
    base_url: str


def profile_path(env: Mapping[str, str]) -> Path:
    """Where the vendor's command line keeps its profiles."""
    home = env.get("XDG_CONFIG_HOME") or os.path.join(env.get("HOME") or "~", ".config")
    return Path(os.path.expanduser(home)) / "voipstudio" / "config.json"


@attrs.frozen
class _Profiles:
    """The vendor's profile file, its tokens wrapped."""

    current: str
    known: Mapping[str, tuple[Secret, str | None]]


def _parse_profiles(content: bytes) -> _Profiles | None:
    """The profiles in *content*, or None if it is not what the vendor's client writes.

    None instead of an exception: a traceback would hold the text with its tokens.
    """
    try:
        data = json.loads(content)
        known = {
            str(name): (Secret(profile.get("token")), profile.get("apiUrl"))
            for name, profile in data["profiles"].items()
        }
        return _Profiles(str(data.get("current") or "default"), known)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None


def _from_profile(path: Path, name: str | None, url: str | None) -> Credentials:
    """The credentials of one profile of the vendor's file, which is only ever read."""
    how = f"set {TOKEN_VARIABLE}, or run `vs auth login`"
    if name is not None:  # then the environment is not looked at
        how = f"run `vs auth login`, or do without the profile {name!r}"
    try:
        profiles = _parse_profiles(path.read_bytes())
    except FileNotFoundError:
        raise NoToken(f"no token: {how} (there is no profile file {path})") from None
    except OSError as error:
        raise ConfigError(f"the profile file {path} can't be read ({error}): {how}") from None
    if profiles is None:
        raise ConfigError(
            f"the profile file {path} is not the JSON that `vs auth login` writes: mend it or {how}"
        )
    chosen = profiles.current if name is None else name
    if name is None and not profiles.known:
        raise NoToken(f"no token: {how} (the profile file {path} holds no profile)")
    if chosen not in profiles.known:
        there = ", ".join(sorted(profiles.known)) or "none"
        raise ConfigError(f"there is no profile {chosen!r} in {path} (there: {there})")
    token, stored_url = profiles.known[chosen]
    try:
        return Credentials(token.checked(), checked_base_url(url or stored_url or DEFAULT_BASE_URL))
    except ConfigError as error:
        raise ConfigError(f"profile {chosen!r} in {path}: {error}") from None


def resolve(profile: str | None = None, env: Mapping[str, str] | None = None) -> Credentials:
    """The token and base URL to use.

    A *profile* that is named decides both. Else `VOIPSTUDIO_API_TOKEN` is the token; without it
    the current profile of the vendor's file. `VOIPSTUDIO_API_URL` goes before the URL of a profile
    that was not named. A token from the environment is never combined with a URL from a file.

    Raises:
        ConfigError: no token, or a token, URL or profile file that can't be used.
    """
    env = os.environ if env is None else env
    found = Secret(env.get(TOKEN_VARIABLE))
    is_set, url, path = bool(env.get(TOKEN_VARIABLE)), env.get(URL_VARIABLE), profile_path(env)
    del env  # or a traceback with locals would show the token in it
    if profile is None and is_set:
        return Credentials(found.checked(), checked_base_url(url or DEFAULT_BASE_URL))
    return _from_profile(path, profile, None if profile is not None else url)
