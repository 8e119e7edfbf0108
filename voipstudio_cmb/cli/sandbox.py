"""The command `sandbox`."""

from __future__ import annotations

import argparse
import asyncio

from .exit_codes import DONE
from .terminal import say

TOKEN_VARIABLE, URL_VARIABLE = "VOIPSTUDIO_API_TOKEN", "VOIPSTUDIO_API_URL"


async def _sandbox(arguments: argparse.Namespace) -> int:
    from voipstudio_cmb.errors import ClientMisuse
    from voipstudio_cmb.sandbox import Sandbox

    from .clients import check_rate

    rate = arguments.rate
    check_rate(rate)
    # A server counts whole requests: below one a second it allows one in a longer time.
    allowed = None if rate is None else (int(rate), 1.0) if rate >= 1 else (1, 1 / rate)
    try:
        api = Sandbox(port=arguments.port, rows=arguments.rows, seed=arguments.seed, rate=allowed)
        async with api:
            print(f"export {URL_VARIABLE}={api.base_url}")
            print(f"export {TOKEN_VARIABLE}={api.token}", flush=True)
            say("serving until interrupted; the two lines above point the client at it")
            await asyncio.Event().wait()
    except (ValueError, OverflowError, OSError) as error:
        raise ClientMisuse(f"the sandbox can't be started: {error}") from None
    return DONE
