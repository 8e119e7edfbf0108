"""The command `get`."""

from __future__ import annotations

import click

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.exit_codes import DONE
from voipstudio_cmb.cli.options import TOKEN, account_options
from voipstudio_cmb.cli.parser import INTEGER, Command, OneOf
from voipstudio_cmb.cli.terminal import print_json


async def run(arguments: Arguments) -> int:
    from voipstudio_cmb.cli.clients import open_client

    async with open_client(arguments) as client:
        record = await getattr(client, arguments.resource).get(arguments.id)
    await print_json(record.to_dict())
    return DONE


COMMAND = Command(
    "get",
    run,
    [
        click.Argument(["resource"], metavar="RESOURCE", type=OneOf(("settings", "buttons"))),
        click.Argument(["id"], type=INTEGER),
        *account_options(),
    ],
    help="Print one of the settings or buttons as JSON.",
    examples=["voipstudio-cmb get settings 7", "voipstudio-cmb get buttons 7 --profile work"],
    epilog=TOKEN,
)
