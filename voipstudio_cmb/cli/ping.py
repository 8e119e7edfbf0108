"""The command `ping`."""

from __future__ import annotations

import argparse
import time

from .exit_codes import DONE
from .options import add_account_options
from .terminal import print_json, print_message

HELP = "check the token and the connection"
add_options = add_account_options


async def run(arguments: argparse.Namespace) -> int:
    """Prints the API's answer, who asked where and how long it took; returns the exit code."""
    from .clients import open_client

    async with open_client(arguments) as client:
        print_message(client.source)
        started = time.monotonic()
        answer = await client.ping()
    print_message(f"answered in {time.monotonic() - started:.3f} s")
    await print_json(answer)
    return DONE
