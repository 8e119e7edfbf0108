"""The command `export`: its options, and which of its three ways they ask for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from voipstudio_cmb.resources import RESOURCES

from .options import EPILOG, add_account_options, add_filter_option

if TYPE_CHECKING:
    from voipstudio_cmb.export import Plan

HELP = "export collections into files that appear only when they are complete"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    resources = f"of {', '.join(RESOURCES)}; default: all"
    parser.add_argument("resources", nargs="*", metavar="RESOURCE", help=resources)
    _add_output_options(parser)
    _add_run_options(parser)
    _add_account_options(parser)


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    to = "the directory to write into; - streams the rows of one resource to standard output"
    add("--to", required=True, metavar="DIR", help=to)
    add("--format", default="jsonl", help="jsonl (default), csv, sqlite or parquet")
    columns = "all (default): a column for each member of the rows; documented, or NAME,NAME"
    add("--columns", default="all", type=_columns, metavar="COLUMNS", help=columns)
    add("--compress", metavar="METHOD", help="gzip or zstd, if the format supports it")
    add("--csv-null", default="", metavar="TEXT", help="the text that represents null in CSV")
    add_filter_option(parser)
    add("--since", choices=("last",), help="last: only what is new since the last export")
    overlap = (
        "with --since: how long a row can take to show after it was created, as 30s, 10m or 1h"
    )
    add("--overlap", default=0, metavar="TIME", help=overlap)
    verify = "with --since last: compare the files before with their SHA-256, not only their size"
    add("--verify", action="store_true", help=verify)
    add("--overwrite", action="store_true", help="replace files that exist")
    add("--restart", action="store_true", help="start again instead of resuming")


def _columns(text: str) -> str | list[str]:
    return text if text in ("all", "documented") else [name.strip() for name in text.split(",")]


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--dry-run", action="store_true", help="only say what would be fetched; write nothing")
    add("--page-size", type=int, default=500, metavar="N", help="rows per page (default 500)")
    concurrency = "page requests in flight per resource (default 4)"
    add("--concurrency", type=int, default=4, metavar="N", help=concurrency)
    add("--jobs", type=int, default=8, metavar="N", help="resources exported at a time (default 8)")
    modes = ("auto", "json", "lines", "none")
    progress = "on standard error: auto (bars on a terminal, else lines), json, lines or none"
    add("--progress", choices=modes, default="auto", help=progress)


def _add_account_options(parser: argparse.ArgumentParser) -> None:
    add_account_options(parser)
    add = parser.add_argument
    accounts = "export each account of this TOML file into a directory named after it"
    add("--accounts", metavar="FILE", help=accounts)
    rate = "the most requests per second for each account; --rate is for all together"
    add("--rate-per-account", type=float, metavar="PER_SECOND", help=rate)
    add("--sandbox", action="store_true", help="export from the embedded stand-in: needs no token")


async def run(arguments: argparse.Namespace) -> int:
    """Streams, forecasts or writes files; returns the exit code."""
    from . import dry_run, files, stream

    _check(arguments)
    plan = _plan(arguments)
    if arguments.to == "-":
        return await stream.run(arguments, plan)
    if arguments.dry_run:
        return await dry_run.run(arguments, plan)
    return await files.run(arguments, plan)


def _plan(arguments: argparse.Namespace) -> Plan:
    import attrs

    from voipstudio_cmb.export import Plan
    from voipstudio_cmb.filters import parse

    given, names = vars(arguments), [field.name for field in attrs.fields(Plan)]
    options = {name: given[name] for name in names if name in given}
    return Plan(filters=tuple(map(parse, arguments.filter)), **options)


def _check(arguments: argparse.Namespace) -> None:
    from voipstudio_cmb.errors import ClientMisuse

    if arguments.rate_per_account is not None:
        if arguments.accounts is None:
            raise ClientMisuse("--rate-per-account needs --accounts; for one account use --rate")
        if arguments.rate is not None:
            raise ClientMisuse(
                "choose one: --rate for all accounts, or --rate-per-account for each"
            )
    if arguments.accounts is not None and (arguments.profile or arguments.sandbox):
        raise ClientMisuse(
            "--accounts already names the accounts: leave out --profile and --sandbox"
        )
