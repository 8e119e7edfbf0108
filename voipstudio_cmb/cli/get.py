"""The command `get`."""

from __future__ import annotations

import argparse

from .exit_codes import DONE
from .options import add_account_options
from .terminal import print_json

HELP = "print one setting or button as JSON"


def add_options(parser: argparse.ArgumentParser) -> None:
    add_account_options(parser)
    kinds = ("settings", "buttons")
    parser.add_argument("resource", choices=kinds, metavar="RESOURCE", help="settings or buttons")
    parser.add_argument("id", type=int, metavar="ID")


async def run(arguments: argparse.Namespace) -> int:
    from .clients import open_client

    async with open_client(arguments) as client:
        record = await getattr(client, arguments.resource).get(arguments.id)
    await print_json(record.to_dict())
    return DONE
