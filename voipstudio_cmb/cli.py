"""The command line: arguments in, calls, exit codes. Results on stdout, all else on stderr.

Everything but the parser is imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from .report import (
    DONE,
    FAILED,
    INTERRUPTED,
    NOT_AUTHORISED,
    TERMINATED,
    USAGE,
    drop_stdout,
    say,
)

TOKEN_VARIABLE, URL_VARIABLE = "VOIPSTUDIO_API_TOKEN", "VOIPSTUDIO_API_URL"

_COLLECTIONS = ("cdrs", "visitors", "websites", "settings")
_RESOURCES = (*_COLLECTIONS, "buttons")
_EPILOG = """exit codes: 0 done; 1 failed; 2 usage; 3 what is done is whole, but some rows were
rejected or some jobs failed for good; 4 not authorised; 5 failed for now: the same command goes
on where it stopped; 130 interrupted and 143 terminated: an export goes on likewise

The token comes from the profile that --profile names; else from VOIPSTUDIO_API_TOKEN, and the base
URL from VOIPSTUDIO_API_URL; else from the current profile that `vs auth login` wrote."""


def _version() -> str:
    from . import __version__

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
    listing.add_argument("resource", metavar="RESOURCE", help=f"of {', '.join(_COLLECTIONS)}")
    many = listing.add_mutually_exclusive_group()
    many.add_argument("--limit", type=int, default=25, metavar="N", help="rows (default 25)")
    many.add_argument("--all", action="store_true", help="all rows")
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
    add(
        "resources", nargs="*", metavar="RESOURCE", help=f"of {', '.join(_RESOURCES)}; default: all"
    )
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
    add("--limit", type=int, default=500, metavar="PAGE_SIZE", help="rows a page")
    add("--window", type=int, default=4, metavar="N", help="page requests in flight a resource")
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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in *argv* and returns its exit code."""
    arguments = _parser().parse_args(argv)
    if sys.stdout is None:  # closed by who started this
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an ASCII terminal is no reason to fail
    from .errors import CallMeBackError, ClientMisuse, NoToken, Unauthorized

    tell = _teller(arguments)
    try:
        return _flushed(asyncio.run(_run(arguments)))
    except (KeyboardInterrupt, asyncio.CancelledError) as stop:
        tell("interrupted" + _left(arguments))
        return INTERRUPTED if isinstance(stop, KeyboardInterrupt) else TERMINATED
    except BrokenPipeError:
        # The reader has what it wanted. Python's own flush at exit must not complain again.
        drop_stdout()
        return DONE
    except CallMeBackError as error:
        tell(f"error: {error}")
        if isinstance(error, Unauthorized | NoToken):
            return NOT_AUTHORISED
        return USAGE if isinstance(error, ClientMisuse) else FAILED
    except OSError as error:
        drop_stdout()
        tell(f"error: the output can't be written: {error.strerror or error}")
        return FAILED


def _teller(arguments: argparse.Namespace) -> Callable[[str], None]:
    """What prints a message on standard error: where events are wanted, as one of them."""
    if getattr(arguments, "progress", None) != "json":
        return say
    from .progress import note

    return note


def _left(arguments: argparse.Namespace) -> str:
    """What an interruption has left behind."""
    if arguments.command == "list" or getattr(arguments, "to", None) == "-":
        return ": the output is incomplete"
    if arguments.command != "export" or arguments.dry_run:
        return ""
    return ": no file is left half written, and the same command goes on where it stopped"


def _flushed(code: int) -> int:
    """*code*, once what was printed is out; a reader that has gone does not change it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        drop_stdout()
    return code


async def _run(arguments: argparse.Namespace) -> int:
    """Runs the command so that SIGTERM ends it as Ctrl-C does: with its files cleaned up."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    code: int = await arguments.run(arguments)
    return code


async def _export(arguments: argparse.Namespace) -> int:
    from .exporting import export

    return await export(arguments)


async def _list(arguments: argparse.Namespace) -> int:
    from .connecting import opened
    from .errors import ClientMisuse
    from .filters import parse
    from .output import PRINTERS

    if arguments.resource not in _COLLECTIONS:
        hint = (
            "; the API has no collection of buttons: use `get buttons ID`"
            if arguments.resource == "buttons"
            else ""
        )
        known = ", ".join(_COLLECTIONS)
        raise ClientMisuse(f"unknown collection {arguments.resource!r} (known: {known}){hint}")
    wanted = None if arguments.all else arguments.limit
    if wanted is not None and wanted < 1:
        raise ClientMisuse(f"--limit must be at least 1, not {wanted}")
    form = arguments.format or ("table" if sys.stdout.isatty() else "jsonl")
    filters = [parse(text) for text in arguments.filter]
    async with opened(arguments) as client:
        service = getattr(client, arguments.resource)
        walk = service.list(
            filters=filters,
            sort=arguments.sort,
            descending=arguments.desc,
            limit=500 if wanted is None else min(wanted + 1, 500),
        )
        printer = PRINTERS[form](service.record, sys.stdout)
        shown, note = 0, ""
        async with walk:
            async for record in walk:
                if shown == wanted:
                    note = f"only the first {wanted} printed; --limit N or --all for more"
                    break
                printer.add(record)
                shown += 1
        printer.finish()
        sys.stdout.flush()
        if not shown:
            note = "no rows"
        if note:
            say(note)
    return DONE


async def _get(arguments: argparse.Namespace) -> int:
    from .codec import to_dict
    from .connecting import opened

    async with opened(arguments) as client:
        record = await getattr(client, arguments.resource).get(arguments.id)
    _print_json(to_dict(record))
    return DONE


async def _ping(arguments: argparse.Namespace) -> int:
    from .connecting import opened

    async with opened(arguments) as client:
        began = time.monotonic()
        answer = await client.ping()
    say(f"answered in {time.monotonic() - began:.3f} s")
    _print_json(answer)
    return DONE


def _print_json(value: Any) -> None:
    import json

    from .output import escaped

    print(escaped(json.dumps(value, indent=2, ensure_ascii=False)))


async def _sandbox(arguments: argparse.Namespace) -> int:
    from .connecting import check_rate
    from .errors import ClientMisuse
    from .sandbox import Sandbox

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


if __name__ == "__main__":
    sys.exit(main())
