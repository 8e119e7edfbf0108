"""The command `sandbox`."""

from __future__ import annotations

import argparse
import asyncio

from .exit_codes import DONE
from .stdio import print_text
from .terminal import print_message

MAX_ROWS = 1_000_000
"""The most call records that it makes: they are all in memory."""

HELP = "serve a stand-in for the API on loopback"


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--port", type=int, default=0, help="default: a free one")
    add("--rows", type=int, default=25_000, help="call records (default 25,000)")
    add("--seed", type=int, default=1, help="decides what the records contain")
    add("--rate", type=float, metavar="PER_SECOND", help="answer 429 above this many requests")


async def run(arguments: argparse.Namespace) -> int:
    """Serves until it is interrupted."""
    from voipstudio_cmb.boundary.checks import checked_integer
    from voipstudio_cmb.errors import ClientMisuse
    from voipstudio_cmb.sandbox import Sandbox

    checked_integer("--rows", arguments.rows, 0, MAX_ROWS)
    rate = arguments.rate
    if rate is not None and not 1e-6 <= rate <= 1e9:
        raise ClientMisuse(f"--rate must be from 0.000001 to 1000000000, not {rate}")
    # A server counts whole requests: below one a second it allows one in a longer time.
    allowed = None if rate is None else (int(rate), 1.0) if rate >= 1 else (1, 1 / rate)
    try:
        api = Sandbox(port=arguments.port, rows=arguments.rows, seed=arguments.seed, rate=allowed)
        async with api:
            await print_text(f"export VOIPSTUDIO_API_URL={api.base_url}\n")
            await print_text(f"export VOIPSTUDIO_API_TOKEN={api.token}\n")
            print_message("serving until interrupted; the two lines above point the client at it")
            await asyncio.Event().wait()
    except (ValueError, OverflowError, OSError) as error:
        raise ClientMisuse(f"the sandbox can't be started: {error}") from None
    return DONE
