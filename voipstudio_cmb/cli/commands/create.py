"""The commands `settings create` and `buttons create`."""

from __future__ import annotations

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.attributes import attribute_options, attributes
from voipstudio_cmb.cli.options import TOKEN, account_options, dry_run_option
from voipstudio_cmb.cli.parser import Command


async def run(arguments: Arguments) -> int:
    from voipstudio_cmb.cli.items import run_items

    values = attributes(arguments)
    return await run_items(arguments, [("create", lambda of: of.create(**values))])


def command_of(resource: str) -> Command:
    """`RESOURCE create`."""
    return Command(
        "create",
        run,
        [*attribute_options(resource), dry_run_option(), *account_options()],
        help=f"Create one of the {resource}, and print it as JSON.",
        examples=[
            f"voipstudio-cmb {resource} create --name Shop",
            f"voipstudio-cmb {resource} create --set name=Shop --dry-run",
        ],
        epilog=TOKEN,
        resource=resource,
    )
