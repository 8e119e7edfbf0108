"""The command `chart`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.options import (
    TOKEN,
    account_options,
    conditions,
    filter_options,
    period_options,
)
from voipstudio_cmb.cli.parser import Command, OneOf, option
from voipstudio_cmb.cli.stdio import print_text
from voipstudio_cmb.cli.terminal import note, terminal_size
from voipstudio_cmb.exit_codes import DONE
from voipstudio_cmb.resources import COLLECTIONS

if TYPE_CHECKING:
    from voipstudio_cmb.cli.period import Period
    from voipstudio_cmb.cli.tally import Tally

_RECENT = "30d"
"""The period of a chart from the API, unless another is asked for: a table may have millions."""


async def run(arguments: Arguments) -> int:
    from voipstudio_cmb.cli.bars import bars_text
    from voipstudio_cmb.cli.period import read_period

    path = None if arguments.html is None else _page_path(arguments.html)
    write = None if path is None else _page_writer(path)
    start = arguments.start
    if start is None and arguments.until is None and arguments.files is None:
        start = _RECENT
    period = read_period(start, arguments.until, arguments.zone)
    tally = await (_of_api if arguments.files is None else _of_files)(arguments, period)
    rows = f"{tally.rows:,} {arguments.resource}" if tally.rows else "no rows"
    notes = [rows, *filter(None, [period.note])]
    if tally.undated:
        notes.append(f"{tally.undated:,} of them have no time")
    if path is not None and write is not None:
        write(path, arguments.resource, "; ".join(notes), tally)
        notes.append(f"written to {arguments.html}")
    elif tally.rows:
        counts, shares = tally.counts(arguments.by), arguments.by in ("website", "disposition")
        width = terminal_size(sys.stdout)[0]
        await print_text(bars_text(counts, sys.stdout, width, shares=shares))
    note(arguments, "; ".join(notes))
    return DONE


def _page_path(name: str) -> Path:
    """Where to write a page; raises `ClientMisuse` if there can't be one."""
    from voipstudio_cmb.boundary.checks import quoted_path
    from voipstudio_cmb.errors import ClientMisuse

    path = Path(os.path.realpath(name))  # not a link, which would be replaced
    if not path.parent.is_dir():
        raise ClientMisuse(f"--html: {quoted_path(name)} is in no directory that exists")
    if path.exists() and not path.is_file():
        raise ClientMisuse(f"--html: {quoted_path(name)} is no regular file: name one to write")
    return path


def _page_writer(path: Path) -> Callable[[Path, str, str, Tally], None]:
    """What writes a page; raises `ClientMisuse` if its package is not there, or another file is."""
    from voipstudio_cmb.boundary.text import lacks_extra
    from voipstudio_cmb.errors import ClientMisuse

    try:
        from voipstudio_cmb.cli.page import is_another, write
    except ImportError:
        raise ClientMisuse(lacks_extra("--html", "chart")) from None
    if is_another(path):
        raise ClientMisuse(
            f"--html: {str(path)!r} exists and is no page of a chart: name another file, or move it"
        )
    return write


async def _of_api(arguments: Arguments, period: Period) -> Tally:
    from voipstudio_cmb.cli.clients import open_client
    from voipstudio_cmb.cli.tally import Tally, created_at

    tally = Tally()
    filters = [*conditions(arguments), *period.filters]
    async with open_client(arguments) as client:
        service = getattr(client, arguments.resource)
        walk = service.list(filters=filters, on_ignored_filter=arguments.on_ignored_filter)
        async with walk:
            async for record in walk:
                row = record.to_dict()
                tally.add(row, created_at(row))
    return tally


async def _of_files(arguments: Arguments, period: Period) -> Tally:
    from voipstudio_cmb.cli.exported import exported_rows
    from voipstudio_cmb.cli.tally import MEMBERS, Tally, created_at

    tally = Tally()
    for row in exported_rows(Path(arguments.files), arguments.resource, MEMBERS):
        created = created_at(row)
        if period.has(created):
            tally.add(row, created)
    return tally


COMMAND = Command(
    "chart",
    run,
    [
        click.Argument(["resource"], metavar="RESOURCE", type=OneOf(COLLECTIONS)),
        option(
            "--by", type=OneOf(("day", "hour", "weekday", "website", "disposition")),
            default="day", help="What to count by.",
        ),
        option(
            "--files", metavar="PATH",
            help="Read the exports in this directory, or one of its files, and not the API.",
        ),
        option(
            "--html", metavar="FILE",
            help="Write a page with all charts, for a browser without a network.",
        ),
        *period_options(),
        *filter_options(),
        *account_options(),
    ],
    help=f"Draw how many rows there are (of {', '.join(COLLECTIONS)}): from the API those of the "
    "last 30 days unless a time is given, from files all.",
    brief="Draw how many calls there are by day, hour, website.",
    examples=[
        "voipstudio-cmb chart cdrs --by hour --from 7d",
        "voipstudio-cmb chart cdrs --from 2025-01-01 --html calls.html",
    ],
    epilog=TOKEN,
    exclusive=[
        ("html", "by"),
        *(
            ("files", other)
            for other in ("filter", "on_ignored_filter", "profile", "rate", "verbose")
        ),
    ],
)  # fmt: skip
