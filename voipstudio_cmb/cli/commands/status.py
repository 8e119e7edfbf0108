"""The command `status`, which `ping` is too."""

from __future__ import annotations

import time

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.options import TOKEN, account_options
from voipstudio_cmb.cli.parser import Command
from voipstudio_cmb.cli.terminal import note, print_json
from voipstudio_cmb.exit_codes import DONE


async def run(arguments: Arguments) -> int:
    """Prints the API's answer, who asked where and how long it took; returns the exit code."""
    from voipstudio_cmb.cli.clients import open_client

    async with open_client(arguments) as client:
        note(arguments, client.source)
        started = time.monotonic()
        answer = await client.ping()
        seconds = time.monotonic() - started
        (account, *_), failed = await client.identities()
    note(arguments, f"answered in {seconds:.3f} s")
    if failed:
        note(arguments, f"the account is not known: {failed}")
    known = {"base_url": client.base_url, "account": None if failed else account}
    await print_json(answer | known | {"seconds": round(seconds, 3)})
    return DONE


COMMAND = Command(
    "status",
    run,
    account_options(),
    help="Check the token and the connection: which URL, profile and account, and how fast.",
    examples=["voipstudio-cmb status", "voipstudio-cmb status --profile work"],
    epilog=TOKEN,
)
