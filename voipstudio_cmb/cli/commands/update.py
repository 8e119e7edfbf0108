"""The commands `settings update` and `buttons update`."""

from __future__ import annotations

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.attributes import attribute_options, attributes
from voipstudio_cmb.cli.options import TOKEN, account_options, dry_run_option, ids_argument
from voipstudio_cmb.cli.parser import Command


async def run(arguments: Arguments) -> int:
    from voipstudio_cmb.cli.items import run_items

    values = attributes(arguments)
    updates = [
        (f"{arguments.resource} {id}", lambda of, id=id: of.update(id, **values))
        for id in arguments.ids
    ]
    return await run_items(arguments, updates)


def command_of(resource: str) -> Command:
    """`RESOURCE update ID...`."""
    return Command(
        "update",
        run,
        [ids_argument(), *attribute_options(resource), dry_run_option(), *account_options()],
        help=f"Change what is named of one of the {resource}, or several, and print it as JSON.",
        examples=[
            f"voipstudio-cmb {resource} update 7 --name Shop",
            f"voipstudio-cmb {resource} update 7 8 --set name=null --dry-run",
        ],
        epilog=TOKEN,
        resource=resource,
    )
