"""The command `list`."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.options import (
    TOKEN,
    account_options,
    conditions,
    filter_options,
    period_options,
    walk_options,
)
from voipstudio_cmb.cli.parser import INTEGER, NUMBER, Command, OneOf, option
from voipstudio_cmb.cli.stdio import print_data, print_text
from voipstudio_cmb.cli.terminal import note
from voipstudio_cmb.exit_codes import DONE
from voipstudio_cmb.resources import COLLECTIONS

if TYPE_CHECKING:
    from voipstudio_cmb.cli.printers import Printer
    from voipstudio_cmb.filters import Filter

_GROWING = ("cdrs", "visitors")
"""The collections of which a person wants to see the end."""


async def run(arguments: Arguments) -> int:
    from voipstudio_cmb.cli.clients import open_client
    from voipstudio_cmb.cli.period import read_period
    from voipstudio_cmb.cli.printers import PRINTERS

    terminal = sys.stdout.isatty()
    format = arguments.format or ("table" if terminal else "jsonl")
    period = read_period(arguments.start, arguments.until, arguments.zone)
    filters = [*conditions(arguments), *period.filters]
    if arguments.follow:
        _check_follow(arguments, format)
    async with open_client(arguments) as client:
        service = getattr(client, arguments.resource)
        printer = PRINTERS[format](service.record, sys.stdout, arguments.columns)
        if period.note:
            note(arguments, period.note)
        if arguments.follow:
            await _follow(arguments, service, printer, filters)
        else:
            await _list(arguments, service, printer, filters, terminal)
    return DONE


async def _list(
    arguments: Arguments, service: Any, printer: Printer, filters: list[Filter], terminal: bool
) -> None:
    """Prints rows: the newest first if that is asked for, or is what a person wants to see."""
    from voipstudio_cmb.errors import BadRequest, SortIgnored

    ordered = arguments.all or arguments.desc or arguments.sort is not None
    if arguments.newest or (terminal and arguments.resource in _GROWING and not ordered):
        try:
            await _print(arguments, service, printer, filters, "id", descending=True)
            return
        except (SortIgnored, BadRequest) as error:
            if arguments.newest or printer.begun:
                raise
            note(arguments, f"not the newest, because the API does not sort: {error.message}")
    await _print(arguments, service, printer, filters, arguments.sort, descending=arguments.desc)


async def _print(
    arguments: Arguments,
    service: Any,
    printer: Printer,
    filters: list[Filter],
    sort: str | None,
    *,
    descending: bool,
) -> None:
    from voipstudio_cmb.errors import CallMeBackError

    limit = None if arguments.all else arguments.limit
    which = "newest" if (sort, descending) == ("id", True) else "first"
    walk = service.list(
        filters=filters,
        on_ignored_filter=arguments.on_ignored_filter,
        sort=sort,
        descending=descending,
        limit=None if limit is None else limit + 1,  # whether there are more
        page_size=arguments.page_size,
        concurrency=arguments.concurrency,
    )
    printed, cut = 0, ""
    async with walk:
        try:
            async for record in walk:
                if printed == limit:
                    cut = f"only the {which} {limit} printed; --limit N or --all for more"
                    break
                await _show(printer, printer.add(record))
                printed += 1
        except CallMeBackError:
            if printed:
                await _show(printer, printer.flush())  # what has come
            raise
    await _show(printer, printer.finish())
    for text in (printer.note, cut or ("" if printed else "no rows")):
        if text:
            note(arguments, text)


def _check_follow(arguments: Arguments, format: str) -> None:
    from voipstudio_cmb.errors import ClientMisuse

    if format == "json":
        raise ClientMisuse("--follow has no end, and a JSON array needs one: use --format jsonl")
    if not 1 <= arguments.interval <= 86400:
        raise ClientMisuse("--interval must be from 1 to 86400 seconds")


async def _follow(
    arguments: Arguments, service: Any, printer: Printer, filters: list[Filter]
) -> None:
    from voipstudio_cmb.cli.follow import follow

    options = {"first": arguments.limit, "filters": filters, "interval": arguments.interval}
    async for rows in follow(service, note=partial(note, arguments), **options):
        text = "".join(map(printer.add, rows)) + printer.flush()
        if printer.note and not printer.begun:
            note(arguments, printer.note)
        await _show(printer, text)


async def _show(printer: Printer, text: str) -> None:
    if text:
        printer.begun = True
        await (print_text(text) if printer.words else print_data(text.encode()))


_NOT_FOLLOWED = ("until", "on_ignored_filter", "page_size", "concurrency")
_NO_BUTTONS = "the API has no collection of buttons: use `get buttons ID`"


def command_of(resource: str | None) -> Command:
    """`RESOURCE list`, or `list RESOURCE`."""
    known = OneOf(COLLECTIONS, buttons=_NO_BUTTONS)
    named = [] if resource else [click.Argument(["resource"], type=known)]
    name = f"{resource} list" if resource else "list cdrs"
    return Command(
        "list",
        run,
        [
            *named,
            *_options(),
            *period_options(),
            *filter_options(),
            *walk_options(),
            *account_options(),
        ],
        help=f"Print {resource or 'rows of a collection (of ' + ', '.join(COLLECTIONS) + ')'}.",
        examples=[
            f"voipstudio-cmb {name} --newest --limit 10 --columns id,created_at,name",
            f"voipstudio-cmb {name} --all --from 2024-01-01 --until yesterday --format csv",
        ],
        epilog=TOKEN,
        exclusive=[
            ("limit", "all"),
            *((one, other) for one in ("newest", "follow") for other in ("all", "sort", "desc")),
            *(("follow", other) for other in _NOT_FOLLOWED),
        ],
        needs={"interval": ["follow"], "on_ignored_filter": ["filter", "start", "until"]},
        resource=resource,
    )


def _options() -> list[click.Parameter]:
    return [
        option("--limit", type=INTEGER, default=25, metavar="N", help="How many rows."),
        option("--all", is_flag=True, help="All rows."),
        option(
            "--newest", is_flag=True,
            help="Those with the highest ids, the newest first.  [default for cdrs and visitors "
            "on a terminal]",
        ),
        option(
            "--follow", is_flag=True,
            help="Print the newest, and then each that comes, until Ctrl-C (exit code 130).",
        ),
        option(
            "--interval", type=NUMBER, default=5, metavar="SECONDS",
            help="How often --follow looks.",
        ),
        option("--sort", metavar="PROPERTY", help="What to sort by.  [default: id]"),
        option("--desc", is_flag=True, help="Descending."),
        option(
            "--columns", metavar="NAMES",
            help="Which members, separated by commas, in this order, or all.  [default: of a table "
            "on a terminal those that fit and tell rows apart, else all]",
        ),
        option(
            "--format", type=OneOf(("table", "json", "jsonl", "csv", "tsv")),
            help=r"How to print them; in tsv, a tab, line end and backslash are \t, \n, \r and "
            r"\\.  [default: table on a terminal, jsonl elsewhere]",
        ),
    ]  # fmt: skip


COMMAND = command_of(None)
