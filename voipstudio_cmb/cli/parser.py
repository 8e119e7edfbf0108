"""The options of the command line."""

from __future__ import annotations

import argparse

from .get import _get
from .list import _list
from .ping import _ping
from .sandbox import _sandbox

_EPILOG = """exit codes: 0 done; 1 failed; 2 usage; 3 what is done is whole, but some rows were
rejected or some jobs failed for good; 4 not authorised; 5 failed for now: the same command goes
on where it stopped; 130 interrupted and 143 terminated: an export goes on likewise

The token comes from the profile that --profile names; else from VOIPSTUDIO_API_TOKEN, and the base
URL from VOIPSTUDIO_API_URL; else from the current profile that `vs auth login` wrote."""


def _version() -> str:
    from voipstudio_cmb import __version__

    return f"voipstudio-cmb {__version__}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voipstudio-cmb",
        description="VoIPstudio's Call Me Back module: export, list, get.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    account = argparse.ArgumentParser(add_help=False)
    account.add_argument("--profile", metavar="NAME", help="a profile of the vendor's command line")
    account.add_argument(
        "--rate", type=float, metavar="PER_SECOND", help="requests per second at the most"
    )

    _add_export(
        commands.add_parser(
            "export",
            parents=[account],
            help="export collections into files, whole or not at all",
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )

    listing = commands.add_parser("list", parents=[account], help="print rows of a collection")
    listing.add_argument("resource", metavar="RESOURCE", help="a collection, like cdrs")
    many = listing.add_mutually_exclusive_group()
    many.add_argument("--limit", type=int, default=25, metavar="N", help="rows (default 25)")
    many.add_argument("--all", action="store_true", help="all rows")
    listing.add_argument("--page-size", type=int, default=500, metavar="ROWS", help="default: 500")
    listing.add_argument("--concurrency", type=int, default=4, metavar="N", help="default: 4")
    listing.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="CONDITION",
        help="like 'created_at>=2026-01-01'; operators = > >= < <= and ~ (like); repeatable",
    )
    listing.add_argument("--sort", default="id", metavar="PROPERTY", help="default: id")
    listing.add_argument("--desc", action="store_true", help="descending")
    listing.add_argument(
        "--format",
        choices=("json", "jsonl", "csv", "table"),
        help="default: table on a terminal, jsonl elsewhere",
    )
    listing.set_defaults(run=_list)

    get = commands.add_parser("get", parents=[account], help="print one setting or button as JSON")
    get.add_argument(
        "resource", choices=("settings", "buttons"), metavar="RESOURCE", help="settings or buttons"
    )
    get.add_argument("id", type=int, metavar="ID")
    get.set_defaults(run=_get)

    ping = commands.add_parser("ping", parents=[account], help="check the token and the connection")
    ping.set_defaults(run=_ping)

    sandbox = commands.add_parser("sandbox", help="serve a stand-in for the API on loopback")
    sandbox.add_argument("--port", type=int, default=0, help="default: a free one")
    sandbox.add_argument("--rows", type=int, default=25_000, help="call records (default 25,000)")
    sandbox.add_argument("--seed", type=int, default=1, help="decides what is in them")
    sandbox.add_argument(
        "--rate", type=float, metavar="PER_SECOND", help="answer 429 above this many requests"
    )
    sandbox.set_defaults(run=_sandbox)
    return parser


def _add_export(export: argparse.ArgumentParser) -> None:
    add = export.add_argument
    add("resources", nargs="*", metavar="RESOURCE", help="like cdrs or buttons; default: all")
    add(
        "--to",
        required=True,
        metavar="DIR",
        help="the directory to write into; - streams the rows of one resource to standard output",
    )
    add("--format", default="jsonl", help="jsonl (default), csv, sqlite or parquet")
    add("--compress", metavar="METHOD", help="gzip or zstd, where the format has it")
    add("--csv-null", default="", metavar="TEXT", help="what stands for null in CSV")
    add(
        "--filter",
        action="append",
        default=[],
        metavar="CONDITION",
        help="only rows like 'created_at>=2026-01-01', as for `list`; repeatable",
    )
    add("--since", choices=("last",), help="last: only what is new since the last export")
    add("--overwrite", action="store_true", help="replace files that exist")
    add("--restart", action="store_true", help="begin anew instead of going on")
    add("--dry-run", action="store_true", help="only say what would be fetched; write nothing")
    add("--page-size", type=int, default=500, metavar="N", help="rows a page")
    add(
        "--concurrency", type=int, default=4, metavar="N", help="page requests in flight a resource"
    )
    add("--jobs", type=int, default=8, metavar="N", help="resources exported at a time (default 8)")
    add(
        "--accounts",
        metavar="FILE",
        help="export every account of this TOML file into a directory of its name",
    )
    add(
        "--rate-per-account",
        type=float,
        metavar="PER_SECOND",
        help="requests per second for each account; --rate is for all together",
    )
    add(
        "--progress",
        choices=("auto", "json", "lines", "none"),
        default="auto",
        help="on standard error: auto (bars on a terminal, else lines), json, lines or none",
    )
    add("--sandbox", action="store_true", help="export from the embedded stand-in: needs no token")
    export.set_defaults(run=_export)


async def _export(arguments: argparse.Namespace) -> int:
    from .export import export

    return await export(arguments)
