"""The command `list`."""

from __future__ import annotations

import sys

import click

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.exit_codes import DONE
from voipstudio_cmb.cli.options import TOKEN, account_options, filter_options, walk_options
from voipstudio_cmb.cli.parser import INTEGER, Command, OneOf, option
from voipstudio_cmb.cli.stdio import print_data, print_text
from voipstudio_cmb.cli.terminal import print_message
from voipstudio_cmb.resources import COLLECTIONS


async def run(arguments: Arguments) -> int:
    from voipstudio_cmb.cli.clients import open_client
    from voipstudio_cmb.cli.printers import PRINTERS
    from voipstudio_cmb.filters import parse

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
    if note or not printed:
        print_message(note or "no rows")
    return DONE


_NO_BUTTONS = "the API has no collection of buttons: use `get buttons ID`"


def command_of(resource: str | None) -> Command:
    """`RESOURCE list`, or `list RESOURCE`."""
    known = OneOf(COLLECTIONS, buttons=_NO_BUTTONS)
    named = [] if resource else [click.Argument(["resource"], type=known)]
    name = f"{resource} list" if resource else "list cdrs"
    return Command(
        "list",
        run,
        [*named, *_options(), *filter_options(), *walk_options(), *account_options()],
        help=f"Print {resource or 'rows of a collection (of ' + ', '.join(COLLECTIONS) + ')'}.",
        examples=[
            f"voipstudio-cmb {name} --limit 10 --sort id --desc",
            f"voipstudio-cmb {name} --all --filter 'id>=1' --format csv",
        ],
        epilog=TOKEN,
        exclusive=[("limit", "all")],
        resource=resource,
    )


def _options() -> list[click.Parameter]:
    return [
        option("--limit", type=INTEGER, default=25, metavar="N", help="How many rows."),
        option("--all", is_flag=True, help="All rows."),
        option("--sort", metavar="PROPERTY", default="id", help="What to sort by."),
        option("--desc", is_flag=True, help="Descending."),
        option(
            "--format", type=OneOf(("json", "jsonl", "csv", "table")),
            help="How to print them.  [default: table on a terminal, jsonl elsewhere]",
        ),
    ]  # fmt: skip


COMMAND = command_of(None)
