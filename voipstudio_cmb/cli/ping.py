"""The command `ping`."""

from __future__ import annotations

import argparse
import time

from .exit_codes import DONE
from .terminal import _print_json, say


async def _ping(arguments: argparse.Namespace) -> int:
    from .clients import opened

    async with opened(arguments) as client:
        began = time.monotonic()
        answer = await client.ping()
    say(f"answered in {time.monotonic() - began:.3f} s")
    _print_json(answer)
    return DONE
