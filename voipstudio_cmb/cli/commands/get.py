"""The command `get`."""

from __future__ import annotations

import click

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.options import TOKEN, account_options, ids_argument
from voipstudio_cmb.cli.parser import Command, OneOf


async def run(arguments: Arguments) -> int:
    from voipstudio_cmb.cli.items import run_items

    gets = [(f"{arguments.resource} {id}", lambda of, id=id: of.get(id)) for id in arguments.ids]
    return await run_items(arguments, gets)


def command_of(resource: str | None) -> Command:
    """`RESOURCE get ID...`, or `get RESOURCE ID...`."""
    kinds = ("settings", "buttons")
    named = [] if resource else [click.Argument(["resource"], type=OneOf(kinds))]
    name = f"{resource} get" if resource else "get settings"
    return Command(
        "get",
        run,
        [*named, ids_argument(), *account_options()],
        help=f"Print one of the {resource or 'settings or buttons'}, or several, as JSON.",
        examples=[f"voipstudio-cmb {name} 7", f"voipstudio-cmb {name} 7 8 --profile work"],
        epilog=TOKEN,
        resource=resource,
    )


COMMAND = command_of(None)
