"""The command `get`."""

from __future__ import annotations

import argparse

from .exit_codes import DONE
from .terminal import _print_json


async def _get(arguments: argparse.Namespace) -> int:
    from voipstudio_cmb.codec.conversion import to_dict

    from .clients import opened

    async with opened(arguments) as client:
        record = await getattr(client, arguments.resource).get(arguments.id)
    _print_json(to_dict(record))
    return DONE
