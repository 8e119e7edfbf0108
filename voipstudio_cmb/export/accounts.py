"""Accounts to export, and the file that names them. It holds no tokens, and none comes to light."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from voipstudio_cmb.auth.profile import URL_VARIABLE, Environment
from voipstudio_cmb.auth.secret import Secret
from voipstudio_cmb.boundary.checks import is_quotable, quoted_path
from voipstudio_cmb.boundary.files import decode_handwritten, read_regular
from voipstudio_cmb.boundary.text import nearest
from voipstudio_cmb.config import DEFAULT_BASE_URL, checked_base_url
from voipstudio_cmb.errors import ClientMisuse, ConfigError, NoToken
from voipstudio_cmb.limits import checked_rate

from .split import Split, parse_split
from .token_source import SOURCES, token_of, wrong_source

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
# What is called like this is the name of a variable, and no token that was put in its place.
_SURELY_A_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_LONG_LINE = re.compile(r".{1001}")
_KEYS = (*SOURCES, "base_url", "rate")


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(
            "an account's name is none that its directory can have: choose 1 to 64 letters, "
            "digits, '-', '_' and '.', the first of them no '.'"
        )
    return name


def _checked_rate(rate: object) -> float | None:
    return None if rate is None else checked_rate("rate", rate, error=ConfigError)


@attrs.frozen(init=False, repr=False)
class Account:
    """One account to export.

    Raises:
        ConfigError: no directory can have that name, or no client that token, URL or rate.
    """

    name: str
    """The directory that its files go to."""
    token: Secret
    """What it is asked with."""
    base_url: str
    """Which API it is an account of."""
    rate: float | None
    """The requests a second that its client may send, whatever is allowed the others."""
    token_env: str
    """The environment variable that holds the token, or "": errors name it."""

    def __init__(
        self,
        name: str,
        token: str | Secret,
        *,
        base_url: str = DEFAULT_BASE_URL,
        rate: float | None = None,
        token_env: str = "",
    ) -> None:
        secret = Secret(token)
        del token  # or a traceback with locals would show it
        name, rate = _checked_name(name), _checked_rate(rate)
        base_url = checked_base_url(base_url, secret.mask)
        self.__attrs_init__(  # pyright: ignore[reportAttributeAccessIssue] - made by attrs
            name, secret.checked(), base_url, rate, token_env
        )

    def __repr__(self) -> str:
        # Not set yet while __init__ raises, and a crash reporter may ask even then.
        return f"<Account {getattr(self, 'name', 'not made yet')}>"


def checked_accounts(accounts: Iterable[Account]) -> tuple[Account, ...]:
    """Checks that there are `accounts`, and that no two would share a directory.

    Raises:
        ClientMisuse: there are none, or two names differ in nothing but capital letters.
    """
    checked = tuple(accounts)
    if not checked or not all(isinstance(account, Account) for account in checked):
        raise ClientMisuse("exporting accounts needs some: a list of export.Account")
    if clash := _clash(account.name for account in checked):
        raise ConfigError(clash)
    return checked


def _clash(names: Iterable[str]) -> str:
    """Which two of the `names` can't both be directories; "": all can."""
    known: dict[str, str] = {}
    for name in names:
        if (other := known.get(name.lower())) is not None:
            return (
                f"the accounts {other!r} and {name!r} would share a directory, at least where "
                "capital letters make no difference: rename one"
            )
        known[name.lower()] = name
    return ""


def read_accounts(
    path: str | Path,
    *,
    env: Mapping[str, str] | None = None,
    only: Collection[str] = (),
    shard: str | None = None,
) -> tuple[Account, ...]:
    """The accounts that the TOML file `path` names, with the tokens from the environment.

    One table `[accounts.NAME]` each, with `token_env`, the environment variable that holds the
    token, `token_file`, the file (from the directory of this one), or `token_function`, what
    returns it for the name ("module:function", async or not), and perhaps `base_url` and `rate`.
    One without a `base_url` is asked at `VOIPSTUDIO_API_URL`, else at the default. `env` stands in
    for `os.environ`. With names in `only` no others are read, nor their tokens.

    A `shard` leaves to others what is theirs, and needs no tokens of it: "2/8" is the second of
    eight parts, "auto" the part of this pod of an Indexed Job. It may have no accounts at all.

    Raises:
        NoToken: environment variables are missing; all of them are named.
        ConfigError: the file can't be read, or something in it can't be used.
        ClientMisuse: there is no such shard.
    """
    hidden = Environment(env)
    del env  # or a traceback with locals would show the tokens in it
    split = None if shard is None else parse_split(shard, hidden)
    accounts = _read(Path(path), hidden, only, split)
    # Raised here, where no local holds what the file says: somebody may have put a token into it.
    if isinstance(accounts, ConfigError):
        raise accounts
    return tuple(accounts)


def account_names(path: str | Path) -> list[str]:
    """The names in the file `path`, for completion; none if it can't be read."""
    tables = _tables(Path(path), "")
    return [] if isinstance(tables, ConfigError) else sorted(tables)


def _read(
    path: Path, env: Environment, only: Collection[str], split: Split | None
) -> list[Account] | ConfigError:
    where = f"the accounts file {str(path)!r}"
    tables = read_tables(path)
    if isinstance(tables, ConfigError):
        return tables
    if error := unknown_name(path, tables, only):
        return error
    chosen = [name for name in tables if (not only or name in only)
              and (split is None or split.takes(name))]  # fmt: skip
    tables = {name: tables[name] for name in chosen}
    unset = [variable for name, table in tables.items() if (variable := unset_in(name, table, env))]
    if unset:
        return NoToken(f"{where} names environment variables that are not set: {', '.join(unset)}")
    accounts = []
    for name, table in tables.items():
        account = account_of(name, table, env, f"{where}: accounts.{name}")
        if isinstance(account, ConfigError):
            return account
        accounts.append(account)
    return accounts


def unknown_name(
    path: Path, tables: Mapping[str, Any], names: Collection[str]
) -> ConfigError | None:
    """What to say of the first of the `names` that no account in the file `path` has, if any."""
    for name in names:
        if name not in tables:
            like = difflib.get_close_matches(name, tables, 1)
            shown = repr(name) if is_quotable(name) else "such account"
            hint = f"did you mean {like[0]!r}?" if like else f"it has {', '.join([*tables][:8])}"
            return ConfigError(f"the accounts file {str(path)!r} names no {shown}; {hint}")
    return None


def read_tables(path: Path) -> dict[str, dict[str, Any]] | ConfigError:
    """The keys of each account in the file `path`, or what is wrong with it. No token is read.

    The path of a `token_file` begins where this process does, not where the file is.
    """
    where = f"the accounts file {str(path)!r}"
    tables = _tables(path, where)
    if isinstance(tables, ConfigError):
        return tables
    wrong = [each for name, table in tables.items() for each in complaints(name, table)]
    if wrong:
        return ConfigError(f"{where}: {'; '.join(wrong)}")
    if clash := _clash(tables):
        return ConfigError(clash)
    for table in tables.values():
        if "token_file" in table:
            table["token_file"] = str(path.parent / table["token_file"])
    return tables


def unset_in(name: str, table: Mapping[str, Any], env: Environment) -> str:
    """The variable of the account `name` that is not set, as it can be shown; "": none."""
    variable = table.get("token_env")
    return "" if variable is None or env.get(variable) else _variable(name, variable)


def account_of(
    name: str, table: Mapping[str, Any], env: Environment, source: str
) -> Account | ConfigError:
    """The account with these keys of the `source`, or what is wrong with them."""
    secret = token_of(name, table, env)
    if isinstance(secret, str):
        return ConfigError(f"{source}: {secret}")
    options = {key: table[key] for key in table if key not in SOURCES or key == "token_env"}
    if "base_url" not in options and (url := env.get(URL_VARIABLE)):
        options["base_url"], source = url, URL_VARIABLE
    try:
        return Account(name, secret, **options)
    except ConfigError as error:
        return ConfigError(f"{source}: {error}")


def _tables(path: Path, where: str) -> dict[str, Any] | ConfigError:
    named = f" {quoted_path(path, '')}".rstrip()
    try:
        text = decode_handwritten(read_regular(path))
        if _LONG_LINE.search(text):  # a key of as many parts would be read for minutes
            return ConfigError(f"{where} has a line of more than 1,000 characters: shorten it")
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"\(at (.*)\)", str(error))  # the rest of it may quote the file
        return ConfigError(f"{where} is no TOML: fix it at {line[1] if line else 'its end'}")
    except UnicodeDecodeError:
        return ConfigError(f"{where} is no text: save it as UTF-8")
    except RecursionError:
        return ConfigError(f"{where} is nested too deeply: fix it at its brackets")
    except OSError as error:
        return ConfigError(f"the accounts file{named} can't be read: {error.strerror}")
    except ValueError:  # a NUL in its path, or a number of thousands of digits
        return ConfigError(f"the accounts file{named} can't be read: fix its path and its numbers")
    for key in data:
        if key != "accounts":
            return ConfigError(f"{where}: {_unknown(key, 'a table [accounts.NAME] each')}")
    tables = data.get("accounts")
    if not isinstance(tables, dict) or not tables:
        return ConfigError(f"{where} names no account: it needs a table [accounts.NAME] for each")
    return tables


def _unknown(key: str, known: str) -> str:
    if key.lower() == "token":
        return (
            "tokens do not belong in this file: name an environment variable in token_env, or a "
            "file in token_file"
        )
    return f"it has a key that is not known{nearest(key, _KEYS)} (known: {known})"


def complaints(name: str, table: object) -> list[str]:
    """What is wrong with one account's `table`: no value of it, but for those that are checked."""
    if not isinstance(table, dict):
        return ["an account is no table: write [accounts.NAME], and its keys below"]
    try:
        at = f"accounts.{_checked_name(name)}"
    except ConfigError as error:
        return [str(error)]
    wrong = [f"{at}: {_unknown(key, ', '.join(_KEYS))}" for key in table if key not in _KEYS]
    if (words := wrong_source(table)) and not (wrong and words.startswith("needs")):
        wrong.append(f"{at} {words}")
    return wrong


def _variable(account: str, name: str) -> str:
    return name if _SURELY_A_NAME.fullmatch(name) else f"the one that accounts.{account} names"
