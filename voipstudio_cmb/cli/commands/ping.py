"""The command `ping`."""

from __future__ import annotations

import time

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.exit_codes import DONE
from voipstudio_cmb.cli.options import TOKEN, account_options
from voipstudio_cmb.cli.parser import Command
from voipstudio_cmb.cli.terminal import print_json, print_message


async def run(arguments: Arguments) -> int:
    """Prints the API's answer, who asked where and how long it took; returns the exit code."""
    from voipstudio_cmb.cli.clients import open_client

    async with open_client(arguments) as client:
        print_message(client.source)
        started = time.monotonic()
        answer = await client.ping()
    print_message(f"answered in {time.monotonic() - started:.3f} s")
    await print_json(answer)
    return DONE


COMMAND = Command(
    "ping",
    run,
    account_options(),
    help="Check the token and the connection.",
    examples=["voipstudio-cmb ping", "voipstudio-cmb ping --profile work"],
    epilog=TOKEN,
)
