"""The command `RESOURCE count`."""

from __future__ import annotations

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.exit_codes import DONE
from voipstudio_cmb.cli.options import TOKEN, account_options, condition_option
from voipstudio_cmb.cli.parser import Command
from voipstudio_cmb.cli.stdio import print_text


async def run(arguments: Arguments) -> int:
    """Prints the API's total."""
    from voipstudio_cmb.cli.clients import open_client
    from voipstudio_cmb.filters import parse

    filters = [parse(text) for text in arguments.filter]
    async with open_client(arguments) as client:
        total = await getattr(client, arguments.resource).count(filters=filters)
    await print_text(f"{total}\n")
    return DONE


def command_of(resource: str) -> Command:
    """`RESOURCE count`."""
    return Command(
        "count",
        run,
        [condition_option(), *account_options()],
        help=f"Print how many {resource} the API counts, all or those that meet conditions.",
        examples=[
            f"voipstudio-cmb {resource} count",
            f"voipstudio-cmb {resource} count --filter 'id>=1'",
        ],
        epilog=TOKEN,
        resource=resource,
    )
