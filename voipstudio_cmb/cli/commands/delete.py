"""The commands `settings delete` and `buttons delete`."""

from __future__ import annotations

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.options import TOKEN, account_options, dry_run_option, ids_argument
from voipstudio_cmb.cli.parser import Command, option
from voipstudio_cmb.cli.question import can_ask, confirmed
from voipstudio_cmb.cli.terminal import print_message
from voipstudio_cmb.exit_codes import USAGE


async def run(arguments: Arguments) -> int:
    """Asks, unless `--yes` is given, and deletes; returns the exit code."""
    from voipstudio_cmb.cli.items import run_items

    names = f"{arguments.resource} {', '.join(map(str, arguments.ids))}"
    if not (arguments.yes or arguments.dry_run):
        if not can_ask(f"delete {names}"):
            return USAGE
        if not await confirmed(f"Delete {names}?"):
            print_message("nothing was deleted")
            return USAGE
    deletions = [
        (f"{arguments.resource} {id}", lambda of, id=id: of.delete(id)) for id in arguments.ids
    ]
    return await run_items(arguments, deletions)


def command_of(resource: str) -> Command:
    """`RESOURCE delete ID...`."""
    yes = option("--yes", "-y", is_flag=True, help="Do not ask.")
    return Command(
        "delete",
        run,
        [ids_argument(), yes, dry_run_option(), *account_options()],
        help=f"Delete one of the {resource}, or several.",
        examples=[
            f"voipstudio-cmb {resource} delete 7 --yes",
            f"voipstudio-cmb {resource} delete 7 8 --dry-run",
        ],
        epilog=TOKEN,
        resource=resource,
    )
