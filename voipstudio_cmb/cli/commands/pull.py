"""The command `settings pull`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.options import TOKEN, account_options, accounts_options
from voipstudio_cmb.cli.parser import INTEGER, Command
from voipstudio_cmb.exit_codes import DONE, combined

if TYPE_CHECKING:
    from voipstudio_cmb.client import CallMeBackClient


async def run(arguments: Arguments) -> int:
    """Prints the document if all of it is known; returns the exit code."""
    from voipstudio_cmb import desired
    from voipstudio_cmb.cli.desired import of_each, open_targets
    from voipstudio_cmb.cli.stdio import print_data
    from voipstudio_cmb.errors import ClientMisuse

    if arguments.accounts is not None and arguments.ids:
        raise ClientMisuse("ids are those of one account: leave out the ids or --accounts")

    async def pull(name: str, client: CallMeBackClient) -> str:
        return await desired.pull(client, arguments.ids, account=name)

    async with open_targets(arguments) as targets:
        texts, failed = await of_each(targets, pull)
    if not failed:
        await print_data("\n".join(texts.values()).encode())
    return combined([*failed, *[DONE for _ in texts]])


def command_of(resource: str) -> Command:
    """`settings pull`."""
    ids = click.Argument(["ids"], nargs=-1, metavar="[ID]...", type=INTEGER)
    return Command(
        "pull",
        run,
        [ids, *accounts_options(), *account_options()],
        help="Print a document of the settings, or of some, and of the buttons that they use.",
        brief="Print a document of the settings and their buttons.",
        examples=[
            "voipstudio-cmb settings pull > widgets.toml",
            "voipstudio-cmb settings pull 7 8 > widgets.toml",
        ],
        epilog=TOKEN,
        exclusive=[("accounts", "profile")],
        needs={"account": ["accounts"]},
        resource=resource,
    )
