"""The command `verify`."""

from __future__ import annotations

import click

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.options import quiet_option
from voipstudio_cmb.cli.parser import TEXT, Command


async def run(arguments: Arguments) -> int:
    """Prints whether the files are as they were written; returns the exit code."""
    from voipstudio_cmb.cli.verify import print_verified

    return await print_verified(arguments.directory, quiet=arguments.quiet)


COMMAND = Command(
    "verify",
    run,
    [
        click.Argument(["directory"], metavar="DIR", type=TEXT),
        quiet_option(),
    ],
    help="""Compare the files of an export, or of its accounts, with its manifest. DIR may be an
address as s3://bucket/prefix.""",
    examples=["voipstudio-cmb verify exports", "voipstudio-cmb verify exports --quiet"],
    epilog="""Exit codes: 0 all files are as they were written; 1 some are missing or changed; 2
wrong usage, or nothing was exported there; 3 some are not listed; 5 some can't be read now; 130
interrupted; 143 terminated.""",
)
