"""The command line: arguments in, calls, exit codes. Results on stdout, all else on stderr."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Sequence

from voipstudio_cmb import __version__

from . import export, get, list, ping, sandbox
from .ending import ending
from .exit_codes import DONE, FAILED, INTERRUPTED, NOT_AUTHORISED, TERMINATED, USAGE
from .options import EPILOG, check_certificates, check_numbers
from .parser import Parser, unrecognized
from .stdio import OutputError, guarded_stdio
from .terminal import notify


@ending
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in `argv` and returns its exit code."""
    arguments = argparse.Namespace()
    with guarded_stdio():
        try:
            arguments = _parse(argv)
            return _run(arguments)
        except (KeyboardInterrupt, asyncio.CancelledError) as stop:
            notify(arguments, "interrupted" + _interruption(arguments))
            return INTERRUPTED if isinstance(stop, KeyboardInterrupt) else TERMINATED
        except OutputError as error:
            if error.reader_gone:
                return DONE
            notify(arguments, f"error: the output can't be written: {error}")
        except OSError as error:
            keys = os.environ.get("SSLKEYLOGFILE")
            if keys and error.filename == keys:  # opened by whoever makes a TLS context
                reason = f"which can't be opened ({error.strerror}): unset it, or name another file"
                notify(arguments, f"error: SSLKEYLOGFILE names {keys!r}, {reason}")
                return USAGE
            notify(arguments, f"error: {error}")
        return FAILED


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        parser.error(unrecognized(unknown))
    return arguments


def _run(arguments: argparse.Namespace) -> int:
    from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, NoToken, Unauthorized

    try:
        check_numbers(arguments)
        check_certificates()
        return asyncio.run(_until_terminated(arguments))
    except CallMeBackError as error:
        notify(arguments, f"error: {error}")
        if isinstance(error, Unauthorized | NoToken):
            return NOT_AUTHORISED
        return USAGE if isinstance(error, ClientMisuse) else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="voipstudio-cmb",
        description="VoIPstudio's Call Me Back module: export, list, get.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"voipstudio-cmb {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (export, list, get, ping, sandbox):
        name = command.__name__.rpartition(".")[2]
        options = commands.add_parser(name, help=command.HELP)
        command.add_options(options)
        options.set_defaults(run=command.run)
    return parser


def _interruption(arguments: argparse.Namespace) -> str:
    """What to know about the output of a command that was interrupted."""
    command = getattr(arguments, "command", None)
    if command == "list" or getattr(arguments, "to", None) == "-":
        return ": the output is incomplete"
    if command != "export" or arguments.dry_run:
        return ""
    return ": no file is left half written; run the same command again to resume"


async def _until_terminated(arguments: argparse.Namespace) -> int:
    """Runs the command so that SIGTERM ends it as Ctrl-C does: with its files cleaned up."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    code: int = await arguments.run(arguments)
    return code
