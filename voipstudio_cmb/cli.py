"""The command line: arguments in, calls, exit codes. Results on stdout, all else on stderr.

Everything but the parser is imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import math
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from .report import (
    DONE,
    FAILED,
    INTERRUPTED,
    NOT_AUTHORISED,
    TERMINATED,
    USAGE,
    display,
    drop_stdout,
    report,
    say,
)

if TYPE_CHECKING:
    from .client import CallMeBackClient

TOKEN_VARIABLE, URL_VARIABLE = "VOIPSTUDIO_API_TOKEN", "VOIPSTUDIO_API_URL"

_COLLECTIONS = ("cdrs", "visitors", "websites", "settings")
_RESOURCES = (*_COLLECTIONS, "buttons")
_EPILOG = """exit codes: 0 done, 1 failed, 2 usage, 3 incomplete (some of it was exported),
4 not authorised, 130 interrupted, 143 terminated

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

    export = commands.add_parser(
        "export", parents=[account], help="export collections into files, whole or not at all"
    )
    export.add_argument(
        "resources", nargs="*", metavar="RESOURCE", help=f"of {', '.join(_RESOURCES)}; default: all"
    )
    export.add_argument("--to", required=True, metavar="DIR", help="the directory to write into")
    export.add_argument("--format", default="jsonl", help="jsonl (default) or csv")
    export.add_argument("--limit", type=int, default=500, metavar="PAGE_SIZE", help="rows a page")
    export.add_argument(
        "--window", type=int, default=4, metavar="N", help="page requests in flight a resource"
    )
    export.add_argument("--overwrite", action="store_true", help="replace files that exist")
    export.add_argument(
        "--sandbox", action="store_true", help="export from the embedded stand-in: needs no token"
    )
    export.set_defaults(run=_export)

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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in *argv* and returns its exit code."""
    arguments = _parser().parse_args(argv)
    if sys.stdout is None:  # closed by who started this
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an ASCII terminal is no reason to fail
    from .errors import CallMeBackError, ClientMisuse, NoToken, Unauthorized

    try:
        return _flushed(asyncio.run(_run(arguments)))
    except (KeyboardInterrupt, asyncio.CancelledError) as stop:
        left = {"export": ": no file is left half written", "list": ": the output is incomplete"}
        say("interrupted" + left.get(arguments.command, ""))
        return INTERRUPTED if isinstance(stop, KeyboardInterrupt) else TERMINATED
    except BrokenPipeError:
        # The reader has what it wanted. Python's own flush at exit must not complain again.
        drop_stdout()
        return DONE
    except CallMeBackError as error:
        say(f"error: {error}")
        if isinstance(error, Unauthorized | NoToken):
            return NOT_AUTHORISED
        return USAGE if isinstance(error, ClientMisuse) else FAILED
    except OSError as error:
        drop_stdout()
        say(f"error: the output can't be written: {error.strerror or error}")
        return FAILED


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


def _check_rate(rate: float | None) -> None:
    from .errors import ClientMisuse

    if rate is not None and not 0 < rate < math.inf:
        raise ClientMisuse(f"--rate must be a finite number above 0, not {rate}")


@contextlib.asynccontextmanager
async def _client(arguments: argparse.Namespace) -> AsyncIterator[CallMeBackClient]:
    from .client import CallMeBackClient
    from .limits import RateLimit

    _check_rate(arguments.rate)
    limiter = None if arguments.rate is None else RateLimit(arguments.rate)
    async with CallMeBackClient.from_env(arguments.profile, limiter=limiter) as client:
        yield client


@contextlib.asynccontextmanager
async def _sandbox_client(arguments: argparse.Namespace) -> AsyncIterator[CallMeBackClient]:
    from .client import CallMeBackClient
    from .limits import RateLimit
    from .sandbox import Sandbox

    _check_rate(arguments.rate)
    limiter = None if arguments.rate is None else RateLimit(arguments.rate)
    # In a thread of its own, as a server elsewhere would be: the client shares no loop with it.
    with Sandbox() as api:
        say(f"sandbox: a stand-in for the API at {api.base_url}")
        async with CallMeBackClient(api.token, base_url=api.base_url, limiter=limiter) as client:
            yield client


async def _export(arguments: argparse.Namespace) -> int:
    from .export import Export, Plan

    plan = Plan(
        to=arguments.to,
        resources=arguments.resources,
        format=arguments.format,
        limit=arguments.limit,
        window=arguments.window,
        overwrite=arguments.overwrite,
    )
    async with (_sandbox_client if arguments.sandbox else _client)(arguments) as client:
        export = Export(client, plan)
        running = asyncio.create_task(export.run())
        try:
            with display() as show:
                while not running.done():
                    show(export.jobs)
                    await asyncio.wait((running,), timeout=0.1)
                show(export.jobs)
        finally:
            running.cancel()
            await asyncio.wait((running,))
        return report(running.result())


async def _list(arguments: argparse.Namespace) -> int:
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
    async with _client(arguments) as client:
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

    async with _client(arguments) as client:
        record = await getattr(client, arguments.resource).get(arguments.id)
    _print_json(to_dict(record))
    return DONE


async def _ping(arguments: argparse.Namespace) -> int:
    async with _client(arguments) as client:
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
    from .errors import ClientMisuse
    from .sandbox import Sandbox

    rate = arguments.rate
    _check_rate(rate)
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
