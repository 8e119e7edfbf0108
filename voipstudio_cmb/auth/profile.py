"""Where a token and base URL come from: the environment, or the vendor's profile file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeAlias

from voipstudio_cmb.boundary.files import decode_handwritten, read_regular
from voipstudio_cmb.boundary.value import Frozen
from voipstudio_cmb.config import DEFAULT_BASE_URL, checked_base_url
from voipstudio_cmb.errors import ConfigError, NoToken

from .secret import Secret

TOKEN_VARIABLE = "VOIPSTUDIO_API_TOKEN"
FILE_VARIABLE = "VOIPSTUDIO_API_TOKEN_FILE"
URL_VARIABLE = "VOIPSTUDIO_API_URL"


_LARGEST = 64 * 1024
"""The size in bytes of a file that holds a token."""


class Credentials(Frozen, frozen=True):
    """A token and the base URL that it belongs to."""

    token: Secret
    base_url: str
    source: str
    """Where both come from, in words."""


class Environment:
    """Environment variables that do not show themselves, as a mapping in a traceback would."""

    __slots__ = ("get",)

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        variables = os.environ if env is None else env
        self.get: Callable[[str], str | None] = lambda name: variables.get(name)


def profile_path(env: Environment) -> Path:
    """Where the vendor's command line keeps its profiles."""
    home = env.get("XDG_CONFIG_HOME") or os.path.join(env.get("HOME") or "~", ".config")
    return Path(os.path.expanduser(home)) / "voipstudio" / "config.json"


_Profiles: TypeAlias = dict[str, tuple[Secret, str | None]]
"""The token and the base URL of each profile."""


def _parse_profiles(content: bytes) -> tuple[str, _Profiles] | None:
    """The name of the current profile and all profiles; None if the vendor's client wrote no such.

    None instead of an exception: a traceback would hold the text with its tokens.
    """
    try:
        data = json.loads(decode_handwritten(content))
        known = {
            str(name): (Secret(profile.get("token")), profile.get("apiUrl"))
            for name, profile in data["profiles"].items()
        }
        return str(data.get("current") or "default"), known
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None


def profile_names(env: Environment) -> list[str]:
    """The names in the vendor's file; none if it can't be read."""
    try:
        profiles = _parse_profiles(read_regular(profile_path(env)))
    except OSError:
        return []
    return [] if profiles is None else sorted(profiles[1])


def _base_url(token: Secret, stored: object, given: str | None, owner: str) -> tuple[str, str]:
    """The base URL to use and where it is from: `stored` in a profile, else `given`, else ours."""
    for text, where in ((stored, f"apiUrl of {owner}"), (given, URL_VARIABLE)):
        if text:
            try:
                return checked_base_url(text, token.mask), where
            except ConfigError as error:
                raise ConfigError(f"{where}: {error}") from None
    return DEFAULT_BASE_URL, "the default"


def _credentials(token: Secret, stored: object, given: str | None, owner: str) -> Credentials:
    try:
        token.checked()
    except ConfigError as error:
        raise ConfigError(f"{owner}: {error}") from None
    url, where = _base_url(token, stored, given, owner)
    return Credentials(token, url, f"the token is from {owner}, the base URL {url} from {where}")


def _shown(path: Path, env: Environment) -> str:
    """The name of the profile file `path` in messages: what a variable holds may be a token."""
    return "$XDG_CONFIG_HOME/voipstudio/config.json" if env.get("XDG_CONFIG_HOME") else str(path)


def _from_profile(env: Environment, name: str | None, given_url: str | None) -> Credentials:
    """The credentials of one profile of the vendor's file, which is only ever read."""
    file = profile_path(env)
    path = _shown(file, env)
    how = f"set {TOKEN_VARIABLE} or {FILE_VARIABLE}, or run `vs auth login`"
    without = f"{how}; without an account, run `voipstudio-cmb sandbox`"
    try:
        profiles = _parse_profiles(read_regular(file))
    except FileNotFoundError:
        raise NoToken(f"no token: {without} (no profile file {path})") from None
    except OSError as error:
        raise ConfigError(
            f"the profile file {path} can't be read ({error.strerror}): {how}"
        ) from None
    if profiles is None:
        raise ConfigError(
            f"the profile file {path} is not the JSON that `vs auth login` writes: fix it or {how}"
        )
    current, known = profiles
    chosen = current if name is None else name
    if name is None and not known:
        raise NoToken(f"no token: {without} (the profile file {path} holds no profile)")
    if chosen not in known:
        names = ", ".join(sorted(known)) or "none"
        which = "current profile" if name is None else "profile of that name"
        raise ConfigError(f"no {which} in {path}: use one of its own ({names})")
    token, stored_url = known[chosen]
    # Where it is refused it is read again: `vs auth login` may have written another one since.
    token = Secret(token.reveal(), partial(_token_of, file, chosen, stored_url))
    return _credentials(token, stored_url, given_url, f"the profile {chosen!r} in {path}")


def _token_of(file: Path, name: str, url: object) -> Secret | None:
    """The token that the profile `name` has now; None if it has none for this `url`."""
    try:
        profiles = _parse_profiles(read_regular(file))
    except OSError:
        return None
    token, now = (None, None) if profiles is None else profiles[1].get(name, (None, None))
    if token is None or now != url:
        return None
    return Secret(token.reveal(), partial(_token_of, file, name, url))


def read_token(path: str) -> Secret | str:
    """The token in the file `path`, or what is wrong with that file.

    It is read again from there where it is refused: secrets are rotated. A text instead of an
    exception, whose traceback would hold the token. It does not say where the file is: somebody may
    have set the variable to the token itself.
    """
    try:
        text = decode_handwritten(read_regular(path, _LARGEST)).strip()
    except UnicodeDecodeError:
        return "is no text: write the token alone into it"
    except OSError as error:
        return f"can't be read ({error.strerror}): fix its path or its permissions"
    except ValueError:  # a NUL in its path
        return "can't be read: fix its path"
    if not text:
        return "is empty: write the token into it"
    if "\n" in text:
        return "has several lines: leave only the token in it"
    return Secret(text, partial(read_token, path))


def token_variable(env: Environment) -> str | None:
    """The variable that the token comes from; None: from a profile.

    Raises:
        ConfigError: both are set.
    """
    given = [name for name in (TOKEN_VARIABLE, FILE_VARIABLE) if env.get(name)]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} are both set: unset one of them")
    return given[0] if given else None


def resolve(profile: str | None, env: Environment) -> Credentials:
    """The token and base URL to use, as the vendor's client finds them.

    The token is `VOIPSTUDIO_API_TOKEN`, or what the file holds that `VOIPSTUDIO_API_TOKEN_FILE`
    names, or without both that of the named `profile`, or of the current one of the vendor's file.
    A profile's token goes where the profile says: only if it names no URL, to `VOIPSTUDIO_API_URL`.
    The token of a variable never goes to a profile's URL. It would win over a named profile at the
    vendor's client, and somebody's change would go to another account than the one that was named.

    Raises:
        ConfigError: no token, or a token, URL or file that can't be used, or a profile is named
            beside a variable.
    """
    url, variable = env.get(URL_VARIABLE), token_variable(env)
    if variable is not None and profile is not None:
        raise ConfigError(
            f"{variable} has a token, and a profile is named too (--profile): unset the variable, "
            "or name no profile"
        )
    if variable is None:
        return _from_profile(env, profile, url)
    by_name = variable == TOKEN_VARIABLE
    token = Secret(env.get(variable)) if by_name else read_token(env.get(variable) or "")
    if isinstance(token, str):
        raise ConfigError(f"the file that {variable} names {token}")
    return _credentials(token, None, url, variable)
