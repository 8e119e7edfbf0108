"""The command `RESOURCE count`."""

from __future__ import annotations

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.options import (
    TOKEN,
    account_options,
    condition_option,
    conditions,
    period_options,
)
from voipstudio_cmb.cli.parser import Command
from voipstudio_cmb.cli.stdio import print_text
from voipstudio_cmb.cli.terminal import note
from voipstudio_cmb.exit_codes import DONE


async def run(arguments: Arguments) -> int:
    """Prints the API's total."""
    from voipstudio_cmb.cli.clients import open_client
    from voipstudio_cmb.cli.period import read_period

    period = read_period(arguments.start, arguments.until, arguments.zone)
    filters = [*conditions(arguments), *period.filters]
    if period.note:
        note(arguments, period.note)
    async with open_client(arguments) as client:
        total = await getattr(client, arguments.resource).count(filters=filters)
    await print_text(f"{total}\n")
    return DONE


def command_of(resource: str) -> Command:
    """`RESOURCE count`."""
    return Command(
        "count",
        run,
        [*period_options(), condition_option(), *account_options()],
        help=f"Print how many {resource} the API counts, all or those that meet conditions.",
        examples=[
            f"voipstudio-cmb {resource} count",
            f"voipstudio-cmb {resource} count --from yesterday --zone UTC",
        ],
        epilog=TOKEN,
        resource=resource,
    )
