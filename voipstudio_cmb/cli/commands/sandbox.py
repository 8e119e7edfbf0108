"""The command `sandbox`."""

from __future__ import annotations

import asyncio

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.parser import INTEGER, NUMBER, Command, option
from voipstudio_cmb.cli.stdio import print_text
from voipstudio_cmb.cli.terminal import print_message
from voipstudio_cmb.exit_codes import DONE

MAX_ROWS = 1_000_000
"""The most call records that it makes: they are all in memory."""


async def run(arguments: Arguments) -> int:
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


COMMAND = Command(
    "sandbox",
    run,
    [
        option("--port", type=INTEGER, default=0, metavar="N", help="0: a free one."),
        option("--rows", type=INTEGER, default=25_000, metavar="N", help="Call records."),
        option("--seed", type=INTEGER, default=1, metavar="N", help="What the records contain."),
        option(
            "--rate", type=NUMBER, metavar="PER_SECOND",
            help="Answer 429 above this many requests.",
        ),
    ],
    help="Serve a stand-in for the API on loopback, until interrupted.",
    examples=["voipstudio-cmb sandbox", "voipstudio-cmb sandbox --rows 300 --rate 5"],
)  # fmt: skip
