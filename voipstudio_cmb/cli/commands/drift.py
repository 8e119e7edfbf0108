"""The command `settings drift`."""

from __future__ import annotations

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.options import (
    DIFFERENCES,
    TOKEN,
    account_options,
    accounts_options,
    document_argument,
)
from voipstudio_cmb.cli.parser import Command, option
from voipstudio_cmb.exit_codes import CHANGES, DONE


async def run(arguments: Arguments) -> int:
    """Prints what differs; returns the exit code."""
    from voipstudio_cmb import desired
    from voipstudio_cmb.cli.desired import plan_each, print_plans

    document = desired.read(arguments.document)

    plans, code = await plan_each(arguments, document)
    await print_plans(plans, desired.render_drift, as_json=arguments.as_json)
    # An adoption alone is no difference: only the document lacks the id.
    differs = any(item.changes for each in plans.values() for item in each.items)
    return code or (CHANGES if differs else DONE)


def command_of(resource: str) -> Command:
    """`settings drift`."""
    return Command(
        "drift",
        run,
        [
            document_argument(),
            option("--json", "as_json", is_flag=True, help="Print the differences as JSON."),
            *accounts_options(),
            *account_options(),
        ],
        help="Say how the account differs from a document now, and what else it has.",
        brief="Say what differs from a document now.",
        examples=[
            "voipstudio-cmb settings drift widgets.toml",
            "voipstudio-cmb settings drift widgets.toml --json",
        ],
        epilog=f"{DIFFERENCES}\n\n{TOKEN}",
        exclusive=[("accounts", "profile")],
        needs={"account": ["accounts"]},
        resource=resource,
    )
