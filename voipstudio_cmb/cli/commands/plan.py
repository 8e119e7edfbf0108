"""The command `settings plan`."""

from __future__ import annotations

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.options import (
    DIFFERENCES,
    TOKEN,
    account_options,
    accounts_options,
    document_argument,
    prune_option,
)
from voipstudio_cmb.cli.parser import Command, option
from voipstudio_cmb.exit_codes import CHANGES, DONE


async def run(arguments: Arguments) -> int:
    """Prints the plan, and perhaps writes it; returns the exit code."""
    from voipstudio_cmb import desired
    from voipstudio_cmb.cli.desired import plan_each, print_plans
    from voipstudio_cmb.cli.saved import check_out, write_plans
    from voipstudio_cmb.cli.terminal import print_message

    document = desired.read(arguments.document)
    out = None if arguments.out is None else check_out(arguments.out)

    plans, code = await plan_each(arguments, document, prune=arguments.prune)
    await print_plans(plans, desired.render, as_json=arguments.as_json)
    if out is not None and not code:
        write_plans(out, plans)
        print_message(f"written to {arguments.out}: apply it by --plan {arguments.out}")
    return code or (CHANGES if any(each.changes for each in plans.values()) else DONE)


def command_of(resource: str) -> Command:
    """`settings plan`."""
    out = "Write the plan into this file, for `apply --plan`."
    return Command(
        "plan",
        run,
        [
            document_argument(),
            prune_option(),
            option("--out", metavar="PLAN", help=out, completes="file"),
            option("--json", "as_json", is_flag=True, help="Print the plan as JSON."),
            *accounts_options(),
            *account_options(),
        ],
        help="Say what a document would create, change and delete; change nothing.",
        brief="Say what a document would change.",
        examples=[
            "voipstudio-cmb settings plan widgets.toml",
            "voipstudio-cmb settings plan widgets.toml --prune --out widgets.plan",
        ],
        epilog=f"{DIFFERENCES}\n\n{TOKEN}",
        exclusive=[("accounts", "profile")],
        needs={"account": ["accounts"]},
        resource=resource,
    )
