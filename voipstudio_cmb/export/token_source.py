"""Where the token of an account comes from: a variable, a file, or a function given by its name.

Only their names travel to where accounts are exported.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from voipstudio_cmb.auth.profile import Environment, read_token
from voipstudio_cmb.auth.secret import Secret

SOURCES = {
    "token_env": (re.compile(r"[A-Za-z_][A-Za-z0-9_]*"), "name of an environment variable"),
    "token_file": (re.compile(r".+", re.DOTALL), "path of a file"),
    "token_function": (re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"), "MODULE:FUNCTION"),
}
"""The keys of an account, one of which it has: what its value is like, and what it is."""


def wrong_source(table: Mapping[str, Any]) -> str:
    """What is wrong with the source that `table` names; "": nothing."""
    given = [key for key in SOURCES if table.get(key) is not None]
    if len(given) > 1:
        return f"has {' and '.join(given)}: leave one out"
    if not given:
        return (
            "needs token_env, the environment variable that holds its token, or token_file, the "
            "file, or token_function, MODULE:FUNCTION that returns it"
        )
    [key] = given
    pattern, what = SOURCES[key]
    fits = isinstance(table[key], str) and pattern.fullmatch(table[key])
    return "" if fits else f"has no usable {key}: it is no {what}"


def token_of(account: str, table: Mapping[str, Any], env: Environment) -> Secret | str:
    """The token of the `account` whose keys are in `table`, or what is wrong with its source."""
    if "token_env" in table:
        return Secret(env.get(table["token_env"]))
    if "token_file" in table:
        found = read_token(table["token_file"])
        return f"the file that token_file names {found}" if isinstance(found, str) else found
    try:
        with ThreadPoolExecutor(1) as thread:  # a loop may run in this one
            return thread.submit(asyncio.run, _called(table["token_function"], account)).result()
    except Exception as error:  # whatever it raises, whose words may have the token in them
        return f"the function that token_function names failed: {type(error).__name__}"


async def _called(function: str, account: str) -> Secret:
    module, _, name = function.partition(":")
    found = getattr(importlib.import_module(module), name)(account)
    return Secret(await found if inspect.isawaitable(found) else found)
