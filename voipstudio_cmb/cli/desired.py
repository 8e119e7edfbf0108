"""What the commands on documents share: a client for each account, and plans as they are shown."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.desired import Document, Plan, plan
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, Unauthorized
from voipstudio_cmb.exit_codes import DONE, code_of, combined
from voipstudio_cmb.export import read_accounts
from voipstudio_cmb.limits import RateLimit

from .arguments import Arguments
from .clients import open_client, open_limiter
from .stdio import print_text
from .table import can_style
from .terminal import print_json, print_message

T = TypeVar("T")


class Target(NamedTuple):
    """An account to work on."""

    client: CallMeBackClient
    token_env: str = ""
    """The variable that its token comes from, if `--accounts` says so."""


Targets = Mapping[str, Target]
"""The accounts, by their names in the document; the only one is called ""."""

_SIGN = re.compile(r" *([-+~=]) ")
_COLOURS = {"+": 32, "~": 33, "-": 31, "=": 36}


@contextlib.asynccontextmanager
async def open_targets(
    arguments: Arguments, document: Document | None = None
) -> AsyncIterator[Targets]:
    """Opens the accounts that `document` has sections for, or else all; or those of `--account`.

    Raises:
        ClientMisuse: `--accounts` does not name them, or is missing, or is one too many; or the
            document has no section for one.
    """
    if arguments.accounts is None:
        if document is not None and document.accounts:
            raise ClientMisuse(
                f"{document.path} has sections for the accounts {', '.join(document.accounts)}: "
                "name the file with their tokens by --accounts"
            )
        async with open_client(arguments) as client:
            yield {"": Target(client)}
        return
    names = arguments.account
    if document is not None:
        if not document.accounts:
            raise ClientMisuse("the document has no sections [accounts.NAME]: leave out --accounts")
        if unknown := [name for name in names if name not in document.accounts]:
            sections = ", ".join(f"[accounts.{name}]" for name in unknown)
            raise ClientMisuse(f"{document.path} has no section {sections}: add it, or name others")
        names = names or [*document.accounts]
    accounts = read_accounts(arguments.accounts, only=names)
    async with contextlib.AsyncExitStack() as stack:
        limiter = await stack.enter_async_context(open_limiter(arguments))
        targets = {}
        for account in accounts:
            own = limiter if account.rate is None else RateLimit(account.rate)
            client = CallMeBackClient(account.token, base_url=account.base_url, limiter=own)
            opened = await stack.enter_async_context(client)
            targets[account.name] = Target(opened, account.token_env)
        yield targets


async def of_each(
    targets: Targets, work: Callable[[str, CallMeBackClient], Awaitable[T]]
) -> tuple[dict[str, T], list[int]]:
    """What `work` returns for each account, and the exit codes of those that it failed for.

    One that fails does not keep the others from being tried.
    """
    found, codes = {}, list[int]()
    for name, target in targets.items():
        try:
            found[name] = await work(name, target.client)
        except CallMeBackError as error:
            if isinstance(error, Unauthorized) and target.token_env:
                error = error.with_detail(f"the token comes from {target.token_env}")
            for line in str(error).split("\n"):  # each names another mistake in the document
                print_message(f"error: {name}: {line}" if name else f"error: {line}")
            codes.append(code_of(error))
    return found, codes


async def plan_each(
    arguments: Arguments, document: Document, *, prune: bool = False
) -> tuple[dict[str, Plan], int]:
    """The plan of each account of `document`, and the exit code of having planned them."""

    async def of_one(name: str, client: CallMeBackClient) -> Plan:
        return await plan(client, document, account=name, prune=prune)

    async with open_targets(arguments, document) as targets:
        plans, failed = await of_each(targets, of_one)
    return plans, combined([*failed, *[DONE for _ in plans]])


async def print_plans(
    plans: Mapping[str, Plan], text_of: Callable[[Plan], str], *, as_json: bool
) -> None:
    """Prints `plans`: as `text_of` says it in colours, or as JSON."""
    if not plans:
        return  # of each is said why
    if as_json:
        await print_json(plans_json(plans))
    else:
        await print_text(styled(headed({name: text_of(each) for name, each in plans.items()})))


def plans_json(plans: Mapping[str, Plan]) -> Any:
    """The plan of a document about one account, or an array of those of its accounts."""
    return one_or_all({name: json.loads(plan.to_json()) for name, plan in plans.items()})


def one_or_all(values: Mapping[str, Any]) -> Any:
    """The value of the account "", or an array of those of all accounts."""
    return values.get("") or [*values.values()]


def headed(texts: Mapping[str, str]) -> str:
    """`texts` below the name of the account of each, if it has any."""
    return "\n".join(
        f"{name}:\n{text.rstrip()}\n" if name else f"{text.rstrip()}\n"
        for name, text in texts.items()
    )


def styled(text: str) -> str:
    """`text`, on a terminal with the lines that change something in colours."""
    if not can_style(sys.stdout) or os.environ.get("NO_COLOR"):
        return text
    lines = []
    for line in text.splitlines():
        sign = _SIGN.match(line)
        lines.append(f"\x1b[{_COLOURS[sign[1]]}m{line}\x1b[0m\n" if sign else f"{line}\n")
    return "".join(lines)
