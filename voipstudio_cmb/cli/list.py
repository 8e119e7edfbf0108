"""The command `list`."""

from __future__ import annotations

import argparse
import sys

from voipstudio_cmb.resources import COLLECTIONS

from .exit_codes import DONE
from .options import add_account_options, add_filter_option
from .stdio import print_data, print_text
from .terminal import print_message

HELP = "print rows of a collection"


def add_options(parser: argparse.ArgumentParser) -> None:
    add_account_options(parser)
    add = parser.add_argument
    add("resource", metavar="RESOURCE", help=f"of {', '.join(COLLECTIONS)}")
    rows = parser.add_mutually_exclusive_group()
    rows.add_argument("--limit", type=int, default=25, metavar="N", help="rows (default 25)")
    rows.add_argument("--all", action="store_true", help="all rows")
    add("--page-size", type=int, default=500, metavar="N", help="rows per page (default 500)")
    add("--concurrency", type=int, default=4, metavar="N", help="requests in flight (default 4)")
    add_filter_option(parser)
    add("--sort", metavar="PROPERTY", help="default: id")
    add("--desc", action="store_true", help="descending")
    formats = ("json", "jsonl", "csv", "table")
    add("--format", choices=formats, help="default: table on a terminal, jsonl elsewhere")


def _check(arguments: argparse.Namespace) -> None:
    from voipstudio_cmb.errors import ClientMisuse

    if arguments.resource == "buttons":
        raise ClientMisuse("the API has no collection of buttons: use `get buttons ID`")
    if arguments.resource not in COLLECTIONS:
        known = ", ".join(COLLECTIONS)
        raise ClientMisuse(f"unknown collection (known: {known})")


async def run(arguments: argparse.Namespace) -> int:
    from voipstudio_cmb.filters import parse

    from .clients import open_client
    from .printers import PRINTERS

    _check(arguments)
    limit = None if arguments.all else arguments.limit
    format = arguments.format or ("table" if sys.stdout.isatty() else "jsonl")
    filters = [parse(text) for text in arguments.filter]
    async with open_client(arguments) as client:
        service = getattr(client, arguments.resource)
        walk = service.list(
            filters=filters,
            on_ignored_filter=arguments.on_ignored_filter,
            sort=arguments.sort,
            descending=arguments.desc,
            limit=None if limit is None else limit + 1,  # whether there are more
            page_size=arguments.page_size,
            concurrency=arguments.concurrency,
        )
        printer = PRINTERS[format](service.record, sys.stdout)
        printed, note = 0, ""

        async def show(text: str) -> None:
            await (print_text(text) if printer.words else print_data(text.encode()))

        async with walk:
            async for record in walk:
                if printed == limit:
                    note = f"only the first {limit} printed; --limit N or --all for more"
                    break
                await show(printer.add(record))
                printed += 1
        await show(printer.finish())
    if printer.note:
        print_message(printer.note)
    if note or not printed:
        print_message(note or "no rows")
    return DONE
